import { createFileRoute } from "@tanstack/react-router";
import { compact, type Search, text } from "@/lib/url";
import { AddSource } from "@/screens/ingest/add-source";

export interface AddSourceSearch {
  /** Name of the provider that was chosen. */
  provider?: string;
  /** What is looked for among the providers. */
  q?: string;
}

/** In a path of its own, as a source may be called `new`. */
export const Route = createFileRoute("/_console/ingest/new/source")({
  validateSearch: (search: Search): AddSourceSearch =>
    compact({
      provider: text(search, "provider", 100),
      q: text(search, "q", 100),
    }) as AddSourceSearch,
  component: AddSource,
});
