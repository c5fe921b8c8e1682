import { Boxes, Download, HeartPulse, Layers, ListTree, ScrollText } from "lucide-react";
import { cx } from "@/lib/cx";
import { count, duration, rate, short } from "@/lib/format";
import type { Icon } from "@/ui/button";
import { Sparkline } from "@/ui/sparkline";
import { TONE_ICON, TONE_TEXT, TONE_WASH } from "@/ui/status";
import type { Station } from "./overview-queries";
import { STATION_TONE, STATION_WORD } from "./overview-words";
import { ServerLink } from "./server-link";

const ICONS: Record<Station["name"], Icon> = {
  sources: Download,
  log: ScrollText,
  views: Layers,
  streams: ListTree,
  stacks: Boxes,
  healing: HeartPulse,
};

/** Faster where more flows; three speeds, so that a changing rate does not make it jump. */
function pace(perSecond: number | null): string | undefined {
  if (!perSecond) return undefined;
  return perSecond < 1 ? "flow-slow" : perSecond < 50 ? "flow" : "flow-fast";
}

/** The way of an event through the system: a station each, with the state it is in. */
export function Flow({ stations }: { stations: readonly Station[] }) {
  return (
    <section
      aria-label="Flow"
      className="rounded-xl border border-line bg-card shadow-card max-md:order-last"
    >
      <ol className="grid grid-cols-1 md:grid-cols-3 xl:grid-cols-6">
        {stations.map((station, index) => (
          <Stop
            key={station.name}
            station={station}
            isFirst={index === 0}
            isLast={index === stations.length - 1}
          />
        ))}
      </ol>
    </section>
  );
}

function Stop({
  station,
  isFirst,
  isLast,
}: {
  station: Station;
  isFirst: boolean;
  isLast: boolean;
}) {
  const isOff = station.name === "stacks" && station.state === "ok" && station.errors > 0;
  const tone = isOff ? "warn" : STATION_TONE[station.state];
  const Mark = ICONS[station.name];
  const StateMark = TONE_ICON[tone];
  const flows = pace(station.rate);
  return (
    <li className="group relative flex gap-3 px-4 py-3 hover:bg-sunken/60 max-md:border-b max-md:border-line max-md:last:border-b-0 md:flex-col md:gap-2 md:pt-4 md:pb-4">
      <div className="relative flex shrink-0 items-center justify-center md:justify-start">
        {/* The line on which the stations stand; it moves where something flows. */}
        <span
          aria-hidden
          className={cx(
            "absolute hidden h-0.5 xl:block",
            isFirst ? "left-5" : "-left-4",
            isLast ? "right-auto w-9" : "-right-4",
            flows ? ["flow-line", flows] : "bg-line",
          )}
        />
        <span
          className={cx(
            "relative grid size-10 place-items-center rounded-full ring-4 ring-card",
            TONE_WASH[tone],
          )}
        >
          <Mark className="size-5" aria-hidden />
        </span>
      </div>
      <div className="grid min-w-0 flex-1 grid-cols-[minmax(0,1fr)_auto] gap-x-3 md:block">
        <h3 className="flex items-center gap-2 font-semibold">
          <ServerLink
            link={station.link}
            className="after:absolute after:inset-0 after:content-[''] group-hover:underline underline-offset-3 decoration-line-strong"
          >
            {station.title}
          </ServerLink>
          <span
            className={cx("inline-flex items-center gap-1 text-sm font-medium", TONE_TEXT[tone])}
          >
            <StateMark className="size-3.5" aria-hidden />
            {isOff ? "drifted" : STATION_WORD[station.state]}
          </span>
        </h3>
        <p
          className="col-start-1 line-clamp-2 text-sm text-soft md:min-h-10"
          title={station.detail}
        >
          {station.detail}
        </p>
        <div className="col-start-2 row-span-2 row-start-1 flex items-end gap-2 md:mt-2 md:justify-between">
          <p className="text-lg leading-6 font-semibold tracking-tight whitespace-nowrap md:text-xl">
            {station.rate === null ? "–" : rate(station.rate)}
            <span className="ml-1 text-xs font-normal text-soft">{station.unit}</span>
          </p>
        </div>
        <div className="col-span-2 mt-1">
          <Spark station={station} />
        </div>
        <dl className="col-span-2 mt-2 flex gap-x-4 text-xs text-soft md:flex-col md:gap-y-0.5">
          <Figure name="Lag" value={lagOf(station)} />
          <Figure name="Errors" value={count(station.errors)} isBad={station.errors > 0} />
          <Figure name={station.name === "log" ? "Head" : "In all"} value={short(station.total)} />
        </dl>
      </div>
    </li>
  );
}

function Figure({ name, value, isBad = false }: { name: string; value: string; isBad?: boolean }) {
  return (
    <div className="flex justify-between gap-1.5">
      <dt>{name}</dt>
      <dd className={isBad ? "font-semibold text-bad" : "text-ink"}>{value}</dd>
    </div>
  );
}

function Spark({ station }: { station: Station }) {
  const values = station.spark.length > 1 ? station.spark : [0, 0];
  return (
    <Sparkline
      values={values}
      label={`${station.title}: ${station.unit} a second over the last two minutes`}
      width={200}
      height={28}
      className="h-7 w-full"
    />
  );
}

function lagOf({ lag_events, lag_s }: Station): string {
  if (lag_events === null && lag_s === null) return "–";
  if (!lag_events && !lag_s) return "none";
  const events = lag_events === null ? "" : `${short(lag_events)}`;
  return lag_s ? `${events} · ${duration(lag_s)}` : events;
}
