import { useQueryClient } from "@tanstack/react-query";
import { OctagonX, Pause, Play, Plus, Trash2 } from "lucide-react";
import { type ReactNode, useId, useMemo, useState } from "react";
import { useMay } from "@/api/me";
import { useOffer } from "@/app/palette-actions";
import { percent } from "@/lib/format";
import { Choice } from "@/screens/stacks/stack-acts";
import { Button, IconButton } from "@/ui/button";
import { Card, Stat } from "@/ui/card";
import { Confirm } from "@/ui/confirm";
import { Badge, Status, type Tone } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { toast } from "@/ui/toast";
import { TimeAgo } from "@/ui/values";
import { guard } from "./heal-queries";
import type { AllGuards } from "./heal-words";

const LENGTHS = [
  ["1", "for 1 hour"],
  ["4", "for 4 hours"],
  ["24", "for 24 hours"],
  ["", "until it is resumed"],
] as const;

function until(hours: string): string | null {
  return hours ? new Date(Date.now() + Number(hours) * 3_600_000).toISOString() : null;
}

function whose(tenant: string | null | undefined): string {
  return tenant ? `client ${tenant}` : "all clients";
}

/** Pausing all healing, and the switch that stops it at the next action. */
export function HoldActs({
  tenant,
  guards,
}: {
  tenant: string | undefined;
  guards: AllGuards | undefined;
}) {
  const [asks, setAsks] = useState<"pause" | "kill">();
  const [hours, setHours] = useState("1");
  const queries = useQueryClient();
  const denied = useMay("operate", tenant ?? "*");
  const mine = (each: { client: string | null }) => each.client === (tenant ?? null);
  const isPaused = guards?.suspensions.some(mine) ?? false;
  const isKilled = guards?.kill_switches.some(mine) ?? false;
  const close = () => setAsks(undefined);
  const offered = useMemo(
    () => [
      { words: "Pause healing", run: () => setAsks("pause"), disabledReason: denied },
      {
        words: "Kill switch: stop all healing",
        run: () => setAsks("kill"),
        disabledReason: denied,
      },
    ],
    [denied],
  );
  useOffer(offered);
  const of = tenant ? ` --client-id ${tenant}` : "";
  return (
    <>
      <Button
        icon={Pause}
        disabledReason={denied ?? (isPaused ? "It is paused" : undefined)}
        onClick={() => setAsks("pause")}
      >
        Pause healing
      </Button>
      <Button
        icon={OctagonX}
        kind="danger"
        disabledReason={denied ?? (isKilled ? "It is on" : undefined)}
        onClick={() => setAsks("kill")}
      >
        Kill switch
      </Button>
      <Confirm
        open={asks === "pause"}
        onClose={close}
        title={`Pause healing of ${whose(tenant)}`}
        verb="Pause"
        reason="needed"
        cli={`helios guards freeze${of}${hours ? ` --for ${hours}h` : ""} --reason …`}
        plan={<Choice label="How long" value={hours} options={LENGTHS} onChange={setHours} />}
        onConfirm={async (reason) => {
          await guard(queries, "/suspend", tenant, { reason, until: until(hours) });
          toast(`Healing of ${whose(tenant)} is paused`, {
            undo: () => guard(queries, "/resume", tenant, { reason: "taken back" }),
          });
        }}
      >
        Drift is still found and told of. What has begun is finished; what drifted meanwhile is
        looked at when it goes on.
      </Confirm>
      <Confirm
        open={asks === "kill"}
        onClose={close}
        title={`Stop all healing of ${whose(tenant)}`}
        verb="Stop healing"
        danger
        reason="needed"
        typeName={tenant ?? "all"}
        cli={`helios guards kill-switch on${of} --reason …`}
        onConfirm={async (reason) => {
          await guard(queries, "/kill-switch", tenant, { on: true, reason });
          toast("The kill switch is on", { tone: "bad" });
        }}
      >
        It stops before the next action, also in the middle of a plan, and stays so until somebody
        switches it off.
      </Confirm>
    </>
  );
}

/** What stops healing, where nobody can miss it. */
export function GuardBanners({ guards }: { guards: AllGuards }) {
  return (
    <>
      {guards.kill_switches.map((each) => (
        <Banner
          key={`kill ${each.client}`}
          tone="bg-bad-wash text-bad"
          icon={<OctagonX className="size-4.5 shrink-0" aria-hidden />}
          client={each.client}
          act="Switch it off"
          path="/kill-switch"
          body={{ on: false }}
          done="Healing goes on"
        >
          <b>The kill switch is on</b> for {whose(each.client)}: {each.reason} ({each.actor},{" "}
          <TimeAgo at={each.since} />)
        </Banner>
      ))}
      {guards.suspensions.map((each) => (
        <Banner
          key={`pause ${each.client}`}
          tone="bg-paused-wash text-paused"
          icon={<Pause className="size-4.5 shrink-0" aria-hidden />}
          client={each.client}
          act="Resume"
          path="/resume"
          body={{}}
          done="Healing goes on"
        >
          <b>Healing is paused</b> for {whose(each.client)}: {each.reason} ({each.actor},{" "}
          <TimeAgo at={each.since} />)
          {each.until ? (
            <>
              ; it ends <TimeAgo at={each.until} />
            </>
          ) : (
            "; until it is resumed"
          )}
        </Banner>
      ))}
    </>
  );
}

function Banner({
  tone,
  icon,
  client,
  act,
  path,
  body,
  done,
  children,
}: {
  tone: string;
  icon: ReactNode;
  client: string | null;
  act: string;
  path: string;
  body: object;
  done: string;
  children: ReactNode;
}) {
  const [isOpen, setOpen] = useState(false);
  const queries = useQueryClient();
  const denied = useMay("operate", client ?? "*");
  return (
    <div className={`flex flex-wrap items-center gap-3 rounded-md px-4 py-2.5 ${tone}`}>
      {icon}
      <span className="min-w-0 flex-1 basis-60">{children}</span>
      <Button size="sm" icon={Play} disabledReason={denied} onClick={() => setOpen(true)}>
        {act}
      </Button>
      <Confirm
        open={isOpen}
        onClose={() => setOpen(false)}
        title="Let healing go on"
        verb="Let it go on"
        reason="needed"
        cli={
          path === "/resume"
            ? `helios guards unfreeze${client ? ` --client-id ${client}` : ""}`
            : `helios guards kill-switch off${client ? ` --client-id ${client}` : ""} --reason …`
        }
        onConfirm={async (reason) => {
          await guard(queries, path, client, { ...body, reason });
          toast(done);
        }}
      >
        All that drifted meanwhile is looked at, and healed as its policy says.
      </Confirm>
    </div>
  );
}

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

function Breakers({ guards }: { guards: AllGuards }) {
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
        <Table
          label="Breakers"
          heads={["Of", "State", "Why", "Since", "Next try", { text: "", right: true }]}
        >
          {guards.breakers.map((each) => (
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
