/** What each view is for, how fast it moves, and how it is doing. Pure. */

import type { Schemas } from "@/api/client";

export type View = Schemas["ViewView"];

export const SERVES: Record<string, { text: string; to?: string }> = {
  access: { text: "People, tokens and sessions", to: "/settings" },
  audit: { text: "Who did what, and why", to: "/audit" },
  builds: { text: "Sites and their builds", to: "/builds" },
  configuration: { text: "Settings that were changed while running", to: "/settings" },
  content: { text: "What content providers hold, in one schema" },
  contracts: { text: "Contracts and their versions", to: "/streams" },
  correlations: { text: "Commands and the events that belong to them", to: "/healing" },
  dead_letters: { text: "What could not be taken", to: "/dead-letters" },
  event_mirror: { text: "The events of the last 30 days, by client and source", to: "/events" },
  notices: { text: "Messages to people" },
  repairs: { text: "Attempts to fetch missing events again", to: "/streams" },
  saved_views: { text: "Filters that were saved" },
  sources: { text: "Declared sources", to: "/ingest" },
  stacks: { text: "Stacks, drifts, plans, approvals and heals", to: "/stacks" },
  subscribers: { text: "Who gets events out of the log", to: "/ingest" },
  verdicts: { text: "How each key of each contract stands", to: "/streams" },
};

/** Words for the state, which the API has as `live`, `catching_up`, `rebuilding`, `failed` … */
export function stateOf(view: View): string {
  if (view.status === "failed") return "failed";
  // It says that it runs, and does not move though there is something to do.
  if (view.lag_s > STALLED_S && view.status === "live") return "stalled";
  return view.status;
}

const STALLED_S = 30;

export function share({ position, head }: Pick<View, "position" | "head">): number {
  return head === 0 ? 1 : Math.min(1, position / head);
}

interface Seen {
  at: number;
  position: number;
}

/** How fast views move: what they had reached at the last looks, kept while the page is open. */
export class Paces {
  private readonly seen = new Map<string, Seen[]>();

  constructor(private readonly most = 60) {}

  /** @param at milliseconds, rising. */
  look(views: readonly Pick<View, "view" | "position">[], at: number): void {
    for (const { view, position } of views) {
      const list = this.seen.get(view) ?? [];
      const last = list.at(-1);
      if (last && at - last.at < 500) continue;
      // A rebuilt view begins anew.
      const next =
        last && position < last.position ? [{ at, position }] : [...list, { at, position }];
      this.seen.set(view, next.slice(-this.most));
    }
  }

  /** Events a second between looks, oldest first. */
  spark(view: string): number[] {
    const list = this.seen.get(view) ?? [];
    return list.slice(1).map((now, index) => {
      const before = list[index] as Seen;
      return ((now.position - before.position) * 1000) / (now.at - before.at);
    });
  }

  /** Over the last five looks; undefined: not enough of them. */
  rate(view: string): number | undefined {
    const list = (this.seen.get(view) ?? []).slice(-6);
    const [first, last] = [list[0], list.at(-1)];
    if (!first || !last || last.at === first.at) return undefined;
    return ((last.position - first.position) * 1000) / (last.at - first.at);
  }
}
