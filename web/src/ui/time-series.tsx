import { lazy, Suspense } from "react";
import type { Tone } from "./status";

export interface Series {
  name: string;
  tone: Tone;
  /** One for each instant of `at`; null: nothing is known. */
  values: readonly (number | null)[];
}

export interface TimeSeriesProps {
  /** Instants in seconds since 1970, rising. */
  at: readonly number[];
  series: readonly Series[];
  label: string;
  height?: number;
  /** A value as its axis and its legend show it. */
  format?: (value: number) => string;
  /** A range was drawn with the mouse, seconds since 1970. */
  onRange?: (from: number, to: number) => void;
  /** Charts of one page with the same word move their crosshair together. */
  sync?: string;
}

const Chart = lazy(() => import("./time-series-chart"));

/** A chart over time; its code comes when the first one is shown. */
export function TimeSeries(props: TimeSeriesProps) {
  const height = props.height ?? 200;
  return (
    <Suspense fallback={<div className="skeleton rounded" style={{ height }} />}>
      <Chart {...props} />
    </Suspense>
  );
}
