import { createFileRoute } from "@tanstack/react-router";
import { compact, oneOf, type Search, text } from "@/lib/url";
import { GroupPage } from "@/screens/dead-letters/group-page";
import { STATUSES } from "@/screens/dead-letters/letter-words";

export interface GroupSearch {
  source?: string;
  reason?: string;
  type?: string;
  template?: string;
  status?: (typeof STATUSES)[number];
  /** The letter that is shown. */
  sel?: string;
  /** Work on the group that goes on, or has ended. */
  job?: string;
}

export const Route = createFileRoute("/_console/dead-letters/group")({
  validateSearch: (search: Search): GroupSearch =>
    compact({
      source: text(search, "source", 200),
      reason: text(search, "reason", 200),
      type: text(search, "type", 300),
      template: text(search, "template", 500),
      status: oneOf(search, "status", STATUSES),
      sel: text(search, "sel", 200),
      job: text(search, "job", 100),
    }) as GroupSearch,
  component: GroupPage,
});
