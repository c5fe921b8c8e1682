import { createFileRoute } from "@tanstack/react-router";
import { compact, oneOf, type Search, text } from "@/lib/url";
import { STATUSES } from "@/screens/approvals/approval-queries";
import { ApprovalsScreen } from "@/screens/approvals/approvals-screen";

export interface ApprovalsSearch {
  /** Those of this status; those that wait without it. */
  status?: (typeof STATUSES)[number];
  q?: string;
  /** Client and id of the approval that is open in the inspector. */
  sel?: string;
}

export const Route = createFileRoute("/_console/approvals/")({
  validateSearch: (search: Search): ApprovalsSearch =>
    compact({
      status: oneOf(search, "status", STATUSES),
      q: text(search, "q"),
      sel: text(search, "sel", 300),
    }) as ApprovalsSearch,
  component: ApprovalsScreen,
});
