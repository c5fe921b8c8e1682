/** Filters that people gave a name: where each one leads, and what it is called by. */

import type { LinkProps } from "@tanstack/react-router";
import type { SavedView } from "@/api/saved-views";
import { parseRange, type TimeRange, toSearch } from "@/lib/time-range";
import { compact, type Search, text } from "@/lib/url";

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

/** Of when a view is; undefined: of whenever its reader looks. */
export function rangeOf({ state = {} }: Pick<Kept, "state">): TimeRange | undefined {
  return parseRange(text(state as Search, "range", 80) ?? "");
}

/** Parameters of lists that say which part of them is shown, such as a tab. */
const PARTS = ["tab", "status", "closed", "by", "win"] as const;

type Part = { [K in (typeof PARTS)[number]]?: string };

/** Which part of a list is shown. */
export function partOf(search: Search): Part {
  return compact(Object.fromEntries(PARTS.map((name) => [name, text(search, name, 60)])));
}

/** Which part of its list a view shows; undefined: it does not say. */
export function partOfView({ state = {} }: Pick<Kept, "state">): Part | undefined {
  const { part } = state as { part?: Search };
  return part && partOf(part);
}

/** What a view changes in the address of its list. */
export function searchOf(view: Kept): Record<string, string | undefined> {
  const range = rangeOf(view);
  const part = partOfView(view);
  return {
    q: view.filter || undefined,
    sort: sortOf(view),
    ...(range && { t: undefined, from: undefined, to: undefined, ...toSearch(range) }),
    ...(part && { ...Object.fromEntries(PARTS.map((name) => [name, undefined])), ...part }),
  };
}

/** Where the list of a view is: narrowed, sorted, and of the time and the part that it was saved with. */
export function viewTo(view: Kept): LinkProps {
  const { to, tab } = PLACES[view.screen] ?? { to: `/${view.screen}`, tab: undefined };
  return { to, search: { ...searchOf(view), ...(tab && { tab }) } } as unknown as LinkProps;
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
