import { createFileRoute } from "@tanstack/react-router";
import { compact, oneOf, type Search, text } from "@/lib/url";
import { ContractPage } from "@/screens/streams/contract-page";

export interface ContractSearch {
  tab?: "versions" | "windows" | "alerts";
  /** The versions that are compared. */
  a?: string;
  b?: string;
}

export const Route = createFileRoute("/_console/streams/$contract/")({
  validateSearch: (search: Search): ContractSearch =>
    compact({
      tab: oneOf(search, "tab", ["versions", "windows", "alerts"] as const),
      a: text(search, "a", 10),
      b: text(search, "b", 10),
    }) as ContractSearch,
  component: ContractPage,
});
