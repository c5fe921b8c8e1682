import { lazy, Suspense } from "react";

export interface CodeEditorProps {
  value: string;
  onChange?: (text: string) => void;
  language: "json" | "yaml" | "text";
  label: string;
  readOnly?: boolean;
  /** CSS height. */
  height?: string;
  /** Marks in the text: line from 1, what is wrong there. */
  problems?: readonly { line: number; message: string }[];
}

const Editor = lazy(() => import("./code-editor-view"));

/** An editor for JSON or YAML; its code comes when the first one is shown. */
export function CodeEditor(props: CodeEditorProps) {
  const height = props.height ?? "20rem";
  return (
    <Suspense fallback={<div className="skeleton rounded-md" style={{ height }} />}>
      <Editor {...props} />
    </Suspense>
  );
}
