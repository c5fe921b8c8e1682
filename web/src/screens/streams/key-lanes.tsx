import { useMemo } from "react";
import { type Lane, Lanes } from "@/ui/lanes";
import type { Tone } from "@/ui/status";
import type { Timeline } from "./streams-queries";

/** A lane for each leg of the contract, with the window of one verdict. */
export function KeyLanes({
  timeline,
  window: at,
  selected,
  onSelect,
}: {
  timeline: Timeline;
  /** Which window, the newest without it. */
  window?: number;
  selected?: string | undefined;
  onSelect?: (id: string) => void;
}) {
  const shown = timeline.windows.find((each) => each.window_id === at) ?? timeline.windows[0];
  const lanes = useMemo(() => timeline.lanes.map((lane) => laneOf(lane, shown)), [timeline, shown]);
  const times = useMemo(
    () =>
      shown && {
        window: { from: new Date(shown.start), to: new Date(shown.end) },
        grace: new Date(shown.closes_at),
      },
    [shown],
  );
  const watermark = useMemo(
    () => (timeline.watermark ? new Date(timeline.watermark) : undefined),
    [timeline.watermark],
  );
  return (
    <Lanes
      label={`Events of ${timeline.key}`}
      lanes={lanes}
      {...(times ?? {})}
      {...(watermark ? { watermark } : {})}
      selected={selected}
      {...(onSelect ? { onSelect } : {})}
    />
  );
}

function laneOf(
  lane: Timeline["lanes"][number],
  shown: Timeline["windows"][number] | undefined,
): Lane {
  const marks: Lane["marks"] = lane.events.map((event) => ({
    id: String(event.position),
    at: new Date(event.occurred_at),
    label: `${event.type}${event.is_late ? ", late" : ""}${event.is_duplicate ? ", one too many" : ""}`,
    tone: toneOfEvent(event),
  }));
  const missing = shown?.missing.find((each) => each.leg === lane.leg);
  const awaited: Lane["marks"] = missing
    ? [
        {
          id: `missing ${lane.leg}`,
          at: new Date(missing.deadline),
          label: `${lane.type} ${missing.overdue ? "was not seen" : "is awaited"}`,
          tone: missing.overdue ? "bad" : "wait",
          isMissing: true,
        },
      ]
    : [];
  return {
    id: lane.leg,
    name: lane.leg,
    note: [lane.source, lane.type].filter(Boolean).join(" · "),
    marks: [...marks, ...awaited],
  };
}

function toneOfEvent(event: { is_late: boolean; is_duplicate: boolean }): Tone {
  if (event.is_duplicate) return "bad";
  return event.is_late ? "warn" : "good";
}
