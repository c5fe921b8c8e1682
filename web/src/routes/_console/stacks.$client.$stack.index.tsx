import { createFileRoute } from "@tanstack/react-router";
import { compact, oneOf, type Search, text } from "@/lib/url";
import { StackPage } from "@/screens/stacks/stack-page";
import { stackQuery } from "@/screens/stacks/stack-queries";
import { TABS } from "@/screens/stacks/stack-tabs";

export interface StackSearch {
  tab?: (typeof TABS)[number];
  /** The drift, or the part of the graph, that is open. */
  sel?: string;
  /** Parts of the graph that are drawn; absent: all. */
  show?: "unwell";
  /** Generations that are compared. */
  a?: string;
  b?: string;
}

export const Route = createFileRoute("/_console/stacks/$client/$stack/")({
  validateSearch: (search: Search): StackSearch =>
    compact({
      tab: oneOf(search, "tab", TABS),
      sel: text(search, "sel", 400),
      show: oneOf(search, "show", ["unwell"] as const),
      a: text(search, "a", 10),
      b: text(search, "b", 10),
    }) as StackSearch,
  loader: ({ context, params }) => context.queryClient.ensureQueryData(stackQuery(params)),
  component: StackPage,
});
