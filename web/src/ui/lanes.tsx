import { scale, ticks } from "@/lib/axis";
import { cx } from "@/lib/cx";
import { clockTime, duration } from "@/lib/format";
import { usePreference } from "@/lib/preferences";
import { TONE_COLOUR, TONE_TEXT, type Tone } from "./status";

export interface LaneMark {
  id: string;
  at: Date;
  /** What it is; read out, and shown on hover. */
  label: string;
  tone: Tone;
  /** Dashed and hollow: awaited, and not there. */
  isMissing?: boolean;
}

export interface Lane {
  id: string;
  name: string;
  note?: string;
  marks: readonly LaneMark[];
}

const HEAD_PX = 22;
const LANE_PX = 44;
const NAME_PX = 120;

/**
 * Events of several sources on one axis of time: a lane for each, the window behind, and what is
 * missing as a hollow mark at its deadline. The list below tells the same without a picture.
 */
export function Lanes({
  lanes,
  window,
  watermark,
  label,
  width = 720,
  selected,
  onSelect,
}: {
  lanes: readonly Lane[];
  /** The time that counts; shaded. */
  window?: { from: Date; to: Date };
  /** Nothing earlier is awaited any more. */
  watermark?: Date;
  label: string;
  width?: number;
  selected?: string;
  onSelect?: (id: string) => void;
}) {
  const zone = usePreference("zone");
  const times = [
    ...lanes.flatMap((lane) => lane.marks.map((mark) => mark.at.getTime())),
    ...(window ? [window.from.getTime(), window.to.getTime()] : []),
    ...(watermark ? [watermark.getTime()] : []),
  ];
  if (times.length === 0) return null;
  const x = scale(Math.min(...times), Math.max(...times), NAME_PX + 24, width - 16);
  const height = HEAD_PX + lanes.length * LANE_PX + 8;
  const first = Math.min(...times);
  return (
    <section aria-label={label} tabIndex={0} className="overflow-x-auto">
      <svg
        viewBox={`0 0 ${width} ${height}`}
        width={width}
        aria-hidden="true"
        className="block h-auto w-full max-w-5xl min-w-140"
        preserveAspectRatio="xMinYMin meet"
      >
        {window && (
          <rect
            x={x(window.from.getTime())}
            y={HEAD_PX}
            width={Math.max(2, x(window.to.getTime()) - x(window.from.getTime()))}
            height={height - HEAD_PX - 4}
            fill="var(--sun)"
            opacity={0.1}
            rx={4}
          />
        )}
        {ticks(first, Math.max(...times)).map((tick) => (
          <g key={tick}>
            <line x1={x(tick)} x2={x(tick)} y1={HEAD_PX} y2={height - 4} stroke="var(--line)" />
            <text
              x={x(tick)}
              y={14}
              textAnchor={x(tick) > width - 40 ? "end" : "middle"}
              fill="var(--faint)"
              fontSize={11}
            >
              {tick === first
                ? clockTime(new Date(tick), zone)
                : `+${duration((tick - first) / 1000)}`}
            </text>
          </g>
        ))}
        {watermark && (
          <line
            x1={x(watermark.getTime())}
            x2={x(watermark.getTime())}
            y1={HEAD_PX}
            y2={height - 4}
            stroke="var(--edge)"
            strokeDasharray="2 3"
          />
        )}
        {lanes.map((lane, index) => {
          const y = HEAD_PX + index * LANE_PX + LANE_PX / 2;
          return (
            <g key={lane.id}>
              <text x={0} y={y - 1} fill="var(--ink)" fontSize={13} fontWeight={600}>
                {lane.name}
              </text>
              <text x={0} y={y + 14} fill="var(--faint)" fontSize={11}>
                {lane.note}
              </text>
              <line x1={NAME_PX} x2={width} y1={y} y2={y} stroke="var(--line-strong)" />
              {lane.marks.map((mark) => (
                // biome-ignore lint/a11y/noStaticElementInteractions: the list below has the same as buttons
                <g
                  key={mark.id}
                  onClick={() => onSelect?.(mark.id)}
                  className={cx(onSelect && "cursor-pointer")}
                >
                  <title>{`${mark.label}, ${clockTime(mark.at, zone)}`}</title>
                  {mark.id === selected && (
                    <circle
                      cx={x(mark.at.getTime())}
                      cy={y}
                      r={12}
                      fill="var(--sun)"
                      opacity={0.3}
                    />
                  )}
                  <circle
                    cx={x(mark.at.getTime())}
                    cy={y}
                    r={7}
                    fill={mark.isMissing ? "var(--card)" : TONE_COLOUR[mark.tone]}
                    stroke={mark.isMissing ? TONE_COLOUR[mark.tone] : "var(--card)"}
                    strokeWidth={2}
                    strokeDasharray={mark.isMissing ? "3 2.5" : undefined}
                  />
                </g>
              ))}
            </g>
          );
        })}
      </svg>
      <ul className="sr-only">
        {lanes.map((lane) =>
          lane.marks.map((mark) => (
            <li key={mark.id} className={TONE_TEXT[mark.tone]}>
              {lane.name}: {mark.label}, {mark.isMissing ? "awaited until" : "at"}{" "}
              {clockTime(mark.at, zone)}
            </li>
          )),
        )}
      </ul>
    </section>
  );
}
