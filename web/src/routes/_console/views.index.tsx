import { createFileRoute } from "@tanstack/react-router";
import { compact, type Search, text } from "@/lib/url";
import { ViewsScreen } from "@/screens/views/views-screen";

export interface ViewsSearch {
  /** The filter expression. */
  q?: string;
  /** Name of the view that is open in the inspector. */
  sel?: string;
}

export const Route = createFileRoute("/_console/views/")({
  validateSearch: (search: Search): ViewsSearch =>
    compact({ q: text(search, "q"), sel: text(search, "sel", 120) }) as ViewsSearch,
  component: ViewsScreen,
});
