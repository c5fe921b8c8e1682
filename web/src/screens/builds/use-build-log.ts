import { useEffect, useState } from "react";
import { sessionFetch } from "@/api/session";

const OFTEN_MS = 1_000;

interface BuildLogState {
  text: string;
  bytes: number;
  error: unknown;
  /** Something was asked for and is here. */
  isRead: boolean;
}

/**
 * The log of a build: read once, and while the build runs on from where it ended.
 *
 * A log only grows, so each answer is what has come since. A last one is asked for after the end.
 */
export function useBuildLog(client: string, id: string, isRunning: boolean): BuildLogState {
  const [state, setState] = useState<BuildLogState>(EMPTY);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another build, another log
  useEffect(() => setState(EMPTY), [client, id]);
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let offset = 0;
    const decoder = new TextDecoder();
    let isFirst = true;
    const read = async () => {
      try {
        const url = new URL(`/api/v1/builds/${encodeURIComponent(id)}/log`, location.origin);
        url.searchParams.set("client_id", client);
        url.searchParams.set("offset", String(offset));
        const answer = await sessionFetch(new Request(url, { signal: stop.signal }));
        const bytes = await answer.arrayBuffer();
        offset += bytes.byteLength;
        const more = decoder.decode(bytes, { stream: true });
        const begins = isFirst;
        isFirst = false;
        setState((before) =>
          begins || more
            ? {
                text: begins ? more : before.text + more,
                bytes: offset,
                error: undefined,
                isRead: true,
              }
            : before,
        );
      } catch (error) {
        if (stop.signal.aborted) return;
        setState((before) => ({ ...before, error, isRead: true }));
      }
      if (isRunning && !stop.signal.aborted) timer = setTimeout(() => void read(), OFTEN_MS);
    };
    void read();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [client, id, isRunning]);
  return state;
}

const EMPTY: BuildLogState = { text: "", bytes: 0, error: undefined, isRead: false };
