import { createFileRoute } from "@tanstack/react-router";
import { compact, type Search, text } from "@/lib/url";
import { StacksScreen } from "@/screens/stacks/stacks-screen";

export interface StacksSearch {
  q?: string;
  /** Client and name of the stack that is open in the inspector. */
  sel?: string;
}

export const Route = createFileRoute("/_console/stacks/")({
  validateSearch: (search: Search): StacksSearch =>
    compact({ q: text(search, "q"), sel: text(search, "sel", 300) }) as StacksSearch,
  component: StacksScreen,
});
