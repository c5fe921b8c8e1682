import { useQueryClient } from "@tanstack/react-query";
import { OctagonX, Pause, Play } from "lucide-react";
import { type ReactNode, useMemo, useState } from "react";
import { useMay } from "@/api/me";
import { useOffer } from "@/app/palette-actions";
import { Choice } from "@/screens/stacks/stack-acts";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { toast } from "@/ui/toast";
import { TimeAgo } from "@/ui/values";
import { guard } from "./heal-queries";
import { type AllGuards, until, whose } from "./heal-words";

const LENGTHS = [
  ["1", "for 1 hour"],
  ["4", "for 4 hours"],
  ["24", "for 24 hours"],
  ["", "until it is resumed"],
] as const;

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
        Drift is still found and reported. What has begun is finished; what drifted meanwhile is
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
