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

/** Columns over time that are links or buttons: click one to narrow the range to it. */
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
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset has looks of its own
    <div role="group" aria-label={label} className="flex items-end gap-px" style={{ height }}>
      {buckets.map((bucket, index) => (
        <button
          key={bucket.start}
          type="button"
          disabled={!onPick}
          onClick={() => onPick?.(index)}
          title={`${new Date(bucket.start).toLocaleString()}: ${Math.round(bucket.count)}`}
          aria-label={`${bucket.start}: ${Math.round(bucket.count)}`}
          className="group flex h-full min-w-0 flex-1 items-end"
        >
          <span
            className="w-full rounded-t-[1px] opacity-75 group-hover:opacity-100"
            style={{
              height: bucket.count > 0 ? `max(2px, ${(bucket.count / most) * 100}%)` : "1px",
              background:
                bucket.count > 0 ? TONE_COLOUR[bucket.tone ?? "wait"] : "var(--line-strong)",
            }}
          />
        </button>
      ))}
    </div>
  );
}
