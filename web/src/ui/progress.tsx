import { cx } from "@/lib/cx";
import { TONE_COLOUR, type Tone } from "./status";

/** How far something is: a bar with its share; without one it is not known. */
export function Progress({
  value,
  label,
  tone = "wait",
  className,
}: {
  /** 0 to 1. */
  value: number | undefined;
  label: string;
  tone?: Tone;
  className?: string;
}) {
  const percent =
    value === undefined ? undefined : Math.round(Math.min(1, Math.max(0, value)) * 100);
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      {...(percent === undefined ? {} : { "aria-valuenow": percent })}
      className={cx("h-1.5 overflow-hidden rounded-full bg-line", className)}
    >
      <div
        className={cx(
          "h-full rounded-full transition-[width]",
          percent === undefined && "skeleton",
        )}
        style={{
          width: percent === undefined ? "100%" : `${percent}%`,
          background: TONE_COLOUR[tone],
        }}
      />
    </div>
  );
}
