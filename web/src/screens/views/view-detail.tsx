import { Link, type LinkProps } from "@tanstack/react-router";
import { count, duration, percent, rate } from "@/lib/format";
import { Facts, Section } from "@/ui/page";
import { Progress } from "@/ui/progress";
import { Sparkline } from "@/ui/sparkline";
import { Status, toneOf } from "@/ui/status";
import { Command, Id } from "@/ui/values";
import { paces } from "./use-views";
import { ViewOperations } from "./view-acts";
import { SERVES, share, stateOf, type View } from "./view-words";

/** How one view is doing, and what it is for. */
export function ViewDetail({ view }: { view: View }) {
  const serves = SERVES[view.view];
  const state = stateOf(view);
  const speed = paces.rate(view.view);
  const spark = paces.spark(view.view);
  return (
    <>
      <ViewOperations view={view.view} />
      {view.error && <Broken view={view} />}
      <Facts
        items={[
          ["State", <Status key="state" value={state} />],
          serves && [
            "Serves",
            serves.to ? (
              <Link key="to" {...({ to: serves.to } as unknown as LinkProps)} className="link">
                {serves.text}
              </Link>
            ) : (
              serves.text
            ),
          ],
          [
            "Position",
            <span key="position">
              #{count(view.position)} of #{count(view.head)}
              <span className="text-soft"> · {percent(share(view))}</span>
              <Progress
                value={share(view)}
                tone={toneOf(state)}
                label={`${view.view} has read`}
                className="mt-1 max-w-64"
              />
            </span>,
          ],
          ["Lag", `${count(view.lag_events)} events, ${duration(view.lag_s)}`],
          [
            "Rate",
            <span key="rate" className="flex items-center gap-3">
              {speed === undefined ? "being measured" : rate(speed)}
              {spark.length > 1 && (
                <Sparkline values={spark} label="Events a second since the page was opened" />
              )}
            </span>,
          ],
          ["Version", `${view.version} of its code`],
        ]}
      />
      <Section title="What can be done">
        <p className="text-soft">
          A view is folded from the log and holds nothing of its own, so it can be compared with the
          log and built anew at any time, while it serves.
        </p>
        <div className="mt-2 flex flex-col gap-1.5">
          <Command line={`helios views verify ${view.view}`} />
          <Command line={`helios views rebuild ${view.view}`} />
        </div>
      </Section>
    </>
  );
}

/** The event that it cannot take, and what to do. */
function Broken({ view }: { view: View }) {
  return (
    <div role="alert" className="mb-4 rounded-lg bg-bad-wash px-3 py-2.5 text-bad">
      <p className="font-medium break-words">{view.error}</p>
      {view.failed_position !== null && (
        <p className="mt-1 text-sm">
          It cannot take{" "}
          <Link
            to="/events/$position"
            params={{ position: String(view.failed_position) }}
            className="underline"
          >
            event #{count(view.failed_position)}
          </Link>
          {view.failed_event_id && (
            <>
              {" "}
              <Id value={view.failed_event_id} />
            </>
          )}
          . It is tried again and again; all other views go on. Mend the cause and rebuild it.
        </p>
      )}
    </div>
  );
}
