/** Search parameters that every screen of the console has: whose data, of when, in which order. */

import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import {
  bounds,
  fromSearch,
  isLive,
  type RangeSearch,
  rangeSearch,
  rangeText,
  type TimeRange,
  toSearch,
} from "@/lib/time-range";
import { compact, type Search, text } from "@/lib/url";

interface ConsoleSearch extends RangeSearch {
  /** Data of this client only; absent: of all that the reader may see. */
  tenant?: string;
  /** The column that a list is sorted by, `-` before it: downwards. */
  sort?: string;
}

export function consoleSearch(search: Search): ConsoleSearch {
  return compact({
    tenant: text(search, "tenant", 120),
    sort: text(search, "sort", 60),
    ...rangeSearch(search),
  }) as ConsoleSearch;
}

const route = getRouteApi("/_console");

/** The client whose data is shown; undefined: all. */
export function useTenant(): string | undefined {
  return route.useSearch({ select: (search) => search.tenant });
}

/** What the list that is shown is sorted by; names of no column of it mean nothing. */
export function useSort(): string | undefined {
  return route.useSearch({ select: (search) => search.sort });
}

export function useTimeRange(): TimeRange {
  const { t, from, to } = route.useSearch();
  return useMemo(() => fromSearch(compact({ t, from, to }) as RangeSearch), [t, from, to]);
}

interface Limits {
  from?: Date;
  to?: Date;
}

/** How long a range such as the last hour is the same: who goes back finds the rows that were left. */
const SAME_MS = 60_000;
let latest: { text: string; until: number; limits: Limits } | undefined;

/**
 * Of when rows are asked for, in the range as it is when it is chosen. While live there is no limit:
 * its end moves, and what is asked has to stay the same.
 */
export function useLimits(): Limits {
  const range = useTimeRange();
  return useMemo(() => {
    if (isLive(range)) return {};
    const now = new Date();
    const text = rangeText(range);
    if (latest?.text !== text || latest.until < now.getTime())
      latest = { text, until: now.getTime() + SAME_MS, limits: bounds(range, now) };
    return latest.limits;
  }, [range]);
}

/** Changes some search parameters of the page that is shown and keeps the others. */
export function useSetSearch(): (
  change: Record<string, string | undefined>,
  options?: { replace?: boolean },
) => void {
  const navigate = useNavigate();
  return useMemo(
    () =>
      (change, options = {}) =>
        void navigate({
          to: ".",
          search: (before: Record<string, unknown>) => ({ ...before, ...change }),
          replace: options.replace ?? false,
          resetScroll: false,
        } as never),
    [navigate],
  );
}

export function useSetTimeRange(): (range: TimeRange) => void {
  const set = useSetSearch();
  return (range) => set({ t: undefined, from: undefined, to: undefined, ...toSearch(range) });
}
