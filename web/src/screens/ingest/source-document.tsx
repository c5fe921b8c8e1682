import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Pencil } from "lucide-react";
import { useState } from "react";
import { useMay } from "@/api/me";
import { cx } from "@/lib/cx";
import { lineDiff } from "@/lib/line-diff";
import { printed } from "@/lib/printed";
import { Button } from "@/ui/button";
import { toast } from "@/ui/toast";
import { CopyButton, TimeAgo } from "@/ui/values";
import { DocumentEditor } from "./document-editor";
import { type Declared, type Source, versionsQuery } from "./ingest-queries";

interface Version {
  number: number;
  at: string;
  actor: string;
  yaml: string;
}

/** What was declared: now, before, and next. */
export function SourceDocument({ source }: { source: Source }) {
  const [draft, setDraft] = useState<string>();
  const mayNot = useMay("administer", source.client_id);
  const { data } = useQuery(versionsQuery(source.client_id, source.name));
  const events = data ?? [];
  const holds = printed(source.yaml);
  const versions: Version[] = events.map((event, index) => ({
    number: source.version - index,
    at: event.recorded_at,
    actor: event.actor ?? "",
    yaml: printed((event.payload as { yaml?: string }).yaml ?? ""),
  }));
  if (draft !== undefined)
    return (
      <Edit
        key={source.version}
        source={source}
        draft={draft}
        onChange={setDraft}
        onDone={() => setDraft(undefined)}
      />
    );
  return (
    <div className="grid gap-5 p-4 lg:grid-cols-2">
      <section className="min-w-0">
        <header className="mb-2 flex items-center gap-2">
          <h3 className="eyebrow flex-1">Version {source.version}, which holds</h3>
          <CopyButton text={source.yaml} label="Copy document" />
          <Button size="sm" icon={Pencil} disabledReason={mayNot} onClick={() => setDraft(holds)}>
            Edit
          </Button>
        </header>
        <pre
          tabIndex={0}
          className="mono max-h-[32rem] overflow-auto rounded-md border border-line bg-sunken p-3 whitespace-pre-wrap break-words"
        >
          {holds}
        </pre>
      </section>
      <section className="min-w-0">
        <h3 className="eyebrow mb-2">Versions</h3>
        <ol className="flex flex-col gap-2">
          {versions.map((version, index) => (
            <li key={version.number} className="rounded-md border border-line">
              <details open={index === 0 && versions.length > 1}>
                <summary className="flex flex-wrap items-center gap-x-3 px-3 py-2">
                  <b className="font-semibold">v{version.number}</b>
                  <span className="text-sm text-soft">
                    <TimeAgo at={version.at} /> by {version.actor.replace(/^user:/, "")}
                  </span>
                </summary>
                <Changes before={versions[index + 1]?.yaml} after={version.yaml} />
              </details>
            </li>
          ))}
        </ol>
      </section>
    </div>
  );
}

const SIGNS = { same: " ", added: "+", removed: "−" } as const;

/** What one text has that the other has not. */
function Changes({ before, after }: { before: string | undefined; after: string }) {
  if (before === undefined)
    return <p className="border-t border-line px-3 py-2 text-sm text-soft">The first version.</p>;
  const lines = lineDiff(before, after);
  const isSame = lines.every((line) => line.kind === "same");
  if (isSame)
    return <p className="border-t border-line px-3 py-2 text-sm text-soft">The same document.</p>;
  return (
    <pre tabIndex={0} className="mono max-h-80 overflow-auto border-t border-line py-1 text-sm">
      {lines.map((line, index) => (
        <div
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have no names
          key={index}
          className={cx(
            "px-3 whitespace-pre-wrap break-words",
            line.kind === "added" && "bg-good-wash",
            line.kind === "removed" && "bg-bad-wash",
            line.kind === "same" && "text-soft",
          )}
        >
          <span aria-hidden>{SIGNS[line.kind]} </span>
          {line.kind !== "same" && <span className="sr-only">{line.kind}: </span>}
          {line.text}
        </div>
      ))}
    </pre>
  );
}

function Edit({
  source,
  draft,
  onChange,
  onDone,
}: {
  source: Source;
  draft: string;
  onChange: (text: string) => void;
  onDone: () => void;
}) {
  const client = useQueryClient();
  const declared = async (made: readonly Declared[]) => {
    await client.invalidateQueries({ queryKey: ["sources"] });
    toast(
      made[0]?.unchanged
        ? "It was declared so already"
        : `Version ${made[0]?.version ?? source.version + 1} of ${source.name} holds`,
    );
    onDone();
  };
  return (
    <div className="grid gap-5 p-4 lg:grid-cols-2">
      <div className="min-w-0">
        <DocumentEditor
          label={`Document of source ${source.name}`}
          text={draft}
          onChange={onChange}
          height="28rem"
          version={source.version}
          verb="Apply"
          onDeclared={declared}
          actions={
            <Button kind="quiet" onClick={onDone}>
              Cancel
            </Button>
          }
        />
      </div>
      <section className="min-w-0">
        <h3 className="eyebrow mb-2">What changes against version {source.version}</h3>
        <div className="rounded-md border border-line">
          <Changes before={printed(source.yaml)} after={draft} />
        </div>
      </section>
    </div>
  );
}
