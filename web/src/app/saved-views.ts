/** Filters that people gave a name: where each one leads, and what it is called by. */

import type { LinkProps } from "@tanstack/react-router";
import type { SavedView } from "@/api/saved-views";
import { type Search, text } from "@/lib/url";

/** Lists that are no page of their own, by the name of the screen that their views have. */
const PLACES: Record<string, { to: string; tab?: string }> = {
  "audit-access": { to: "/audit", tab: "access" },
  "builds-list": { to: "/builds", tab: "builds" },
  content: { to: "/builds", tab: "content" },
  drifts: { to: "/stacks/drifts" },
};

type Kept = Pick<SavedView, "screen" | "filter"> & { state?: object };

/** How the list of a view is sorted; undefined: as it comes. */
export function sortOf({ state = {} }: Pick<Kept, "state">): string | undefined {
  return text(state as Search, "sort", 60);
}

/** Where the list of a view is, narrowed to it and sorted as it was. */
export function viewTo(view: Kept): LinkProps {
  const { screen, filter } = view;
  const sort = sortOf(view);
  const { to, tab } = PLACES[screen] ?? { to: `/${screen}`, tab: undefined };
  return {
    to,
    search: { q: filter, ...(sort && { sort }), ...(tab && { tab }) },
  } as unknown as LinkProps;
}

/**
 * The id that a person's view of a name is saved under, which is the same each time.
 *
 * It names nothing to anybody: others may have a view of the same name, and a name may be in letters
 * that an id cannot have.
 */
export function viewId(screen: string, title: string, person: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(`${person}\n${title}`))
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return `${screen}-${hash.toString(36)}`;
}
