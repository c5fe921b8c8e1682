import type { MouseEvent } from "react";
import { cx } from "@/lib/cx";
import { sparkPath } from "@/lib/spark";
import { TONE_COLOUR, type Tone } from "./status";

/** A small line without axes; its meaning is in `label`. */
export function Sparkline({
  values,
  label,
  tone,
  width = 96,
  height = 24,
  className,
}: {
  values: readonly number[];
  /** What it shows, for who cannot see it: "Events a second, last hour". */
  label: string;
  tone?: Tone;
  width?: number;
  height?: number;
  className?: string;
}) {
  const { line, area } = sparkPath(values, width, height);
  const colour = tone ? TONE_COLOUR[tone] : "var(--sun)";
  return (
    <svg
      role="img"
      aria-label={label}
      viewBox={`0 0 ${width} ${height}`}
      width={width}
      height={height}
      preserveAspectRatio="none"
      className={cx("overflow-visible", className)}
    >
      <path d={area} fill={colour} opacity={0.14} />
      <path
        d={line}
        fill="none"
        stroke={colour}
        strokeWidth={1.5}
        strokeLinejoin="round"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
}

/**
 * Columns over time; a click picks one. A picture to who cannot see it: columns are too narrow to be
 * aimed at one by one, and the same is done with the time range.
 */
export function Histogram({
  buckets,
  label,
  onPick,
  height = 40,
}: {
  buckets: readonly { start: string; count: number; tone?: Tone }[];
  label: string;
  onPick?: (index: number) => void;
  height?: number;
}) {
  const most = Math.max(1, ...buckets.map((bucket) => bucket.count));
  const pick = (event: MouseEvent<HTMLDivElement>) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    const index = Math.floor(((event.clientX - left) / width) * buckets.length);
    onPick?.(Math.min(Math.max(index, 0), buckets.length - 1));
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: see above
    <div
      role="img"
      aria-label={`${label}; at most ${Math.round(most)} in one of ${buckets.length} columns`}
      onClick={onPick ? pick : undefined}
      className={cx("flex items-end", onPick && "cursor-pointer")}
      style={{ height }}
    >
      {buckets.map((bucket) => (
        <span
          key={bucket.start}
          title={`${new Date(bucket.start).toLocaleString()}: ${Math.round(bucket.count)}`}
          className="group flex h-full min-w-0 flex-1 items-end pr-px"
        >
          <span
            className="w-full rounded-t-[1px] opacity-75 group-hover:opacity-100"
            style={{
              height: bucket.count > 0 ? `max(2px, ${(bucket.count / most) * 100}%)` : "1px",
              background:
                bucket.count > 0 ? TONE_COLOUR[bucket.tone ?? "wait"] : "var(--line-strong)",
            }}
          />
        </span>
      ))}
    </div>
  );
}
