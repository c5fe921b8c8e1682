import { FlaskConical, Save } from "lucide-react";
import { type ReactNode, useState } from "react";
import { ApiError, titledProblem } from "@/api/problem";
import { Button } from "@/ui/button";
import { CodeEditor } from "@/ui/code-editor";
import { Status } from "@/ui/status";
import { type Declared, declare } from "./ingest-queries";

/** A document of a source that is written, tried, and only then declared. */
export function DocumentEditor({
  label,
  text,
  onChange,
  height,
  version,
  denied,
  verb,
  onDeclared,
  actions,
}: {
  label: string;
  text: string;
  onChange: (text: string) => void;
  height: string;
  /** Of the source that is there already, which it changes. */
  version?: number;
  denied?: string | undefined;
  /** What declaring it is called. */
  verb: string;
  onDeclared: (made: readonly Declared[]) => Promise<void>;
  /** More buttons. */
  actions?: ReactNode;
}) {
  const [told, setTold] = useState<{ of: string; checked?: Declared[]; error?: unknown }>();
  const [busy, setBusy] = useState(false);
  // What was said of another text does not hold.
  const { checked, error } = told?.of === text ? told : {};
  const run = async (dryRun: boolean) => {
    setBusy(true);
    setTold({ of: text, ...(checked ? { checked } : {}) });
    try {
      const made = await declare(
        text,
        dryRun ? { dryRun } : version === undefined ? {} : { version },
      );
      if (dryRun) setTold({ of: text, checked: made });
      else await onDeclared(made);
    } catch (problem) {
      setTold({ of: text, error: problem });
    }
    setBusy(false);
  };
  const url = version === undefined ? checked?.[0]?.webhook_url : undefined;
  return (
    <>
      <CodeEditor
        value={text}
        onChange={onChange}
        language="yaml"
        label={label}
        height={height}
        problems={problemsOf(error)}
      />
      <div className="mt-3 flex flex-wrap items-center gap-2">
        <Button
          icon={FlaskConical}
          busy={busy}
          disabledReason={denied}
          onClick={() => void run(true)}
        >
          Dry run
        </Button>
        <Button
          kind="primary"
          icon={Save}
          busy={busy}
          disabledReason={denied ?? (checked ? undefined : "Dry run it first")}
          onClick={() => void run(false)}
        >
          {verb}
        </Button>
        {actions}
      </div>
      <DryRun checked={checked} error={error} />
      {url && (
        <p className="mt-2 text-sm text-soft">
          Its URL would be <span className="mono break-all text-ink">{url}</span>
        </p>
      )}
    </>
  );
}

/** Where in the document something is wrong, as the server tells it. */
function problemsOf(error: unknown): { line: number; message: string }[] {
  if (!(error instanceof ApiError)) return [];
  const place = /(?:^|:)(\d+):(\d+): /.exec(error.detail);
  return place ? [{ line: Number(place[1]), message: error.detail }] : [];
}

/** What the server says of a document that was only tried. */
function DryRun({ checked, error }: { checked: readonly Declared[] | undefined; error: unknown }) {
  if (error !== undefined)
    return (
      <p role="alert" className="mt-3 rounded-md bg-bad-wash px-3 py-2 break-words text-bad">
        {titledProblem(error)}
      </p>
    );
  if (!checked) return null;
  const warnings = checked.flatMap((each) => each.warnings);
  return (
    <div role="status" className="mt-3 flex flex-col gap-1.5">
      <Status value="ok" label="It is valid; nothing was declared yet" />
      {warnings.map((warning) => (
        <p
          key={warning}
          className="rounded-md bg-warn-wash px-3 py-2 text-sm break-words text-warn"
        >
          {warning}
        </p>
      ))}
    </div>
  );
}
