import { createFileRoute } from "@tanstack/react-router";
import { compact, oneOf, type Search, text } from "@/lib/url";
import { AuditScreen } from "@/screens/audit/audit-screen";

export interface AuditSearch {
  /** The filter expression. */
  q?: string;
  /** The entry that is open; of access: the position of the event. */
  sel?: string;
  tab?: "access";
}

export const Route = createFileRoute("/_console/audit/")({
  validateSearch: (search: Search): AuditSearch =>
    compact({
      q: text(search, "q"),
      sel: text(search, "sel", 200),
      tab: oneOf(search, "tab", ["access"] as const),
    }) as AuditSearch,
  component: AuditScreen,
});
