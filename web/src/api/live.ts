/** Live data for screens: buffered lists, or a nudge to ask again. */

import { type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { LiveBuffer } from "./live-buffer";
import {
  type Change,
  events,
  type Feed,
  type FeedState,
  type LiveEvent,
  news,
  type Topic,
} from "./live-feed";

const FLUSH_MS = 100;

export interface Live<T> {
  /** What is shown, oldest first. */
  items: readonly T[];
  /** How many have come that are not shown, as the reader has paused. */
  pending: number;
  /** How many have come since the screen was opened. */
  seen: number;
  state: FeedState;
  /** Show what has waited. */
  catchUp: () => void;
  clear: () => void;
}

interface LiveOptions<T> {
  /** Further conditions; memoise it, since another one starts the list anew. */
  keep?: (item: T) => boolean;
  /** Count and keep what comes, and show it later. */
  paused?: boolean;
  enabled?: boolean;
}

/** At most one render per 100 ms, however many come. */
function useFeed<T>(
  feed: Feed<T>,
  { keep, paused = false, enabled = true }: LiveOptions<T>,
): Live<T> {
  // biome-ignore lint/correctness/useExhaustiveDependencies: another condition, another list
  const buffer = useMemo(() => new LiveBuffer<T>(), [feed, keep]);
  const isPaused = useRef(paused);
  isPaused.current = paused;
  const [, render] = useState(0);
  const state = useFeedState(feed);

  useEffect(() => {
    if (!enabled) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const leave = feed.subscribe((items) => {
      const mine = keep ? items.filter(keep) : items;
      if (mine.length === 0) return;
      buffer.push(mine);
      timer ??= setTimeout(() => {
        timer = undefined;
        if (!isPaused.current) buffer.flush();
        render((n) => n + 1);
      }, FLUSH_MS);
    });
    return () => {
      clearTimeout(timer);
      leave();
    };
  }, [buffer, enabled, feed, keep]);

  useEffect(() => {
    if (!paused && buffer.flush()) render((n) => n + 1);
  }, [buffer, paused]);

  return {
    items: buffer.items,
    pending: buffer.pending,
    seen: buffer.seen,
    state,
    catchUp: () => {
      buffer.flush();
      render((n) => n + 1);
    },
    clear: () => {
      buffer.clear();
      render((n) => n + 1);
    },
  };
}

/** Changes of some topics as they come. */
export function useLive(topics: readonly Topic[], options: LiveOptions<Change> = {}): Live<Change> {
  const names = topics.join(",");
  const { keep } = options;
  const wanted = useMemo(() => {
    const set = new Set(names.split(","));
    return (change: Change) => set.has(change.topic) && (keep?.(change) ?? true);
  }, [names, keep]);
  return useFeed(news, { ...options, keep: wanted });
}

/** Events as they come, whole. */
export function useLiveEvents(options: LiveOptions<LiveEvent> = {}): Live<LiveEvent> {
  return useFeed(events, options);
}

/** What a feed tells of its connection. */
type Watched = Pick<Feed<never>, "watch" | "state">;

export function useFeedState(feed: Watched = news): FeedState {
  return useSyncExternalStore(
    (changed) => feed.watch(changed),
    () => feed.state,
  );
}

/**
 * Ask queries again when something of some topics has changed; at most once per `everyMs`.
 *
 *     useLiveQueries(["stacks", "drifts"], [["stacks"], ["overview"]]);
 */
export function useLiveQueries(
  topics: readonly Topic[],
  keys: readonly QueryKey[],
  everyMs = 1_000,
): void {
  const client = useQueryClient();
  const names = topics.join(",");
  const wanted = useRef(keys);
  wanted.current = keys;
  useEffect(() => {
    const set = new Set(names.split(","));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const leave = news.subscribe((changes) => {
      if (timer || !changes.some((change) => set.has(change.topic))) return;
      timer = setTimeout(() => {
        timer = undefined;
        for (const queryKey of wanted.current) void client.invalidateQueries({ queryKey });
      }, everyMs);
    });
    return () => {
      clearTimeout(timer);
      leave();
    };
  }, [client, everyMs, names]);
}
