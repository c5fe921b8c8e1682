import { createFileRoute } from "@tanstack/react-router";
import { compact, oneOf, type Search, text } from "@/lib/url";
import { type RateWindow, WINDOWS } from "@/screens/streams/streams-queries";
import { StreamsScreen } from "@/screens/streams/streams-screen";

export interface StreamsSearch {
  /** The filter expression. */
  q?: string;
  /** The verdict that is open in the inspector. */
  sel?: string;
  /** Width of the windows of the match rate. */
  win?: RateWindow;
}

export const Route = createFileRoute("/_console/streams/")({
  validateSearch: (search: Search): StreamsSearch =>
    compact({
      q: text(search, "q"),
      sel: text(search, "sel"),
      win: oneOf(search, "win", WINDOWS),
    }) as StreamsSearch,
  component: StreamsScreen,
});
