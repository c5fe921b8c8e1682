import { createFileRoute } from "@tanstack/react-router";
import { compact, oneOf, type Search, text } from "@/lib/url";
import { BuildsScreen } from "@/screens/builds/builds-screen";

export interface BuildsSearch {
  /** The filter expression. */
  q?: string;
  /** The site or content that is open. */
  sel?: string;
  tab?: "builds" | "content";
  /** Client whose content is shown, where all clients are. */
  of?: string;
}

export const Route = createFileRoute("/_console/builds/")({
  validateSearch: (search: Search): BuildsSearch =>
    compact({
      q: text(search, "q"),
      sel: text(search, "sel", 600),
      tab: oneOf(search, "tab", ["builds", "content"] as const),
      of: text(search, "of", 120),
    }) as BuildsSearch,
  component: BuildsScreen,
});
