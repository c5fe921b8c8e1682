import { ZoomIn, ZoomOut } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { foldedAxis, placeOn, type Stretch, ticks } from "@/lib/axis";
import { cx } from "@/lib/cx";
import { clockTime, duration } from "@/lib/format";
import { usePreference } from "@/lib/preferences";
import { Button, IconButton } from "./button";
import { TONE_COLOUR, TONE_TEXT, type Tone } from "./status";

interface LaneMark {
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

interface LanesProps {
  lanes: readonly Lane[];
  /** The time that counts; shaded. */
  window?: { from: Date; to: Date };
  /** Until when what is late is still waited for, after the window; hatched. */
  grace?: Date;
  /** Nothing earlier is awaited any more. */
  watermark?: Date;
  label: string;
  selected?: string | undefined;
  onSelect?: (id: string) => void;
}

const HEAD_PX = 26;
const LANE_PX = 46;
/** Of the names of lanes, where there is little room and where there is enough. */
const NAMES = { narrow: { px: 132, most: 22 }, wide: { px: 178, most: 30 } };
const WIDE_PX = 720;
const END_PX = 84;
const LEAST_PX = 480;
const NEAR_PX = 13;
const LABEL_PX = 74;
const ZOOMS = [1, 2, 4, 8, 16];

/**
 * Events of several sources on one axis of time: a lane for each, the window behind, and what is
 * missing as a hollow mark at its deadline. The list below tells the same without a picture.
 *
 * Long idle times are drawn short, unless the reader asks for the true length.
 */
export function Lanes(props: LanesProps) {
  const { lanes, window: span, grace, watermark, label } = props;
  const zone = usePreference("zone");
  const [zoom, setZoom] = useState(1);
  const [isTrue, setTrue] = useState(false);
  const [place, room] = useWidth();
  const instants = useMemo(
    () =>
      [
        ...lanes.flatMap((lane) => lane.marks.map((mark) => mark.at)),
        ...(span ? [span.from, span.to] : []),
        ...(grace ? [grace] : []),
        ...(watermark ? [watermark] : []),
      ].map((at) => at.getTime()),
    [lanes, span, grace, watermark],
  );
  const canFold = useMemo(
    () => foldedAxis(instants, 0, 1_000).some((stretch) => stretch.isFolded),
    [instants],
  );
  if (instants.length === 0) return null;
  const width = Math.max(room, LEAST_PX) * zoom;
  const names = room < WIDE_PX ? NAMES.narrow : NAMES.wide;
  const axis = foldedAxis(instants, names.px + 14, width - END_PX, !isTrue);
  const at = ZOOMS.indexOf(zoom);
  return (
    <div>
      <div className="mb-1 flex flex-wrap items-center gap-1">
        <Legend span={span} grace={grace} watermark={watermark} lanes={lanes} />
        <span className="flex-1" />
        {canFold && (
          <Button size="sm" kind="quiet" aria-pressed={isTrue} onClick={() => setTrue(!isTrue)}>
            {isTrue ? "Fold idle time" : "True lengths"}
          </Button>
        )}
        <IconButton
          icon={ZoomOut}
          label="Zoom out"
          size="sm"
          disabled={at === 0}
          onClick={() => setZoom(ZOOMS[at - 1] ?? 1)}
        />
        <span className="w-9 text-center text-sm text-soft">{zoom}×</span>
        <IconButton
          icon={ZoomIn}
          label="Zoom in"
          size="sm"
          disabled={at === ZOOMS.length - 1}
          onClick={() => setZoom(ZOOMS[at + 1] ?? zoom)}
        />
      </div>
      <section ref={place} aria-label={label} tabIndex={0} className="overflow-x-auto">
        <Picture {...props} axis={axis} width={width} names={names} />
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
    </div>
  );
}

/** The width that there is; it changes with the window and with the panel beside. */
function useWidth() {
  const place = useRef<HTMLElement>(null);
  const [width, setWidth] = useState(LEAST_PX);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const watch = new ResizeObserver(([entry]) => {
      if (entry) setWidth(Math.floor(entry.contentRect.width));
    });
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  return [place, width] as const;
}

function Picture({
  lanes,
  window: span,
  grace,
  watermark,
  selected,
  onSelect,
  axis,
  width,
  names,
}: LanesProps & {
  axis: readonly Stretch[];
  width: number;
  names: { px: number; most: number };
}) {
  const zone = usePreference("zone");
  const place = placeOn(axis, names.px + 14, width - END_PX);
  const x = (when: Date) => place(when.getTime());
  const height = HEAD_PX + lanes.length * LANE_PX + 4;
  const first = axis[0]?.from ?? span?.from.getTime() ?? 0;
  return (
    <svg width={width} height={height} aria-hidden="true" className="block text-xs">
      <defs>
        <pattern id="lanes-grace" width="6" height="6" patternUnits="userSpaceOnUse">
          <path d="M0 6L6 0" stroke="var(--sun)" strokeWidth="1" opacity="0.45" />
        </pattern>
      </defs>
      {span && <Band from={x(span.from)} to={x(span.to)} height={height} kind="window" />}
      {span && grace && <Band from={x(span.to)} to={x(grace)} height={height} kind="grace" />}
      {axis.map((stretch) =>
        stretch.isFolded ? (
          <Fold key={stretch.from} stretch={stretch} height={height} />
        ) : (
          <Ticks key={stretch.from} stretch={stretch} first={first} height={height} />
        ),
      )}
      {watermark && (
        <line
          x1={x(watermark)}
          x2={x(watermark)}
          y1={HEAD_PX - 4}
          y2={height - 4}
          stroke="var(--paused)"
          strokeWidth={1.5}
          strokeDasharray="2 3"
        />
      )}
      {lanes.map((lane, index) => (
        <g key={lane.id} transform={`translate(0 ${HEAD_PX + index * LANE_PX + LANE_PX / 2})`}>
          <text x={0} y={-1} fill="var(--ink)" fontSize={13} fontWeight={600}>
            {clip(lane.name, names.most - 5)}
          </text>
          <text x={0} y={14} fill="var(--faint)" fontSize={11}>
            {clip(lane.note ?? "", names.most)}
            <title>{lane.note}</title>
          </text>
          <line x1={names.px} x2={width} y1={0} y2={0} stroke="var(--line-strong)" />
          {placed(lane.marks, x).map(({ mark, left, shift, room }) => (
            // biome-ignore lint/a11y/noStaticElementInteractions: a list beside has the same as links
            <g
              key={mark.id}
              transform={`translate(${left} ${shift})`}
              onClick={() => onSelect?.(mark.id)}
              className={cx(onSelect && "cursor-pointer")}
            >
              <title>{`${mark.label}, ${clockTime(mark.at, zone)}`}</title>
              {mark.isMissing && span && (
                <line
                  x1={Math.min(0, x(span.from) - left)}
                  x2={-8}
                  y1={0}
                  y2={0}
                  stroke={TONE_COLOUR[mark.tone]}
                  strokeWidth={2}
                  strokeDasharray="4 4"
                />
              )}
              {mark.id === selected && <circle r={12} fill="var(--sun)" opacity={0.3} />}
              <circle
                r={7}
                fill={mark.isMissing ? "var(--card)" : TONE_COLOUR[mark.tone]}
                stroke={mark.isMissing ? TONE_COLOUR[mark.tone] : "var(--card)"}
                strokeWidth={2}
                strokeDasharray={mark.isMissing ? "3 2.5" : undefined}
              />
              {room >= LABEL_PX && (
                <text
                  x={12}
                  y={4}
                  fontSize={11}
                  fill={mark.isMissing ? TONE_COLOUR[mark.tone] : "var(--soft)"}
                  stroke="var(--card)"
                  strokeWidth={3}
                  paintOrder="stroke"
                >
                  {mark.isMissing
                    ? `due ${clockTime(mark.at, zone).slice(0, 8)}`
                    : mark.at.getTime() === first
                      ? "first"
                      : `+${duration((mark.at.getTime() - first) / 1000)}`}
                </text>
              )}
            </g>
          ))}
        </g>
      ))}
    </svg>
  );
}

/** Marks with their places; those that would cover each other stand a little higher and lower. */
function placed(marks: readonly LaneMark[], x: (at: Date) => number) {
  const sorted = marks.toSorted((one, other) => one.at.getTime() - other.at.getTime());
  const lefts = sorted.map((mark) => x(mark.at));
  return sorted.map((mark, n) => {
    const left = lefts[n] ?? 0;
    const before = lefts[n - 1];
    const after = lefts[n + 1];
    const isNear =
      (before !== undefined && left - before < NEAR_PX) ||
      (after !== undefined && after - left < NEAR_PX);
    return {
      mark,
      left,
      shift: isNear ? (n % 2 === 0 ? -6 : 6) : 0,
      room: (after ?? left + 2 * LABEL_PX) - left,
    };
  });
}

function clip(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function Band({
  from,
  to,
  height,
  kind,
}: {
  from: number;
  to: number;
  height: number;
  kind: "window" | "grace";
}) {
  return (
    <rect
      x={from}
      y={HEAD_PX - 4}
      width={Math.max(1, to - from)}
      height={height - HEAD_PX}
      fill={kind === "window" ? "var(--sun)" : "url(#lanes-grace)"}
      opacity={kind === "window" ? 0.12 : 1}
    />
  );
}

function Ticks({ stretch, first, height }: { stretch: Stretch; first: number; height: number }) {
  const zone = usePreference("zone");
  const most = Math.max(1, Math.floor((stretch.right - stretch.left) / 90));
  const isFirst = stretch.from === first;
  const all = ticks(stretch.from, stretch.to, most);
  return all.map((tick, n) => {
    const share = (tick - stretch.from) / (stretch.to - stretch.from || 1);
    const left = stretch.left + share * (stretch.right - stretch.left);
    const isClock = n === 0;
    // What follows a stretch has a text of its own.
    const isRoom = n === 0 || stretch.right - left > LABEL_PX / 2;
    return (
      <g key={tick}>
        <line x1={left} x2={left} y1={HEAD_PX - 4} y2={height - 4} stroke="var(--line)" />
        {isRoom && (
          <text
            x={left}
            y={14}
            textAnchor={isClock && isFirst ? "start" : "middle"}
            fill="var(--faint)"
            fontSize={11}
          >
            {isClock
              ? clockTime(new Date(tick), zone).slice(0, 8)
              : `+${duration((tick - first) / 1000)}`}
          </text>
        )}
      </g>
    );
  });
}

/** Idle time that is drawn short: how long it really is. */
function Fold({ stretch, height }: { stretch: Stretch; height: number }) {
  const middle = (stretch.left + stretch.right) / 2;
  return (
    <g>
      <title>{`${duration((stretch.to - stretch.from) / 1000)} in which nothing came`}</title>
      <rect
        x={stretch.left}
        y={HEAD_PX - 4}
        width={stretch.right - stretch.left}
        height={height - HEAD_PX}
        fill="var(--sunken)"
      />
      {[-3, 3].map((shift) => (
        <path
          key={shift}
          d={zigzag(middle + shift, HEAD_PX - 4, height - 4)}
          fill="none"
          stroke="var(--line-strong)"
        />
      ))}
      <text x={middle} y={14} textAnchor="middle" fill="var(--faint)" fontSize={10}>
        {duration((stretch.to - stretch.from) / 1000)
          .split(" ")
          .slice(0, 2)
          .join(" ")}
      </text>
    </g>
  );
}

function zigzag(x: number, from: number, to: number): string {
  const steps = Math.max(2, Math.round((to - from) / 8));
  const points = Array.from(
    { length: steps + 1 },
    (_, n) => `${x + (n % 2 === 0 ? -2 : 2)} ${from + ((to - from) / steps) * n}`,
  );
  return `M${points.join("L")}`;
}

function Legend({
  span,
  grace,
  watermark,
  lanes,
}: {
  span: LanesProps["window"];
  grace: Date | undefined;
  watermark: Date | undefined;
  lanes: readonly Lane[];
}) {
  const isMissing = lanes.some((lane) => lane.marks.some((mark) => mark.isMissing));
  const items: [string, string][] = [];
  if (span) items.push(["size-3 rounded-sm bg-sun/20", "window"]);
  if (grace) items.push(["size-3 rounded-sm border border-dashed border-sun", "grace"]);
  if (watermark) items.push(["h-3 border-l-2 border-dotted border-paused", "watermark"]);
  if (isMissing)
    items.push([
      "size-3 rounded-full border-2 border-dashed border-bad",
      "missing, at its deadline",
    ]);
  return (
    <ul
      className="flex flex-wrap items-center gap-x-3 gap-y-1 text-xs text-soft"
      aria-label="Signs"
    >
      {items.map(([mark, text]) => (
        <li key={text} className="flex items-center gap-1.5">
          <span aria-hidden className={mark} />
          {text}
        </li>
      ))}
    </ul>
  );
}
