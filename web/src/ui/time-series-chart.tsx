import "uplot/dist/uPlot.min.css";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import { clockTime, dateTime, short, type Zone } from "@/lib/format";
import { usePreference } from "@/lib/preferences";
import { TONE_COLOUR } from "./status";
import type { TimeSeriesProps } from "./time-series";

/** A colour variable as canvas needs it. */
function resolved(colour: string): string {
  const name = /var\((--[\w-]+)\)/.exec(colour)?.[1];
  return name ? getComputedStyle(document.documentElement).getPropertyValue(name).trim() : colour;
}

/** `14:05`, the day where it begins, and all of it where the crosshair is. */
function axisTime(seconds: number, zone: Zone, isWhole = false): string {
  const at = new Date(seconds * 1000);
  if (isWhole) return dateTime(at, zone).replace(/\.000/, "");
  const [hour, minute, second] = clockTime(at, zone).split(/[:.]/);
  if (hour === "00" && minute === "00" && second === "00") return dateTime(at, zone).slice(5, 10);
  return second === "00" ? `${hour}:${minute}` : `${hour}:${minute}:${second}`;
}

export default function TimeSeriesChart({
  at,
  series,
  label,
  height = 200,
  format = short,
  onRange,
  sync,
}: TimeSeriesProps) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>(undefined);
  const theme = usePreference("theme");
  const zone = usePreference("zone");
  const names = series.map((each) => `${each.name}:${each.tone}`).join();
  const latest = useRef({ onRange, format, at, series, zone });
  latest.current = { onRange, format, at, series, zone };

  // biome-ignore lint/correctness/useExhaustiveDependencies: new data is given to the chart below
  useEffect(() => {
    const target = place.current;
    if (!target) return;
    const axis: uPlot.Axis = {
      stroke: resolved("var(--soft)"),
      grid: { stroke: resolved("var(--line)"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    const options: uPlot.Options = {
      width: target.clientWidth,
      height,
      padding: [8, 8, 0, 0],
      legend: { live: true },
      cursor: {
        ...(sync ? { sync: { key: sync } } : {}),
        drag: { x: Boolean(latest.current.onRange), y: false, setScale: false },
      },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((tick) => axisTime(tick, latest.current.zone)) },
        {
          ...axis,
          size: 56,
          values: (_, ticks) => ticks.map((tick) => latest.current.format(tick)),
        },
      ],
      series: [
        {
          label: "",
          value: (_, at) => (at === null ? "" : axisTime(at, latest.current.zone, true)),
        },
        ...latest.current.series.map((each): uPlot.Series => {
          const colour = resolved(TONE_COLOUR[each.tone]);
          return {
            label: each.name,
            stroke: colour,
            width: 1.5,
            fill: `color-mix(in srgb, ${colour} 10%, transparent)`,
            points: { show: false },
            value: (_, value) => (value === null ? "–" : latest.current.format(value)),
          };
        }),
      ],
      hooks: {
        setSelect: [
          (self) => {
            const { left, width } = self.select;
            if (width < 4) return;
            latest.current.onRange?.(self.posToVal(left, "x"), self.posToVal(left + width, "x"));
            self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
      },
    };
    const made = new uPlot(options, data(latest.current.at, latest.current.series), target);
    chart.current = made;
    const watcher = new ResizeObserver(() => made.setSize({ width: target.clientWidth, height }));
    watcher.observe(target);
    return () => {
      watcher.disconnect();
      made.destroy();
      chart.current = undefined;
    };
  }, [names, theme, zone, height, sync]);

  useEffect(() => chart.current?.setData(data(at, series)), [at, series]);

  return (
    <figure aria-label={label} className="min-w-0">
      <div ref={place} className="min-w-0 text-sm" />
      <figcaption className="sr-only">
        {series.map((each) => {
          const known = each.values.filter((value) => value !== null);
          const last = known.at(-1);
          return `${each.name}: ${last === undefined ? "nothing" : format(last)} at last. `;
        })}
      </figcaption>
    </figure>
  );
}

function data(at: TimeSeriesProps["at"], series: TimeSeriesProps["series"]): uPlot.AlignedData {
  return [[...at], ...series.map((each) => [...each.values])];
}
