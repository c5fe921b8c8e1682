import { useQueryClient } from "@tanstack/react-query";
import { BellOff, Check, EyeOff } from "lucide-react";
import { useId, useState } from "react";
import { useMay } from "@/api/me";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { toast } from "@/ui/toast";
import { Choice, HealButton } from "./stack-acts";
import { command, type Drift } from "./stack-queries";
import { placeOf } from "./stack-words";

const OVER = new Set(["healed", "resolved_externally", "superseded", "false_positive"]);
const UNDER_WAY = new Set(["healing", "verifying"]);

/** What can be done about one drift. */
export function DriftActs({ drift }: { drift: Drift }) {
  const [asks, setAsks] = useState<"acknowledge" | "false-positive" | "ignore">();
  const queries = useQueryClient();
  const name = { client: drift.client_id, stack: drift.stack_id };
  const denied = useMay("operate", drift.client_id);
  const close = () => setAsks(undefined);
  const id = encodeURIComponent(drift.drift_id);
  const cli = `${drift.client_id}/${drift.stack_id} ${drift.drift_id}`;
  if (OVER.has(drift.state)) return null;
  return (
    <>
      <HealButton
        name={name}
        environment={undefined}
        drifts={[drift.drift_id]}
        disabledReason={
          UNDER_WAY.has(drift.state)
            ? "It is being healed"
            : drift.healable
              ? undefined
              : "No action is known that mends it"
        }
      />
      <Button
        icon={Check}
        disabledReason={
          denied ?? (drift.state === "acknowledged" ? "It is acknowledged" : undefined)
        }
        onClick={() => setAsks("acknowledge")}
      >
        Acknowledge
      </Button>
      <Button icon={EyeOff} disabledReason={denied} onClick={() => setAsks("false-positive")}>
        False positive
      </Button>
      <Button icon={BellOff} disabledReason={denied} onClick={() => setAsks("ignore")}>
        Ignore…
      </Button>
      <Confirm
        open={asks === "acknowledge"}
        onClose={close}
        title="Acknowledge this drift"
        verb="Acknowledge"
        reason
        cli={`helios drift ack ${cli}`}
        onConfirm={async (reason) => {
          await command(queries, name, `/drift/${id}/acknowledge`, { reason });
          toast(`${placeOf(drift)} is acknowledged`);
        }}
      >
        It is known, and not reported again until it changes. Nothing is healed by this.
      </Confirm>
      <Confirm
        open={asks === "false-positive"}
        onClose={close}
        title="This is no drift"
        verb="Close as false positive"
        reason
        cli={`helios drift false-positive ${cli}`}
        onConfirm={async (reason) => {
          await command(queries, name, `/drift/${id}/false-positive`, { reason });
          toast(`${placeOf(drift)} is closed as a false positive`);
        }}
      >
        It is closed, and what saw it is trusted less.
      </Confirm>
      {asks === "ignore" && <IgnoreDialog drift={drift} onClose={close} />}
    </>
  );
}

const EFFECTS = [
  ["alarm", "Tell of it no more"],
  ["heal", "Tell of it, and do not heal it"],
  ["own", "Somebody else's: neither compare nor write it"],
] as const;
const DAYS = [
  ["1", "1 day"],
  ["7", "1 week"],
  ["30", "30 days"],
  ["", "until the rule is removed"],
] as const;

/** A rule for what somebody knows of. */
function IgnoreDialog({ drift, onClose }: { drift: Drift; onClose: () => void }) {
  const queries = useQueryClient();
  const [component, setComponent] = useState(drift.component);
  const [path, setPath] = useState(drift.path);
  const [effect, setEffect] = useState("alarm");
  const [owner, setOwner] = useState("");
  const [days, setDays] = useState("7");
  const ids = [useId(), useId(), useId()];
  const name = { client: drift.client_id, stack: drift.stack_id };
  const fields = [
    ["Component, * for any characters", component, setComponent],
    ["Field, as a JSON pointer; empty: the whole", path, setPath],
    ["Whose it is", owner, setOwner],
  ] as const;
  return (
    <Confirm
      open
      onClose={onClose}
      title="Ignore this difference"
      verb="Make the rule"
      reason="needed"
      cli={`helios drift ignore ${drift.client_id}/${drift.stack_id} --component '${component}' --path '${path}' --effect ${effect} --reason …`}
      plan={
        <div className="grid gap-3 sm:grid-cols-2">
          {fields.map(([label, value, change], index) => (
            <label key={label} htmlFor={ids[index]} className="text-sm text-soft">
              {label}
              <input
                id={ids[index]}
                value={value}
                onChange={(event) => change(event.target.value)}
                autoComplete="off"
                className="field mono mt-1"
              />
            </label>
          ))}
          <Choice label="Until" value={days} options={DAYS} onChange={setDays} />
          <div className="sm:col-span-2">
            <Choice label="What it does" value={effect} options={EFFECTS} onChange={setEffect} />
          </div>
        </div>
      }
      onConfirm={async (reason) => {
        const until = days ? new Date(Date.now() + Number(days) * 86_400_000).toISOString() : null;
        await command(queries, name, "/rules", {
          component,
          path,
          effect,
          owner,
          reason,
          expires_at: until,
        });
        toast("The rule holds from now on");
      }}
    />
  );
}
