import { createFileRoute } from "@tanstack/react-router";
import { compact, oneOf, type Search, text } from "@/lib/url";
import { SourcePage } from "@/screens/ingest/source-page";

const TABS = ["summary", "deliveries", "document", "hooks"] as const;

export interface SourceSearch {
  tab?: (typeof TABS)[number];
  /** Whose source; without it that of the client that is looked at, or the only one of the name. */
  client?: string;
  /** It was declared just now. */
  made?: string;
}

export const Route = createFileRoute("/_console/ingest/$name")({
  validateSearch: (search: Search): SourceSearch =>
    compact({
      tab: oneOf(search, "tab", TABS),
      client: text(search, "client", 120),
      made: text(search, "made", 1),
    }) as SourceSearch,
  component: SourcePage,
});
