import { createFileRoute } from "@tanstack/react-router";
import { compact, type Search, text } from "@/lib/url";
import { KeyPage } from "@/screens/streams/key-page";

export interface KeySearch {
  /** Which window of the key. */
  w?: string;
}

export const Route = createFileRoute("/_console/streams/$contract/$key")({
  validateSearch: (search: Search): KeySearch => compact({ w: text(search, "w", 30) }) as KeySearch,
  component: KeyPage,
});
