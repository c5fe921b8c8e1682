import { createFileRoute } from "@tanstack/react-router";
import { compact, type Search, text } from "@/lib/url";
import { EventsScreen } from "@/screens/events/events-screen";

export interface EventsSearch {
  /** The filter expression. */
  q?: string;
  /** Position of the event that is open in the inspector. */
  sel?: string;
}

export const Route = createFileRoute("/_console/events/")({
  validateSearch: (search: Search): EventsSearch =>
    compact({ q: text(search, "q"), sel: text(search, "sel", 20) }) as EventsSearch,
  component: EventsScreen,
});
