import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useSetSearch, useTenant, useTimeRange } from "@/app/console-search";
import { cx } from "@/lib/cx";
import { clockTime, count, percent } from "@/lib/format";
import { usePreference } from "@/lib/preferences";
import { bounds, isLive, toSearch } from "@/lib/time-range";
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
  const shares = windows.map((each) => {
    const total = each.matched + each.mismatched + each.partial;
    return total > 0 ? { bad: each.mismatched / total, warn: each.partial / total } : undefined;
  });
  const most = Math.max(mostWrong * 2, ...shares.map((each) => (each ? each.bad + each.warn : 0)));
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
      <div className="flex items-baseline gap-2">
        <span
          className={cx(
            "text-2xl font-semibold tracking-tight",
            TONE_TEXT[rateTone(sum.rate, mostWrong)],
          )}
        >
          {sum.rate === undefined ? "–" : percent(sum.rate)}
        </span>
        <span className="min-w-0 flex-1 truncate text-sm text-soft">
          of {count(sum.total)} keys match
        </span>
        <WindowChoice value={window} />
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset has looks of its own */}
      <div role="group" aria-label="Windows" className="relative mt-1 flex h-16 items-end gap-px">
        <span
          aria-hidden
          className="pointer-events-none absolute inset-x-0 border-t border-dashed border-line-strong"
          style={{ bottom: `${(mostWrong / most) * 100}%` }}
          title="the most that may not match"
        />
        {windows.map((each, n) => {
          const share = shares[n];
          const start = new Date(each.start).getTime();
          const isIn =
            !span ||
            (start + WINDOW_S[window] * 1000 > span.from.getTime() && start < span.to.getTime());
          const words = share
            ? `${percent(1 - share.bad - share.warn)} of ${count(each.matched + each.mismatched + each.partial)} match, ${each.mismatched} mismatched, ${each.partial} partial`
            : "nothing was decided";
          return (
            <button
              key={each.start}
              type="button"
              onClick={() => pick(each.start)}
              title={`${new Date(each.start).toLocaleTimeString()}: ${words}`}
              aria-label={`${each.start}: ${words}`}
              className={cx(
                "group flex h-full min-w-0 flex-1 flex-col justify-end rounded-t-[2px] hover:bg-sunken",
                !isIn && "opacity-40",
              )}
            >
              <span
                className="w-full bg-bad"
                style={{ height: `${((share?.bad ?? 0) / most) * 100}%` }}
              />
              <span
                className="w-full bg-warn"
                style={{ height: `${((share?.warn ?? 0) / most) * 100}%` }}
              />
              <span className={cx("h-[3px] w-full", share ? "bg-good" : "bg-line-strong")} />
            </button>
          );
        })}
      </div>
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

function Key({ className, text }: { className: string; text: string }) {
  return (
    <span className="flex items-center gap-1">
      <span aria-hidden className={cx("size-2 rounded-[2px]", className)} />
      {text}
    </span>
  );
}

function WindowChoice({ value }: { value: RateWindow }) {
  const set = useSetSearch();
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset has looks of its own
    <div role="group" aria-label="Window" className="flex rounded-md border border-line-strong">
      {WINDOWS.map((each) => (
        <button
          key={each}
          type="button"
          aria-pressed={each === value}
          onClick={() => set({ win: each === "1m" ? undefined : each }, { replace: true })}
          className={cx(
            "px-2 py-0.5 text-sm first:rounded-l-[5px] last:rounded-r-[5px]",
            each === value ? "bg-primary text-on-primary" : "text-soft hover:bg-sunken",
          )}
        >
          {each}
        </button>
      ))}
    </div>
  );
}
