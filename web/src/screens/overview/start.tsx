import { useNavigate } from "@tanstack/react-router";
import { Send } from "lucide-react";
import { useCallback, useState } from "react";
import { useMay } from "@/api/me";
import { useTenant } from "@/app/console-search";
import { cx } from "@/lib/cx";
import { count } from "@/lib/format";
import { Button } from "@/ui/button";
import { toast, toastProblem } from "@/ui/toast";
import { Command } from "@/ui/values";
import { type Overview, sendTestEvent } from "./overview-queries";
import { START } from "./overview-words";

/** Sends an event that is really appended, and goes to it. */
export function useTestEvent(): { send: () => Promise<void>; isBusy: boolean; denied?: string } {
  const tenant = useTenant() ?? "default";
  const denied = useMay("ingest", tenant);
  const navigate = useNavigate();
  const [isBusy, setBusy] = useState(false);
  const send = useCallback(async () => {
    setBusy(true);
    try {
      const position = await sendTestEvent(tenant);
      toast(`Event #${count(position)} is in the log of client ${tenant}`);
      await navigate({ to: "/events", search: { sel: String(position) } });
    } catch (error) {
      toastProblem(error);
    } finally {
      setBusy(false);
    }
  }, [navigate, tenant]);
  return denied ? { send, isBusy, denied } : { send, isBusy };
}

function TestEventButton({ kind }: { kind: "plain" | "primary" }) {
  const { send, isBusy, denied } = useTestEvent();
  return (
    <Button kind={kind} icon={Send} busy={isBusy} disabledReason={denied} onClick={send}>
      Send a test event
    </Button>
  );
}

const STEPS = ["send_event", "declare_contract", "declare_stack"] as const;

/** From nothing to something that is kept true: three commands, and the way to look first. */
export function QuickStart({ empty }: { empty: Overview["empty"] }) {
  const isDone = {
    send_event: !empty.events,
    declare_contract: !empty.contracts,
    declare_stack: !empty.stacks,
  };
  return (
    <section
      aria-labelledby="start"
      className="rounded-xl border border-line bg-card p-4 shadow-card sm:p-5"
    >
      <div className="flex flex-wrap items-center gap-x-4 gap-y-3">
        <div className="min-w-0 flex-1 basis-64">
          <h2 id="start" className="text-lg font-semibold">
            {empty.events ? "Begin with an event" : "The next step"}
          </h2>
          <p className="text-soft">
            Three commands from nothing to something that is kept true. Each can be run as it is
            from a checkout.
          </p>
        </div>
        <TestEventButton kind={empty.events ? "primary" : "plain"} />
      </div>
      <ol className="mt-4 grid gap-4 lg:grid-cols-3">
        {STEPS.map((name, index) => (
          <li key={name} className="flex min-w-0 flex-col gap-2">
            <div className="flex items-center gap-2">
              <span
                className={cx(
                  "grid size-6 shrink-0 place-items-center rounded-full text-sm font-semibold",
                  isDone[name]
                    ? "bg-good-wash text-good"
                    : empty.start === name
                      ? "bg-sun-wash text-sun-ink"
                      : "bg-sunken text-soft",
                )}
              >
                {index + 1}
              </span>
              <h3 className="font-semibold">{START[name].title}</h3>
              {isDone[name] && <span className="text-sm text-good">done</span>}
            </div>
            <p className="text-sm text-soft">{START[name].note}</p>
            <div className="mt-auto">
              <Command line={START[name].command} />
            </div>
          </li>
        ))}
      </ol>
      {empty.events && (
        <div className="mt-4 flex flex-wrap items-center gap-x-3 gap-y-2 border-t border-line pt-4">
          <p className="text-soft">
            Or watch the demo: a shop over three clouds, with faults that are found and healed.
          </p>
          <div className="min-w-0 flex-1 basis-56 sm:max-w-xs">
            <Command line="helios demo --port 8431" />
          </div>
        </div>
      )}
    </section>
  );
}
