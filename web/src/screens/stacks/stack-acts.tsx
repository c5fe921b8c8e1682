import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { HeartPulse, Pause, Pin, PinOff, Play, RefreshCw } from "lucide-react";
import { useMemo, useState } from "react";
import { useMay } from "@/api/me";
import { useOffer } from "@/app/palette-actions";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { toast, toastProblem } from "@/ui/toast";
import { DryPlan } from "./dry-plan";
import { stackTo } from "./parts";
import { command, type StackName } from "./stack-queries";

const HOURS = [
  ["1", "for 1 hour"],
  ["8", "for 8 hours"],
  ["24", "for 24 hours"],
  ["", "until it is resumed"],
] as const;

/** What can be done with a stack as a whole. */
export function StackActs({
  name,
  environment,
  paused,
  pinned,
  version,
}: {
  name: StackName;
  environment: string;
  /** How it is suspended. */
  paused: string | null;
  pinned?: number | null;
  version?: string;
}) {
  const [asks, setAsks] = useState<"pause" | "pin">();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const denied = useMay("operate", name.client, environment);
  const act = useMemo(
    () => ({
      look: async () => {
        await command(queries, name, "/reconcile", {
          heal: false,
          reason: "looked at in the console",
        });
        toast(`${name.stack} is being looked at`);
        void navigate(stackTo(name, { tab: "runs" }) as never);
      },
      resume: async () => {
        await command(queries, name, "/resume", { reason: "resumed in the console" });
        toast(`Healing of ${name.stack} goes on`);
      },
      unpin: async () => {
        await command(queries, name, "/unpin", { reason: "unpinned in the console" });
        toast(`${name.stack} takes new versions again`, {
          undo: () => command(queries, name, "/pin", { reason: "pinned again" }),
        });
      },
    }),
    [name, navigate, queries],
  );
  const told = (run: () => Promise<unknown>) => () => void run().catch(toastProblem);
  const offered = useMemo(
    () => [
      { words: `Look at ${name.stack} now`, run: act.look, disabledReason: denied },
      paused
        ? { words: `Resume ${name.stack}`, run: act.resume, disabledReason: denied }
        : { words: `Pause ${name.stack}`, run: () => setAsks("pause"), disabledReason: denied },
    ],
    [act, denied, name.stack, paused],
  );
  useOffer(offered);
  return (
    <>
      <Button icon={RefreshCw} disabledReason={denied} onClick={told(act.look)}>
        Look now
      </Button>
      {paused ? (
        <Button icon={Play} disabledReason={denied} onClick={told(act.resume)}>
          Resume
        </Button>
      ) : (
        <Button icon={Pause} disabledReason={denied} onClick={() => setAsks("pause")}>
          Pause
        </Button>
      )}
      {version !== undefined &&
        (pinned ? (
          <Button icon={PinOff} disabledReason={denied} onClick={told(act.unpin)}>
            Unpin
          </Button>
        ) : (
          <Button icon={Pin} disabledReason={denied} onClick={() => setAsks("pin")}>
            Pin
          </Button>
        ))}
      <PauseDialog name={name} open={asks === "pause"} onClose={() => setAsks(undefined)} />
      <Confirm
        open={asks === "pin"}
        onClose={() => setAsks(undefined)}
        title={`Pin ${name.stack} to ${version}`}
        verb="Pin"
        reason
        cli={`helios pin ${name.client}/${name.stack} --version ${version}`}
        onConfirm={async (reason) => {
          await command(queries, name, "/pin", { version, reason });
          toast(`${name.stack} stays at ${version}`, {
            undo: () => command(queries, name, "/unpin", { reason: "taken back" }),
          });
        }}
      >
        Other content is refused until it is unpinned. Healing goes on as before.
      </Confirm>
    </>
  );
}

function PauseDialog({
  name,
  open,
  onClose,
}: {
  name: StackName;
  open: boolean;
  onClose: () => void;
}) {
  const queries = useQueryClient();
  const [hours, setHours] = useState("1");
  const [mode, setMode] = useState<"heal_only" | "all">("heal_only");
  const length = hours ? ` --for ${hours}h` : "";
  return (
    <Confirm
      open={open}
      onClose={onClose}
      title={`Pause ${name.stack}`}
      verb="Pause"
      reason="needed"
      cli={`helios pause ${name.client}/${name.stack}${length} --mode ${mode} --reason …`}
      plan={
        <div className="grid gap-3 sm:grid-cols-2">
          <Choice
            label="What stops"
            value={mode}
            options={[
              ["heal_only", "Healing; drift is still found"],
              ["all", "Everything"],
            ]}
            onChange={(value) => setMode(value as "heal_only" | "all")}
          />
          <Choice label="How long" value={hours} options={HOURS} onChange={setHours} />
        </div>
      }
      onConfirm={async (reason) => {
        const until = hours ? new Date(Date.now() + Number(hours) * 3_600_000).toISOString() : null;
        await command(queries, name, "/pause", { mode, reason, until });
        toast(`${name.stack} is paused`, {
          undo: () => command(queries, name, "/resume", { reason: "taken back" }),
        });
      }}
    >
      Nothing that happens meanwhile is lost; what drifted is looked at when it goes on.
    </Confirm>
  );
}

export function Choice({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: string;
  options: readonly (readonly [value: string, words: string])[];
  onChange: (value: string) => void;
}) {
  return (
    <label className="text-sm text-soft">
      {label}
      <select
        value={value}
        onChange={(event) => onChange(event.target.value)}
        className="field mt-1"
      >
        {options.map(([each, words]) => (
          <option key={each} value={each}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Has drifts healed now, after showing the plan; goes to where it can be watched. */
export function HealButton({
  name,
  environment,
  drifts = [],
  size = "md",
  disabledReason,
}: {
  name: StackName;
  environment: string | undefined;
  /** Ids; none: all that can be. */
  drifts?: readonly string[];
  size?: "sm" | "md";
  disabledReason?: string | undefined;
}) {
  const [isOpen, setOpen] = useState(false);
  const queries = useQueryClient();
  const navigate = useNavigate();
  const denied = useMay("operate", name.client, environment);
  return (
    <>
      <Button
        size={size}
        icon={HeartPulse}
        kind="primary"
        disabledReason={denied ?? disabledReason}
        onClick={() => setOpen(true)}
      >
        {drifts.length > 0 ? "Heal" : "Heal all"}
      </Button>
      <Confirm
        open={isOpen}
        onClose={() => setOpen(false)}
        title={drifts.length > 0 ? "Heal this drift" : `Heal what drifts in ${name.stack}`}
        verb="Heal now"
        reason
        cli={`helios heal ${[`${name.client}/${name.stack}`, ...drifts].join(" ")}`}
        plan={isOpen ? <DryPlan name={name} only={drifts} /> : null}
        onConfirm={async (reason) => {
          const made = await command<{ plan_id: string }>(queries, name, "/heal", {
            drifts,
            reason,
          });
          toast("It is being carried out");
          void navigate({
            to: "/stacks/$client/$stack/plans/$id",
            params: { ...name, id: made.plan_id },
            search: {},
          } as never);
        }}
      >
        A plan is made from what is seen now and carried out. What needs approval waits for it.
      </Confirm>
    </>
  );
}
