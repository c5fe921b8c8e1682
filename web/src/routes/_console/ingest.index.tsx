import { createFileRoute } from "@tanstack/react-router";
import { compact, oneOf, type Search, text } from "@/lib/url";
import { IngestScreen } from "@/screens/ingest/ingest-screen";

export interface IngestSearch {
  tab?: "sources" | "subscribers";
  /** The filter expression. */
  q?: string;
  /** The row that is open in the inspector: `client/name`. */
  sel?: string;
}

export const Route = createFileRoute("/_console/ingest/")({
  validateSearch: (search: Search): IngestSearch =>
    compact({
      tab: oneOf(search, "tab", ["sources", "subscribers"]),
      q: text(search, "q"),
      sel: text(search, "sel", 250),
    }) as IngestSearch,
  component: IngestScreen,
});
