import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Archive, RotateCcw } from "lucide-react";
import { useId, useState } from "react";
import { useMay } from "@/api/me";
import { count, middle } from "@/lib/format";
import { compact } from "@/lib/url";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Skeleton } from "@/ui/states";
import { beginJob, type Cause, previewQuery, type Span } from "./letter-queries";
import { command } from "./letter-words";

const PER_S = 20;

/** What can be done with all open letters of a group: try them again, or close them. */
export function GroupActs({
  cause,
  span = {},
  open,
}: {
  cause: Cause;
  span?: Span;
  /** How many are open. */
  open: number;
}) {
  const [asking, setAsking] = useState<"retry" | "discard">();
  const denied = useMay("operate", cause.tenant ?? "*");
  const none = open === 0 ? "None of these letters is open" : undefined;
  return (
    <>
      <Button
        kind="primary"
        icon={RotateCcw}
        disabledReason={denied ?? none}
        onClick={() => setAsking("retry")}
      >
        Retry all…
      </Button>
      <Button icon={Archive} disabledReason={denied ?? none} onClick={() => setAsking("discard")}>
        Discard all…
      </Button>
      {asking && (
        <Together what={asking} cause={cause} span={span} onClose={() => setAsking(undefined)} />
      )}
    </>
  );
}

function Together({
  what,
  cause,
  span,
  onClose,
}: {
  what: "retry" | "discard";
  cause: Cause;
  span: Span;
  onClose: () => void;
}) {
  const [perS, setPerS] = useState(String(PER_S));
  const [stopAfter, setStopAfter] = useState("10");
  const navigate = useNavigate();
  const preview = useQuery(previewQuery(what, cause, span));
  const rate = Number(perS);
  const stop = stopAfter === "" ? undefined : Number(stopAfter);
  const how = { perS: rate > 0 ? rate : PER_S, stopAfter: what === "retry" ? stop : undefined };
  const begin = async (note: string) => {
    const job = await beginJob(what, cause, span, { ...how, note });
    await navigate({
      to: "/dead-letters/group",
      search: compact({ ...cause, job: job.id }) as Record<string, string>,
    });
  };
  return (
    <Confirm
      open
      onClose={onClose}
      title={what === "retry" ? "Retry these letters" : "Discard these letters"}
      verb={
        preview.data
          ? `${what === "retry" ? "Retry" : "Discard"} ${count(preview.data.total)}`
          : what === "retry"
            ? "Retry"
            : "Discard"
      }
      danger={what === "discard"}
      {...(what === "discard" ? { reason: "needed" as const } : {})}
      cli={command(what, cause, span, how)}
      plan={
        <div className="flex flex-col gap-3">
          {preview.error ? (
            <p role="alert" className="text-bad">
              It cannot be told what this is about: {preview.error.message}
            </p>
          ) : preview.data ? (
            <Sample total={preview.data.total} sample={preview.data.sample} />
          ) : (
            <Skeleton lines={4} />
          )}
          <div className="grid grid-cols-2 gap-3">
            <NumberField label="Letters a second" value={perS} onChange={setPerS} least={0.1} />
            {what === "retry" && (
              <NumberField
                label="Stop after failures"
                value={stopAfter}
                onChange={setStopAfter}
                least={1}
              />
            )}
          </div>
        </div>
      }
      onConfirm={begin}
    >
      {what === "retry"
        ? "Each is read again as it came, or as it was edited, the oldest first. What is there already makes no second event; what fails again stays open. It goes on as a job that can be paused and cancelled."
        : "They are closed with your reason and stay in the log. A discarded letter cannot be tried again."}
    </Confirm>
  );
}

function NumberField({
  label,
  value,
  onChange,
  least,
}: {
  label: string;
  value: string;
  onChange: (text: string) => void;
  least: number;
}) {
  const id = useId();
  return (
    <div>
      <label htmlFor={id} className="text-sm text-soft">
        {label}
      </label>
      <input
        id={id}
        type="number"
        min={least}
        step="any"
        value={value}
        onChange={(event) => onChange(event.target.value)}
        className="field mt-1"
      />
    </div>
  );
}

function Sample({
  total,
  sample,
}: {
  total: number;
  sample: readonly { id: string; detail: string; recorded_at: string; event_id: string | null }[];
}) {
  return (
    <div className="rounded-md border border-line">
      <p className="border-b border-line bg-sunken px-3 py-1.5">
        <b>{count(total)}</b> open {total === 1 ? "letter" : "letters"}
        {total > sample.length && `, the oldest ${sample.length} of them`}
      </p>
      <ul
        className="max-h-40 overflow-y-auto px-3 py-1.5 text-sm"
        aria-label="Some of them"
        tabIndex={0}
      >
        {sample.map((letter) => (
          <li key={letter.id} className="flex gap-2">
            <span className="mono shrink-0 text-faint">
              {middle(letter.event_id ?? letter.id, 22)}
            </span>
            <span className="min-w-0 truncate text-soft" title={letter.detail}>
              {letter.detail}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
