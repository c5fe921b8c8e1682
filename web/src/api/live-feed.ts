/**
 * One stream for all tabs of a browser.
 *
 * A browser opens six connections to a host over HTTP/1.1, so a stream per tab would starve the
 * seventh. Of the visible tabs one holds a lock, reads the stream and hands each batch to the others
 * over a channel. A tab that is hidden lets go of both: nobody looks, so nothing is read.
 */

import type { Schemas } from "./client";

export type LiveEvent = Schemas["EventView"];
export type FeedState = "connecting" | "open" | "lost" | "idle";

export type Topic =
  | "verdicts"
  | "stacks"
  | "drifts"
  | "approvals"
  | "alerts"
  | "builds"
  | "dead-letters"
  | "views"
  | "configuration";

/** That something is not as it was. */
export interface Change {
  topic: Topic;
  /** Type of the event, status of the verdict, state of the view. */
  kind: string;
  /** Of the drift, approval, build, letter; key of the verdict; name of the view. */
  id: string;
  client_id: string;
  position: number;
  at?: string;
  about?: { type: string; id: string };
  /** In a sentence. */
  summary?: string;
  event_id?: string;
  head?: number;
}

type StateNote = { kind: "state"; state: FeedState };
/** The cursor goes along, for the tab that reads on when this one is closed. */
type Batch<T> = { kind: "batch"; items: T[]; cursor: string };
type OnBatch<T> = (items: readonly T[]) => void;
type OnState = (state: FeedState) => void;

const FLUSH_MS = 100;
const AGAIN_MS = 3_000;
const STREAM = "/api/v1/events/stream";

interface Source<T> {
  /** Of the lock and the channel. */
  name: string;
  url: string;
  /** Of the server-sent event, and what its data holds. */
  event: string;
  parse: (data: string) => readonly T[];
}

export class Feed<T> {
  private readonly readers = new Set<OnBatch<T>>();
  private readonly watchers = new Set<OnState>();
  private channel: BroadcastChannel | undefined;
  private source: EventSource | undefined;
  private letGo: (() => void) | undefined;
  private wait: AbortController | undefined;
  private buffer: T[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private cursor = "";
  state: FeedState = "idle";

  constructor(private readonly from: Source<T>) {
    document.addEventListener("visibilitychange", () => this.follow());
  }

  subscribe(reader: OnBatch<T>): () => void {
    this.readers.add(reader);
    this.follow();
    return () => {
      this.readers.delete(reader);
      this.follow();
    };
  }

  watch(watcher: OnState): () => void {
    this.watchers.add(watcher);
    return () => {
      this.watchers.delete(watcher);
    };
  }

  /** Be in the feed exactly when somebody here looks. */
  private follow(): void {
    const wanted = this.readers.size > 0 && document.visibilityState === "visible";
    if (wanted && !this.channel) this.join();
    if (!wanted && this.channel) this.leave();
  }

  private join(): void {
    this.channel = new BroadcastChannel(this.from.name);
    this.channel.onmessage = (message: MessageEvent<Batch<T> | StateNote>) => {
      if (message.data.kind === "batch") {
        this.cursor = message.data.cursor;
        this.give(message.data.items);
      } else this.tell(message.data.state);
    };
    this.tell("connecting");
    if (!navigator.locks) {
      this.lead();
      return;
    }
    const wait = new AbortController();
    this.wait = wait;
    navigator.locks
      .request(this.from.name, { signal: wait.signal }, () => {
        this.lead();
        return new Promise<void>((resolve) => {
          this.letGo = resolve;
        });
      })
      .catch(() => {
        // Left before the lock was ours.
      });
    // Another tab leads, and has been connected for long: its state is not told again.
    void navigator.locks.query().then((locks) => {
      const isLed = locks.held?.some((lock) => lock.name === this.from.name);
      if (isLed && !this.source && this.channel) this.tell("open");
    });
  }

  private leave(): void {
    this.wait?.abort();
    this.source?.close();
    this.source = undefined;
    this.letGo?.();
    this.letGo = undefined;
    this.channel?.close();
    this.channel = undefined;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.buffer = [];
    this.tell("idle");
  }

  private lead(): void {
    if (!this.channel) return;
    const url = new URL(this.from.url, location.origin);
    if (this.cursor) url.searchParams.set("cursor", this.cursor);
    const source = new EventSource(url);
    this.source = source;
    source.onopen = () => this.announce("open");
    source.onerror = () => {
      this.announce("lost");
      // Refused (signed out, a cursor of another log): the browser does not try again by itself.
      if (source.readyState === EventSource.CLOSED) this.again(source);
    };
    source.addEventListener(this.from.event, (message: MessageEvent<string>) => {
      this.cursor = message.lastEventId;
      this.buffer.push(...this.from.parse(message.data));
      this.timer ??= setTimeout(() => this.flush(), FLUSH_MS);
    });
  }

  private again(refused: EventSource): void {
    setTimeout(() => {
      if (this.source !== refused) return;
      this.cursor = "";
      this.lead();
    }, AGAIN_MS);
  }

  private flush(): void {
    this.timer = undefined;
    const items = this.buffer;
    this.buffer = [];
    this.channel?.postMessage({ kind: "batch", items, cursor: this.cursor } satisfies Batch<T>);
    this.give(items);
  }

  private give(items: readonly T[]): void {
    if (this.state !== "open") this.tell("open");
    for (const reader of this.readers) reader(items);
  }

  private announce(state: FeedState): void {
    this.channel?.postMessage({ kind: "state", state } satisfies StateNote);
    this.tell(state);
  }

  private tell(state: FeedState): void {
    this.state = state;
    for (const watcher of this.watchers) watcher(state);
  }
}

const TOPICS: readonly Topic[] = [
  "verdicts",
  "stacks",
  "drifts",
  "approvals",
  "alerts",
  "builds",
  "dead-letters",
  "views",
  "configuration",
];

/** What has changed, in short messages, which the server gathers to ten a second. */
export const news = new Feed<Change>({
  name: "helios-news",
  url: `${STREAM}?topics=${TOPICS.join(",")}`,
  event: "changes",
  // Entries that only count what was skipped have no id.
  parse: (data) =>
    (JSON.parse(data) as { changes: (Change | { topic: Topic })[] }).changes.map((change) => ({
      kind: "",
      id: "",
      client_id: "",
      position: 0,
      ...change,
    })),
});

/** Every event whole, for who looks at events. */
export const events = new Feed<LiveEvent>({
  name: "helios-events",
  url: STREAM,
  event: "event",
  parse: (data) => [JSON.parse(data) as LiveEvent],
});
