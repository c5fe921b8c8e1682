import { createFileRoute } from "@tanstack/react-router";
import { compact, type Search, text } from "@/lib/url";
import { LettersScreen } from "@/screens/dead-letters/letters-screen";

export interface LettersSearch {
  /** The filter expression. */
  q?: string;
  /** The group that is open in the inspector. */
  sel?: string;
}

export const Route = createFileRoute("/_console/dead-letters/")({
  validateSearch: (search: Search): LettersSearch =>
    compact({ q: text(search, "q"), sel: text(search, "sel") }) as LettersSearch,
  component: LettersScreen,
});
