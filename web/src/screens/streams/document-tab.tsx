import { useQueryClient } from "@tanstack/react-query";
import { Pencil } from "lucide-react";
import { useState } from "react";
import { call, type Schemas } from "@/api/client";
import { useMay } from "@/api/me";
import { ApiError, problemText } from "@/api/problem";
import { Button } from "@/ui/button";
import { CodeEditor } from "@/ui/code-editor";
import { Confirm } from "@/ui/confirm";
import { Status } from "@/ui/status";
import { toast } from "@/ui/toast";
import { DocumentDiff } from "./document-diff";
import type { Contract } from "./streams-queries";

type Declared = Schemas["Declared"];

/** A problem at a line of the document, as far as its message names one. */
function problemOf(error: unknown): { line: number; message: string } | undefined {
  if (!(error instanceof ApiError)) return undefined;
  const line = error.line ?? Number(/\bline (\d+)/i.exec(error.detail)?.[1] ?? Number.NaN);
  return Number.isNaN(line) ? undefined : { line, message: error.detail };
}

function send(text: string, dryRun: boolean, version?: number): Promise<Declared> {
  return call<Declared>("PUT", "/api/v1/contracts", {
    query: dryRun ? { dry_run: true } : {},
    headers: version ? { "if-match": `"${version}"` } : {},
    text: { type: "application/yaml", body: text },
  });
}

/** The document as it is; edited, checked, and declared as the next version. */
export function DocumentTab({ contract }: { contract: Contract }) {
  const [text, setText] = useState(contract.yaml);
  const [isEditing, setEditing] = useState(false);
  const [checked, setChecked] = useState<Declared>();
  const [problem, setProblem] = useState<unknown>();
  const [isAsking, setAsking] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const denied = useMay("operate", contract.client_id);
  const queries = useQueryClient();
  const isSame = text === contract.yaml;
  const marked = problemOf(problem);

  const change = (next: string) => {
    setText(next);
    setChecked(undefined);
    setProblem(undefined);
  };
  const check = async (): Promise<boolean> => {
    setBusy(true);
    try {
      setChecked(await send(text, true));
      setProblem(undefined);
      return true;
    } catch (error) {
      setChecked(undefined);
      setProblem(error);
      return false;
    } finally {
      setBusy(false);
    }
  };
  const apply = async () => {
    const done = await send(text, false, contract.version);
    toast(
      done.unchanged
        ? "It is declared so already"
        : `Version ${done.version ?? ""} of ${contract.name} applies from #${done.position} on`,
    );
    setEditing(false);
    await queries.invalidateQueries({ queryKey: ["contracts"] });
  };

  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-2">
        {isEditing ? (
          <>
            <Button busy={isBusy} disabled={isSame} onClick={() => void check()}>
              Check
            </Button>
            <Button
              kind="primary"
              disabled={isSame}
              disabledReason={denied}
              onClick={() => void check().then((isGood) => setAsking(isGood))}
            >
              Apply…
            </Button>
            <Button
              kind="quiet"
              onClick={() => {
                change(contract.yaml);
                setEditing(false);
              }}
            >
              Leave it as it was
            </Button>
          </>
        ) : (
          <Button icon={Pencil} disabledReason={denied} onClick={() => setEditing(true)}>
            Edit
          </Button>
        )}
        <span aria-live="polite" className="min-w-0">
          {checked && (
            <span className="flex flex-wrap items-center gap-2">
              <Status value="ok" label="It can be declared" />
              <span className="text-soft">
                legs {checked.legs.join(", ")}
                {checked.rules.length > 0 && `; rules ${checked.rules.join(", ")}`}
              </span>
            </span>
          )}
          {problem !== undefined && !marked && (
            <span role="alert" className="text-bad">
              {problemText(problem)}
            </span>
          )}
        </span>
      </div>
      <CodeEditor
        label={`Document of ${contract.name}`}
        language="yaml"
        value={text}
        onChange={change}
        readOnly={!isEditing}
        height="34rem"
        {...(marked ? { problems: [marked] } : {})}
      />
      <Confirm
        open={isAsking}
        onClose={() => setAsking(false)}
        title={`Declare the next version of ${contract.name}`}
        verb="Declare"
        cli="helios contracts apply FILE"
        plan={
          <DocumentDiff before={contract.yaml} after={text} label="What changes in the document" />
        }
        onConfirm={apply}
      >
        It applies to events from now on. Verdicts that were given stay; keys can be judged again by
        it afterwards.
      </Confirm>
    </div>
  );
}
