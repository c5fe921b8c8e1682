/** Live data for screens: a buffered list, or a nudge to ask again. */

import { type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { LiveBuffer } from "./live-buffer";
import { type FeedState, feed, type LiveEvent } from "./live-feed";
import { isOf, type Topic } from "./topics";

const FLUSH_MS = 100;

export interface Live {
  /** What is shown, oldest first. */
  items: readonly LiveEvent[];
  /** How many have come that are not shown, as the reader has paused. */
  pending: number;
  /** How many have come since the screen was opened. */
  seen: number;
  state: FeedState;
  /** Show what has waited. */
  catchUp: () => void;
  clear: () => void;
}

/**
 * Events of some topics as they come.
 *
 * At most one render per 100 ms however many come. While `paused` they are counted and kept.
 *
 * @param keep further conditions; memoise it, since a new one starts the list anew.
 */
export function useLive(
  topics: readonly Topic[],
  options: { keep?: (event: LiveEvent) => boolean; paused?: boolean; enabled?: boolean } = {},
): Live {
  const { keep, paused = false, enabled = true } = options;
  const names = topics.join(",");
  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter, another list
  const buffer = useMemo(() => new LiveBuffer<LiveEvent>(), [names, keep]);
  const isPaused = useRef(paused);
  isPaused.current = paused;
  const [, render] = useState(0);
  const state = useFeedState();

  useEffect(() => {
    if (!enabled) return;
    const wanted = names.split(",") as Topic[];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const leave = feed.subscribe((events) => {
      const mine = events.filter((event) => isOf(event, wanted) && (keep?.(event) ?? true));
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
  }, [buffer, enabled, keep, names]);

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

export function useFeedState(): FeedState {
  return useSyncExternalStore(
    (changed) => feed.watch(changed),
    () => feed.state,
  );
}

/**
 * Ask queries again when events of some topics come; at most once per `everyMs`.
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
    let timer: ReturnType<typeof setTimeout> | undefined;
    const leave = feed.subscribe((events) => {
      if (timer || !events.some((event) => isOf(event, names.split(",") as Topic[]))) return;
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
