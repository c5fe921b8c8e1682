import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef } from "react";
import { useLive } from "@/api/live";
import type { Change } from "@/api/live-feed";
import { useLimits, useTenant, useTimeRange } from "@/app/console-search";
import { useFollowing } from "@/app/follow";
import { isLive } from "@/lib/time-range";
import { verdictsQuery } from "./streams-queries";

const AGAIN_MS = 1_500;

/**
 * The verdicts of the filter, asked again as new ones come; never while somebody reads.
 *
 * @param isReading a row is open.
 */
export function useVerdicts(q: string, isReading: boolean) {
  const tenant = useTenant();
  const range = useTimeRange();
  const isFollowing = isLive(range);
  const client = useQueryClient();
  const follow = useFollowing(isReading, isFollowing);
  const { isPaused } = follow;

  const limits = useLimits();
  const options = useMemo(
    () => verdictsQuery({ filter: q, tenant, from: limits.from, to: limits.to }),
    [q, tenant, limits],
  );
  const search = useInfiniteQuery({
    ...options,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  });

  const keep = useCallback((change: Change) => !tenant || change.client_id === tenant, [tenant]);
  const live = useLive(["verdicts"], { keep, paused: isPaused, enabled: isFollowing });
  const askedAt = useRef(0);
  const { seen } = live;
  useEffect(() => {
    if (seen === 0 || isPaused || !isFollowing) return;
    const wait = Math.max(0, askedAt.current + AGAIN_MS - Date.now());
    const timer = setTimeout(() => {
      askedAt.current = Date.now();
      // Who follows is at the top: only the first page is asked again.
      client.setQueryData<InfiniteData<unknown>>(options.queryKey, (before) =>
        before && before.pages.length > 1
          ? { pages: before.pages.slice(0, 1), pageParams: before.pageParams.slice(0, 1) }
          : before,
      );
      void client.invalidateQueries({ queryKey: options.queryKey, exact: true });
    }, wait);
    return () => clearTimeout(timer);
  }, [seen, isPaused, isFollowing, client, options]);

  const rows = useMemo(
    () => search.data?.pages.flatMap((page) => page.verdicts) ?? [],
    [search.data],
  );
  return { rows, search, live, isFollowing, follow };
}
