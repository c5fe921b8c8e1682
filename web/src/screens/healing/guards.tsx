import { useQueryClient } from "@tanstack/react-query";
import { Plus, Trash2 } from "lucide-react";
import { type ReactNode, useId, useState } from "react";
import { useMay } from "@/api/me";
import { useSorted } from "@/app/lists";
import { percent } from "@/lib/format";
import { timeOf } from "@/lib/sort";
import { Choice } from "@/screens/stacks/stack-acts";
import { Button, IconButton } from "@/ui/button";
import { Card, Stat } from "@/ui/card";
import { Confirm } from "@/ui/confirm";
import { Badge, Status, type Tone } from "@/ui/status";
import { Cell, type Head, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { TimeAgo } from "@/ui/values";
import { guard } from "./heal-queries";
import { type AllGuards, until, whose } from "./heal-words";

const BREAKER_TONES: Record<string, Tone> = {
  open: "bad",
  half_open: "wait",
  forced_open: "bad",
  forced_closed: "paused",
};

/** Breakers, the fuse, budget and windows. */
export function GuardPanels({ guards, tenant }: { guards: AllGuards; tenant: string | undefined }) {
  const blown = guards.fuses.filter((fuse) => fuse.reset_at === null);
  return (
    <>
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Stat
          label="Kill switch"
          value={guards.kill_switches.length > 0 ? "on" : "off"}
          tone={guards.kill_switches.length > 0 ? "bad" : "good"}
        />
        <Stat
          label="Breakers not closed"
          value={guards.breakers.length}
          {...(guards.breakers.length > 0 ? { tone: "warn" as const } : {})}
        />
        <Stat
          label="Fuses blown"
          value={blown.length}
          {...(blown.length > 0 ? { tone: "bad" as const } : {})}
        />
        <Stat
          label="Actions, last hour"
          value={guards.heals_last_hour}
          note="counted by the budgets"
        />
      </div>
      <Breakers guards={guards} />
      <Fuses guards={guards} />
      <Windows guards={guards} tenant={tenant} />
    </>
  );
}

interface Asked {
  title: string;
  verb: string;
  path: string;
  client: string | null;
  body: object;
  words: string;
  cli: string;
}

function useAsk(): [ReactNode, (asked: Asked) => void] {
  const [asked, setAsked] = useState<Asked>();
  const queries = useQueryClient();
  const dialog = asked && (
    <Confirm
      open
      onClose={() => setAsked(undefined)}
      title={asked.title}
      verb={asked.verb}
      reason="needed"
      cli={asked.cli}
      onConfirm={async (reason) => {
        await guard(queries, asked.path, asked.client, { ...asked.body, reason });
        toast("Done");
      }}
    >
      {asked.words}
    </Confirm>
  );
  return [dialog, setAsked];
}

function of(client: string | null): string {
  return client ? ` --client-id ${client}` : "";
}

const BREAKERS: readonly Head<AllGuards["breakers"][number]>[] = [
  { id: "of", text: "Of", sort: (breaker) => breaker.scope },
  { id: "state", text: "State", sort: (breaker) => breaker.state },
  { text: "Why" },
  { id: "since", text: "Since", sort: (breaker) => timeOf(breaker.since) },
  {
    id: "next",
    text: "Next try",
    sort: (breaker) => timeOf(breaker.forced_until ?? breaker.half_open_at),
  },
  { text: "", right: true },
];

function Breakers({ guards }: { guards: AllGuards }) {
  const { rows, sorting } = useSorted(guards.breakers, BREAKERS);
  const [dialog, ask] = useAsk();
  const denied = useMay("operate");
  return (
    <Card
      flush
      title="Breakers"
      note="A breaker opens when what was done did not help, and then lets one action through to see."
    >
      {guards.breakers.length === 0 ? (
        <p className="px-4 pt-1 pb-4 text-soft">
          <Status value="ok" label="All are closed" plain />
        </p>
      ) : (
        <Table label="Breakers" heads={BREAKERS} sorting={sorting}>
          {rows.map((each) => (
            <tr key={`${each.client} ${each.scope}`}>
              <Cell className="mono break-all">
                {each.scope}
                {each.client && <div className="font-sans text-sm text-soft">{each.client}</div>}
              </Cell>
              <Cell>
                <Status value={each.state} tone={BREAKER_TONES[each.state] ?? "unknown"} plain />
              </Cell>
              <Cell>
                {each.reason}
                <div className="text-sm text-soft">{each.detail}</div>
              </Cell>
              <Cell className="text-soft">
                <TimeAgo at={each.since} />
              </Cell>
              <Cell className="text-soft">
                {each.forced_until ? (
                  <>
                    held until <TimeAgo at={each.forced_until} />
                  </>
                ) : each.half_open_at ? (
                  <TimeAgo at={each.half_open_at} />
                ) : (
                  "when somebody closes it"
                )}
              </Cell>
              <Cell right>
                <span className="inline-flex gap-1.5">
                  <Button
                    size="sm"
                    disabledReason={denied}
                    onClick={() =>
                      ask({
                        title: `Close the breaker of ${each.scope}`,
                        verb: "Close it",
                        path: "/breakers/reset",
                        client: each.client,
                        body: { scope: each.scope },
                        words: "Healing is tried again at once, as if nothing had failed.",
                        cli: `helios guards breakers reset ${each.scope}${of(each.client)}`,
                      })
                    }
                  >
                    Close
                  </Button>
                  {each.state !== "forced_open" && (
                    <Button
                      size="sm"
                      disabledReason={denied}
                      onClick={() =>
                        ask({
                          title: `Hold the breaker of ${each.scope} open`,
                          verb: "Hold it open",
                          path: "/breakers/force",
                          client: each.client,
                          body: { scope: each.scope, state: "open", until: until("4") },
                          words: "Nothing is healed there for 4 hours, whatever happens.",
                          cli: `helios guards breakers force ${each.scope} open${of(each.client)} --for 4h --reason …`,
                        })
                      }
                    >
                      Hold open
                    </Button>
                  )}
                </span>
              </Cell>
            </tr>
          ))}
        </Table>
      )}
      {dialog}
    </Card>
  );
}

function Fuses({ guards }: { guards: AllGuards }) {
  const [dialog, ask] = useAsk();
  const denied = useMay("operate");
  return (
    <Card
      flush
      title="The fuse"
      note="It blows when many stacks drift at once: then the cause is more likely here than there."
    >
      {guards.fuses.length === 0 ? (
        <p className="px-4 pt-1 pb-4 text-soft">
          <Status value="ok" label="It holds" plain />
        </p>
      ) : (
        <Table
          label="Fuses"
          heads={["In common", "Stacks", "Blown", "State", { text: "", right: true }]}
        >
          {guards.fuses.map((each) => (
            <tr key={each.fuse_id}>
              <Cell>{each.by}</Cell>
              <Cell>
                {each.count} ({percent(each.share, 0)})
                <div className="max-w-96 truncate text-sm text-soft">{each.stacks.join(", ")}</div>
              </Cell>
              <Cell className="text-soft">
                <TimeAgo at={each.blown_at} />
              </Cell>
              <Cell>
                {each.reset_at ? (
                  <Status value="resolved" label="reset" plain />
                ) : (
                  <Status value="failed" label="blown" plain />
                )}
              </Cell>
              <Cell right>
                {!each.reset_at && (
                  <Button
                    size="sm"
                    disabledReason={denied}
                    onClick={() =>
                      ask({
                        title: "Reset the fuse",
                        verb: "Go on",
                        path: "/fuse/reset",
                        client: each.client,
                        body: { fuse_id: each.fuse_id },
                        words: `${each.count} stacks that drifted at once are healed as their policies say.`,
                        cli: `helios guards fuse reset${of(each.client)} --reason …`,
                      })
                    }
                  >
                    Reset
                  </Button>
                )}
              </Cell>
            </tr>
          ))}
        </Table>
      )}
      {dialog}
    </Card>
  );
}

function Windows({ guards, tenant }: { guards: AllGuards; tenant: string | undefined }) {
  const [isOpen, setOpen] = useState(false);
  const queries = useQueryClient();
  const denied = useMay("operate", tenant ?? "*");
  return (
    <Card
      flush
      title="Windows"
      note="When healing is allowed, and when it is denied; those of a stack stand in its policy."
      actions={
        <Button size="sm" icon={Plus} disabledReason={denied} onClick={() => setOpen(true)}>
          Add a window
        </Button>
      }
    >
      {guards.windows.length === 0 ? (
        <p className="px-4 pt-1 pb-4 text-soft">There is none: healing may happen at any time.</p>
      ) : (
        <Table
          label="Windows"
          heads={["Window", "Kind", "When", "For", "Whose", { text: "", right: true }]}
        >
          {guards.windows.map((each) => (
            <tr key={`${each.client} ${each.id}`}>
              <Cell className="mono">{each.id}</Cell>
              <Cell>
                <Badge tone={each.kind === "deny" ? "bad" : "good"}>{each.kind}</Badge>
              </Cell>
              <Cell>
                <span className="mono">{each.schedule}</span> for {each.duration}
                <div className="text-sm text-soft">{each.timezone}</div>
              </Cell>
              <Cell className="text-soft">
                {[...each.stacks, ...each.providers, ...each.severities, ...each.actions].join(
                  ", ",
                ) || "everything"}
              </Cell>
              <Cell>{whose(each.client)}</Cell>
              <Cell right>
                <IconButton
                  icon={Trash2}
                  label={`Remove window ${each.id}`}
                  size="sm"
                  disabledReason={denied}
                  onClick={() =>
                    void guard(
                      queries,
                      `/windows/${encodeURIComponent(each.id)}`,
                      each.client,
                      undefined,
                      "DELETE",
                    ).then(() => {
                      const { client, for_all: _, ...window } = each;
                      toast(`Window ${each.id} is removed`, {
                        undo: () => guard(queries, "/windows", client, window),
                      });
                    })
                  }
                />
              </Cell>
            </tr>
          ))}
        </Table>
      )}
      {isOpen && <WindowDialog tenant={tenant} onClose={() => setOpen(false)} />}
    </Card>
  );
}

function WindowDialog({ tenant, onClose }: { tenant: string | undefined; onClose: () => void }) {
  const queries = useQueryClient();
  const [kind, setKind] = useState("deny");
  const [fields, setFields] = useState({
    id: "",
    schedule: "0 22 * * 1-5",
    duration: "8h",
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    stacks: "",
  });
  const base = useId();
  const rows = [
    ["id", "Name"],
    ["schedule", "Opens at (five cron fields)"],
    ["duration", "Stays open for"],
    ["timezone", "Time zone"],
    ["stacks", "Stacks, by commas; empty: all"],
  ] as const;
  return (
    <Confirm
      open
      onClose={onClose}
      title={`A window for ${whose(tenant)}`}
      verb="Add it"
      cli={`helios guards windows add ${fields.id || "NAME"} ${kind} --schedule '${fields.schedule}' --duration ${fields.duration}${tenant ? ` --client-id ${tenant}` : ""}`}
      plan={
        <div className="grid gap-3 sm:grid-cols-2">
          <Choice
            label="Healing is"
            value={kind}
            options={[
              ["deny", "denied in it"],
              ["allow", "allowed in it only"],
            ]}
            onChange={setKind}
          />
          {rows.map(([name, words]) => (
            <label key={name} htmlFor={`${base}${name}`} className="text-sm text-soft">
              {words}
              <input
                id={`${base}${name}`}
                value={fields[name]}
                onChange={(event) => setFields({ ...fields, [name]: event.target.value })}
                autoComplete="off"
                className="field mono mt-1"
              />
            </label>
          ))}
        </div>
      }
      onConfirm={async () => {
        await guard(queries, "/windows", tenant, {
          ...fields,
          kind,
          stacks: fields.stacks
            .split(",")
            .map((each) => each.trim())
            .filter(Boolean),
        });
        toast(`Window ${fields.id} holds`);
      }}
    />
  );
}
