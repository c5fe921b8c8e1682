import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, type MouseEvent, useMemo, useState } from "react";
import { useSetSearch, useTenant, useTimeRange } from "@/app/console-search";
import { cx } from "@/lib/cx";
import { clockTime, count, duration, percent } from "@/lib/format";
import { usePreference } from "@/lib/preferences";
import { bounds, isLive, toSearch } from "@/lib/time-range";
import { Segments } from "@/ui/segments";
import { TONE_TEXT } from "@/ui/status";
import { type RateWindow, ratesQuery, WINDOW_S, WINDOWS } from "./streams-queries";
import { rateTone, sums } from "./verdict-words";

const BUCKETS = 60;

/** The windows that are drawn, and which of them are of the range: those around it give it a place. */
function useWindows(window: RateWindow) {
  const range = useTimeRange();
  return useMemo(() => {
    if (isLive(range)) return { to: undefined, buckets: BUCKETS, span: undefined };
    const { from, to } = bounds(range, new Date());
    const widthMs = WINDOW_S[window] * 1000;
    const wanted = Math.ceil((to.getTime() - from.getTime()) / widthMs);
    const beside = Math.max(0, Math.floor((BUCKETS - wanted) / 2));
    const end = Math.min(Date.now(), to.getTime() + beside * widthMs);
    return {
      to: new Date(Math.max(end, to.getTime())),
      buckets: Math.min(Math.max(wanted, BUCKETS), 240),
      span: { from, to },
    };
  }, [range, window]);
}

/**
 * How much does not match in each window: a column for each, tall where much is wrong. A column leads
 * to the verdicts of its window.
 */
export function RateStrip({
  contract,
  window,
  filter,
  mostWrong,
}: {
  contract: string | undefined;
  window: RateWindow;
  /** With which conditions a column lists its verdicts. */
  filter: string;
  mostWrong: number;
}) {
  const tenant = useTenant();
  const set = useSetSearch();
  const zone = usePreference("zone");
  const { to, buckets, span } = useWindows(window);
  const { data } = useQuery(ratesQuery({ contract, tenant, window, buckets, to }));
  const windows = data?.windows ?? [];
  const sum = sums(data);
  const most = Math.max(
    mostWrong * 2,
    ...windows.map((each) => (each.match_rate === null ? 0 : 1 - each.match_rate)),
  );
  const pick = (start: string) => {
    const from = new Date(start);
    const until = new Date(from.getTime() + WINDOW_S[window] * 1000);
    set({
      t: undefined,
      ...(toSearch({ kind: "absolute", from, to: until }) as Record<string, string>),
      q: filter || "status:mismatched,partial",
      sel: undefined,
    });
  };
  return (
    <section aria-label="Match rate" className="flex min-w-0 flex-col">
      <div className="flex flex-wrap items-baseline gap-x-2">
        <span
          className={cx(
            "text-2xl font-semibold tracking-tight",
            TONE_TEXT[rateTone(sum.rate, mostWrong)],
          )}
        >
          {sum.rate === undefined ? "–" : percent(sum.rate)}
        </span>
        <span className="flex-1 text-sm whitespace-nowrap text-soft">
          of {count(sum.total)} keys match
        </span>
        <Segments
          label="Window"
          value={window}
          options={WINDOWS}
          words={(each) => duration(WINDOW_S[each])}
          onChange={(each) => set({ win: each === "1m" ? undefined : each }, { replace: true })}
        />
      </div>
      <Columns
        windows={windows}
        most={most}
        mostWrong={mostWrong}
        isIn={(start) =>
          !span ||
          (start + WINDOW_S[window] * 1000 > span.from.getTime() && start < span.to.getTime())
        }
        onPick={pick}
      />
      <div className="mt-0.5 flex justify-between gap-2 text-xs text-faint">
        <span>{windows[0] && clockTime(new Date(windows[0].start), zone).slice(0, 5)}</span>
        <span className="hidden items-center gap-3 sm:flex">
          <Key className="bg-bad" text="mismatched" />
          <Key className="bg-warn" text="partial" />
          <span>up to {percent(most)}</span>
        </span>
        <span>{to ? clockTime(to, zone).slice(0, 5) : "now"}</span>
      </div>
    </section>
  );
}

interface Rate {
  start: string;
  matched: number;
  mismatched: number;
  partial: number;
  match_rate: number | null;
}

function wordsOf(each: Rate | undefined): string {
  if (!each || each.match_rate === null) return "nothing was decided";
  const total = each.matched + each.mismatched + each.partial;
  return `${percent(each.match_rate)} of ${count(total)} match, ${each.mismatched} mismatched, ${each.partial} partial`;
}

/**
 * The windows as one control: columns are too narrow to be aimed at one by one, so the arrows go from
 * one to the next, and Enter takes it.
 */
function Columns({
  windows,
  most,
  mostWrong,
  isIn,
  onPick,
}: {
  windows: readonly Rate[];
  most: number;
  mostWrong: number;
  isIn: (start: number) => boolean;
  onPick: (start: string) => void;
}) {
  const zone = usePreference("zone");
  const [chosen, setChosen] = useState<number>();
  const last = windows.length - 1;
  const at = Math.min(chosen ?? last, last);
  const name = (n: number) => {
    const each = windows[n];
    return each ? `${clockTime(new Date(each.start), zone).slice(0, 8)}: ${wordsOf(each)}` : "";
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -last, End: last }[event.key];
    const each = windows[at];
    if (step !== undefined) setChosen(Math.min(Math.max(at + step, 0), last));
    else if (event.key === "Enter" && each) onPick(each.start);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const onClick = (event: MouseEvent<HTMLDivElement>) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    const n = Math.floor(((event.clientX - left) / width) * windows.length);
    const each = windows[Math.min(Math.max(n, 0), last)];
    if (each) onPick(each.start);
  };
  return (
    <div
      role="slider"
      tabIndex={0}
      aria-label="Windows; Enter lists the verdicts of one"
      aria-valuemin={0}
      aria-valuemax={Math.max(0, last)}
      aria-valuenow={Math.max(0, at)}
      aria-valuetext={name(at)}
      onKeyDown={onKeyDown}
      onClick={onClick}
      onBlur={() => setChosen(undefined)}
      className="group relative mt-1 flex h-16 cursor-pointer items-end"
    >
      <span
        aria-hidden
        className="pointer-events-none absolute inset-x-0 border-t border-dashed border-line-strong"
        style={{ bottom: `${(mostWrong / most) * 100}%` }}
      />
      {windows.map((each, n) => {
        const total = each.matched + each.mismatched + each.partial;
        const height = (wrong: number) => `${total > 0 ? (wrong / total / most) * 100 : 0}%`;
        return (
          <span
            key={each.start}
            title={name(n)}
            className={cx(
              "flex h-full min-w-0 flex-1 flex-col justify-end pr-px hover:bg-sunken",
              n === at && "group-focus-visible:bg-sun-wash",
              !isIn(new Date(each.start).getTime()) && "opacity-40",
            )}
          >
            <span className="w-full bg-bad" style={{ height: height(each.mismatched) }} />
            <span className="w-full bg-warn" style={{ height: height(each.partial) }} />
            <span className={cx("h-[3px] w-full", total > 0 ? "bg-good" : "bg-line-strong")} />
          </span>
        );
      })}
    </div>
  );
}

function Key({ className, text }: { className: string; text: string }) {
  return (
    <span className="flex items-center gap-1">
      <span aria-hidden className={cx("size-2 rounded-[2px]", className)} />
      {text}
    </span>
  );
}
