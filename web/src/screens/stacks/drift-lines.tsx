import { Link } from "@tanstack/react-router";
import { Status } from "@/ui/status";
import { TimeAgo } from "@/ui/values";
import { driftTo, Place } from "./parts";
import type { Drift } from "./stack-queries";
import { short } from "./stack-words";

/** Drifts in few lines: where, what instead of what, since when. */
export function DriftLines({ drifts }: { drifts: readonly Drift[] }) {
  if (drifts.length === 0)
    return <p className="text-soft">It is as declared, as far as it could be seen.</p>;
  return (
    <ul className="flex flex-col divide-y divide-line rounded-md border border-line">
      {drifts.map((drift) => (
        <li key={drift.drift_id} className="px-3 py-2">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-0.5">
            <Status value={drift.severity} plain />
            <Link {...driftTo(drift)} className="link min-w-0 break-all">
              <Place drift={drift} />
            </Link>
          </div>
          <div className="text-sm text-soft">
            <span className="mono break-all">{short(drift.observed)}</span> instead of{" "}
            <span className="mono break-all">{short(drift.expected)}</span>
          </div>
          <div className="mt-0.5 flex flex-wrap gap-x-3 text-sm text-soft">
            <Status value={drift.state} plain />
            <span>
              since <TimeAgo at={drift.detected_at} />
            </span>
          </div>
        </li>
      ))}
    </ul>
  );
}
