import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Check, FlaskConical, Save } from "lucide-react";
import { useState } from "react";
import { call, type Schemas } from "@/api/client";
import { useMay } from "@/api/me";
import { problemText } from "@/api/problem";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { CodeEditor } from "@/ui/code-editor";
import { Confirm } from "@/ui/confirm";
import { ErrorState, Skeleton } from "@/ui/states";
import { Badge, Status, type Tone } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { effectiveQuery, pathOf, type StackName, seen, textQuery } from "./stack-queries";
import { short } from "./stack-words";

const MODE_TONES: Record<string, Tone> = {
  heal: "good",
  approve: "wait",
  warn: "warn",
  observe: "unknown",
  off: "paused",
};
const MODE_WORDS: Record<string, string> = {
  heal: "healed by itself",
  approve: "healed once agreed to",
  warn: "reported",
  observe: "recorded",
  off: "not looked for",
};

/** What may be done about drift, whoever said so; and the policy itself, to be edited and tried. */
export function PolicyTab({ name, environment }: { name: StackName; environment: string }) {
  const { data, error, refetch } = useQuery(effectiveQuery(name));
  if (error) return <ErrorState error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={8} />;
  return (
    <div className="flex flex-col gap-5">
      {!data.readable && (
        <p className="rounded-md bg-bad-wash px-3 py-2 text-bad">
          This version of Helios cannot read the policy: declare it anew.
        </p>
      )}
      <Card
        flush
        title="What is done about drift"
        note={
          data.declared
            ? "By the policy of the stack, else by the defaults."
            : "No policy was declared: the defaults hold."
        }
      >
        <Table
          label="Modes by cause"
          heads={[
            "Cause",
            { text: "Kind", wide: true },
            { text: "Severity", wide: true },
            "What is done",
            { text: "Why", wide: true },
            { text: "Origin", wide: true },
          ]}
        >
          {data.modes.map((mode) => (
            <tr key={mode.cause}>
              <Cell>
                {mode.cause.replace(/_/g, " ")}
                <div className="text-sm sm:hidden">
                  <Status value={mode.severity} plain />
                </div>
              </Cell>
              <Cell wide className="text-soft">
                {mode.type}
              </Cell>
              <Cell wide>
                <Status value={mode.severity} plain />
              </Cell>
              <Cell>
                <Status
                  value={mode.mode}
                  tone={MODE_TONES[mode.mode] ?? "unknown"}
                  label={MODE_WORDS[mode.mode] ?? mode.mode}
                  plain
                />
              </Cell>
              <Cell wide className="text-soft">
                {mode.reason}
              </Cell>
              <Cell wide>
                <Origin of={mode.origin} />
              </Cell>
            </tr>
          ))}
        </Table>
      </Card>
      <Editor name={name} environment={environment} />
      <Card flush title="Settings" note="Every value that holds, and where it comes from.">
        <Table
          label="Settings"
          heads={[
            "Setting",
            "Value",
            { text: "Default", wide: true },
            { text: "Origin", wide: true },
          ]}
        >
          {data.settings.map((setting) => (
            <tr key={setting.name}>
              <Cell className="mono break-words">{setting.name}</Cell>
              <Cell className="mono max-w-96 break-words">{shown(setting.value)}</Cell>
              <Cell wide className="mono max-w-80 break-words text-soft">
                {setting.origin === "policy" ? shown(setting.default) : ""}
              </Cell>
              <Cell wide>
                <Origin of={setting.origin} />
              </Cell>
            </tr>
          ))}
        </Table>
      </Card>
    </div>
  );
}

function shown(value: unknown): string {
  if (value === null) return "none";
  return Array.isArray(value) ? value.join(", ") || "none" : short(value, 200);
}

function Origin({ of }: { of: unknown }) {
  return <Badge {...(of === "policy" ? { tone: "wait" as const } : {})}>{String(of)}</Badge>;
}

function sample({ client, stack }: StackName): string {
  return `apiVersion: blackwell.io/v1
kind: ReconciliationPolicy
metadata: {client_id: ${client}, stack_id: ${stack}}
spec:
  schedule: {interval: 5m}
  auto_heal:
    enabled: false
    allowed_drift_types: [provider_missing, webhook_broken, resource_unhealthy]
    require_approval: [cms_provider_change, data_deletion, resource_replacement]
  approvals: {quorum: 1, ttl: 24h}
`;
}

interface Tried {
  ok: boolean;
  text: string;
  line?: number;
}

function Editor({ name, environment }: { name: StackName; environment: string }) {
  const queries = useQueryClient();
  const { data } = useQuery(textQuery(name, "/policy"));
  const [draft, setDraft] = useState<string>();
  const [tried, setTried] = useState<Tried>();
  const [isAsking, setAsking] = useState(false);
  const denied = useMay("administer", name.client, environment);
  const text = draft ?? (data === "" ? sample(name) : data);
  const put = async (dry: boolean) => {
    const { sessionFetch } = await import("@/api/session");
    const url = new URL(`${pathOf(name)}/policy${dry ? "?dry_run=true" : ""}`, location.origin);
    const answer = await sessionFetch(
      new Request(url, {
        method: "PUT",
        headers: { "content-type": "application/yaml" },
        body: text ?? "",
      }),
    );
    return (await answer.json()) as Schemas["DeclaredPolicy"];
  };
  const tryIt = async () => {
    try {
      const found = await put(true);
      setTried({
        ok: true,
        text: found.unchanged ? "It is declared so already." : "It can be declared.",
      });
    } catch (error) {
      setTried({ ok: false, ...problem(error) });
    }
  };
  if (text === undefined) return <Skeleton lines={8} />;
  const isChanged = draft !== undefined && draft !== data;
  return (
    <Card
      title="The policy"
      note={data === "" ? "None is declared; this is one to begin with." : "As it was declared."}
      actions={
        <div className="flex gap-2">
          <Button
            size="sm"
            icon={FlaskConical}
            disabledReason={denied}
            onClick={() => void tryIt()}
          >
            Try it
          </Button>
          <Button
            size="sm"
            kind="primary"
            icon={Save}
            disabledReason={
              denied ?? (isChanged || data === "" ? undefined : "Nothing was changed")
            }
            onClick={() => setAsking(true)}
          >
            Declare
          </Button>
        </div>
      }
    >
      <CodeEditor
        language="yaml"
        label="Policy"
        value={text}
        height="22rem"
        {...(denied ? { readOnly: true } : {})}
        onChange={(value) => {
          setDraft(value);
          setTried(undefined);
        }}
        problems={
          tried && !tried.ok && tried.line ? [{ line: tried.line, message: tried.text }] : []
        }
      />
      <p role="status" className="mt-2 min-h-5 text-sm">
        {tried &&
          (tried.ok ? (
            <span className="inline-flex items-center gap-1 text-good">
              <Check className="size-4" aria-hidden />
              {tried.text}
            </span>
          ) : (
            <span className="text-bad">{tried.text}</span>
          ))}
      </p>
      <Confirm
        open={isAsking}
        onClose={() => setAsking(false)}
        title={`Declare the policy of ${name.stack}`}
        verb="Declare"
        cli={`helios policy set ${name.client}/${name.stack} policy.yaml`}
        onConfirm={async () => {
          const before = data;
          const made = await put(false);
          await seen(queries, name, made.position);
          setDraft(undefined);
          toast("The policy holds from now on", {
            ...(before ? { undo: () => declare(name, before, queries) } : {}),
          });
        }}
      >
        It decides what heals by itself and who has to agree. It holds from the next look on.
      </Confirm>
    </Card>
  );
}

async function declare(
  name: StackName,
  text: string,
  queries: ReturnType<typeof useQueryClient>,
): Promise<void> {
  const { sessionFetch } = await import("@/api/session");
  const url = new URL(`${pathOf(name)}/policy`, location.origin);
  const answer = await sessionFetch(
    new Request(url, {
      method: "PUT",
      headers: { "content-type": "application/yaml" },
      body: text,
    }),
  );
  await seen(queries, name, ((await answer.json()) as { position: number }).position);
  await call("GET", pathOf(name));
}

/** The place that an error names, as `line 3`. */
function problem(error: unknown): { text: string; line?: number } {
  const text = problemText(error);
  const line = /line (\d+)/.exec(text)?.[1];
  return line ? { text, line: Number(line) } : { text };
}
