import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Undo2 } from "lucide-react";
import { useMemo, useState } from "react";
import { useMay } from "@/api/me";
import { useSetSearch } from "@/app/console-search";
import { cx } from "@/lib/cx";
import { lineDiff } from "@/lib/line-diff";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Confirm } from "@/ui/confirm";
import { ErrorState, Skeleton } from "@/ui/states";
import { Badge, Status } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { TimeAgo } from "@/ui/values";
import { Nothing } from "./parts";
import { Choice } from "./stack-acts";
import { command, historyQuery, type StackName, textQuery, type Version } from "./stack-queries";

/** Every version that was declared; any two beside each other; the way back. */
export function HistoryTab({
  name,
  environment,
  generation,
  a,
  b,
}: {
  name: StackName;
  environment: string;
  generation: number;
  /** Generations that are compared. */
  a: string | undefined;
  b: string | undefined;
}) {
  const { data, error, refetch } = useQuery(historyQuery(name));
  const [back, setBack] = useState<Version>();
  const queries = useQueryClient();
  const denied = useMay("operate", name.client, environment);
  if (error) return <ErrorState error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={6} />;
  return (
    <div className="flex flex-col gap-5">
      <Card flush title="Versions" note="What was declared, newest first.">
        <Table
          label="Versions"
          heads={["Version", "Declared", "By", "Note", "Environment", { text: "", right: true }]}
        >
          {data.versions.map((version) => (
            <tr key={version.generation}>
              <Cell>
                <span className="mono font-medium">{version.version}</span>{" "}
                {version.generation === generation && <Badge tone="good">present</Badge>}{" "}
                {version.rejected && <Badge tone="bad">rejected</Badge>}
                <div className="text-sm text-soft">generation {version.generation}</div>
              </Cell>
              <Cell className="text-soft">
                <Link
                  to="/events/$position"
                  params={{ position: String(version.position) }}
                  className="link"
                >
                  <TimeAgo at={version.declared_at} />
                </Link>
              </Cell>
              <Cell>{version.actor}</Cell>
              <Cell className="text-soft">
                {version.note}
                {version.restores !== null && ` (as generation ${version.restores})`}
              </Cell>
              <Cell>{version.environment}</Cell>
              <Cell right>
                {version.generation !== generation && (
                  <Button
                    size="sm"
                    icon={Undo2}
                    disabledReason={
                      denied ?? (version.rejected ? "Its content was rejected" : undefined)
                    }
                    onClick={() => setBack(version)}
                  >
                    Roll back
                  </Button>
                )}
              </Cell>
            </tr>
          ))}
        </Table>
      </Card>
      <Compare name={name} versions={data.versions} a={a} b={b} />
      {back && (
        <Confirm
          open
          danger
          onClose={() => setBack(undefined)}
          title={`Roll ${name.stack} back to ${back.version}`}
          verb="Declare it again"
          reason="needed"
          cli={`helios rollback ${name.client}/${name.stack} --to ${back.version} --reason …`}
          onConfirm={async (reason) => {
            await command(queries, name, "/rollback", { to: back.version, reason });
            toast(`${name.stack} is to be ${back.version} again; see its plan`, {
              link: {
                text: "Plan",
                href: `/stacks/${encodeURIComponent(name.client)}/${encodeURIComponent(name.stack)}?tab=plan`,
              },
            });
          }}
        >
          The version is declared again and the stack pinned to it. Nothing is changed at once: what
          differs then becomes drift and a plan, under the same policy. The content that is left is
          refused until the stack is unpinned.
        </Confirm>
      )}
    </div>
  );
}

function Compare({
  name,
  versions,
  a,
  b,
}: {
  name: StackName;
  versions: readonly Version[];
  a: string | undefined;
  b: string | undefined;
}) {
  const set = useSetSearch();
  const newest = versions[0];
  const left = a ?? String(versions[1]?.generation ?? newest?.generation ?? "");
  const right = b ?? String(newest?.generation ?? "");
  const isAsked = left !== "" && right !== "";
  const before = useQuery({
    ...textQuery(name, `/document?generation=${left}`),
    enabled: isAsked,
  });
  const after = useQuery({ ...textQuery(name, `/document?generation=${right}`), enabled: isAsked });
  const lines = useMemo(
    () => lineDiff(before.data ?? "", after.data ?? ""),
    [before.data, after.data],
  );
  const options = versions.map(
    (version) =>
      [String(version.generation), `${version.version} (${version.generation})`] as const,
  );
  const changed = lines.filter((line) => line.kind !== "same").length;
  return (
    <Card
      title="Compare"
      note={
        left === right
          ? "One version was declared so far; this is its text."
          : `${changed} ${changed === 1 ? "line differs" : "lines differ"}`
      }
      actions={
        versions.length > 1 && (
          <div className="flex gap-3">
            <Choice
              label="From"
              value={left}
              options={options}
              onChange={(value) => set({ a: value }, { replace: true })}
            />
            <Choice
              label="To"
              value={right}
              options={options}
              onChange={(value) => set({ b: value }, { replace: true })}
            />
          </div>
        )
      }
    >
      {before.isPending || after.isPending ? (
        <Skeleton lines={8} />
      ) : lines.length === 0 ? (
        <Nothing>Nothing was declared.</Nothing>
      ) : (
        <pre className="mono max-h-128 overflow-auto rounded-md border border-line" tabIndex={0}>
          {lines.map((line, index) => (
            <div
              // biome-ignore lint/suspicious/noArrayIndexKey: lines have no names
              key={index}
              className={cx(
                "flex px-3",
                line.kind === "added" && "bg-good-wash",
                line.kind === "removed" && "bg-bad-wash",
              )}
            >
              <span aria-hidden className="w-5 shrink-0 text-faint select-none">
                {line.kind === "added" ? "+" : line.kind === "removed" ? "−" : ""}
              </span>
              <span className="whitespace-pre-wrap">{line.text || " "}</span>
            </div>
          ))}
        </pre>
      )}
      {versions.some((version) => version.rejected) && (
        <p className="mt-2 text-sm text-soft">
          <Status value="rejected" plain /> content is refused when it is declared again.
        </p>
      )}
    </Card>
  );
}
