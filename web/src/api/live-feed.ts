/**
 * One stream of events for all tabs of a browser.
 *
 * A browser opens six connections to a host over HTTP/1.1, so a stream per tab would starve the
 * seventh. Of the visible tabs one holds a lock, reads the stream and hands each batch to the others
 * over a channel. A tab that is hidden lets go of both: nobody looks, so nothing is read.
 */

import type { Schemas } from "./client";

export type LiveEvent = Schemas["EventView"];
export type FeedState = "connecting" | "open" | "lost" | "idle";

interface Batch {
  kind: "batch";
  events: LiveEvent[];
}
interface StateNote {
  kind: "state";
  state: FeedState;
}

type OnBatch = (events: readonly LiveEvent[]) => void;
type OnState = (state: FeedState) => void;

const LOCK = "helios-live";
const FLUSH_MS = 100;
const URL_OF_STREAM = "/api/v1/events/stream";

class Feed {
  private readonly readers = new Set<OnBatch>();
  private readonly watchers = new Set<OnState>();
  private channel: BroadcastChannel | undefined;
  private source: EventSource | undefined;
  private letGo: (() => void) | undefined;
  private wait: AbortController | undefined;
  private buffer: LiveEvent[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private cursor = "";
  state: FeedState = "idle";

  constructor() {
    document.addEventListener("visibilitychange", () => this.follow());
  }

  subscribe(reader: OnBatch): () => void {
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
    this.channel = new BroadcastChannel(LOCK);
    this.channel.onmessage = (message: MessageEvent<Batch | StateNote>) => {
      if (message.data.kind === "batch") this.give(message.data.events);
      else this.tell(message.data.state);
    };
    this.tell("connecting");
    if (!navigator.locks) {
      this.lead();
      return;
    }
    const wait = new AbortController();
    this.wait = wait;
    navigator.locks
      .request(LOCK, { signal: wait.signal }, () => {
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
      const isLed = locks.held?.some((lock) => lock.name === LOCK);
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
    const url = this.cursor ? `${URL_OF_STREAM}?cursor=${this.cursor}` : URL_OF_STREAM;
    const source = new EventSource(url);
    this.source = source;
    source.onopen = () => this.announce("open");
    source.onerror = () => {
      this.announce("lost");
      // Refused (signed out, a cursor of another log): the browser does not try again by itself.
      if (source.readyState === EventSource.CLOSED) this.again(source);
    };
    source.addEventListener("event", (message: MessageEvent<string>) => {
      this.cursor = message.lastEventId;
      this.buffer.push(JSON.parse(message.data) as LiveEvent);
      this.timer ??= setTimeout(() => this.flush(), FLUSH_MS);
    });
  }

  private again(refused: EventSource): void {
    setTimeout(() => {
      if (this.source !== refused) return;
      this.cursor = "";
      this.lead();
    }, 3_000);
  }

  private flush(): void {
    this.timer = undefined;
    const events = this.buffer;
    this.buffer = [];
    this.channel?.postMessage({ kind: "batch", events } satisfies Batch);
    this.give(events);
  }

  private give(events: readonly LiveEvent[]): void {
    if (this.state !== "open") this.tell("open");
    for (const reader of this.readers) reader(events);
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

export const feed = new Feed();
