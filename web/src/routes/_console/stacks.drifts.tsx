import { createFileRoute } from "@tanstack/react-router";
import { compact, oneOf, type Search, text } from "@/lib/url";
import { DriftsScreen } from "@/screens/stacks/drifts-screen";

export interface DriftsSearch {
  q?: string;
  /** Client, stack and id of the drift that is open in the inspector. */
  sel?: string;
  /** Those that are over too. */
  closed?: "true";
  /** How they are ordered; the newest first without it. */
  by?: "component";
}

export const Route = createFileRoute("/_console/stacks/drifts")({
  validateSearch: (search: Search): DriftsSearch =>
    compact({
      q: text(search, "q"),
      sel: text(search, "sel", 400),
      closed: oneOf(search, "closed", ["true"] as const),
      by: oneOf(search, "by", ["component"] as const),
    }) as DriftsSearch,
  component: DriftsScreen,
});
