/** Entries of the audit in words, and what they lead to. Pure. */

import type { LinkProps } from "@tanstack/react-router";
import type { ThreadOf } from "@/ui/thread";
import type { Entry } from "./audit-queries";

/** `ApprovalGranted` as `approval granted`, `create_webhook` as `create webhook`. */
export function actionWords(action: string): string {
  return action
    .replace(/_/g, " ")
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .toLowerCase();
}

/** What the thread of an entry begins at. */
export function threadOf(entry: Entry): { of: ThreadOf; id: string } {
  if (entry.kind === "heal") return { of: "heal", id: entry.entry_id };
  if (entry.kind === "approval" && /Granted|Denied|Revoked|Expired/.test(entry.action))
    return { of: "approval", id: entry.target };
  return { of: "event", id: String(entry.position) };
}

/** A person or part of Helios, as `user:ada` and `service:reconciler` name them. */
export function actorWords(actor: string): { name: string; isService: boolean } {
  const [kind, ...rest] = actor.split(":");
  return rest.length > 0
    ? { name: rest.join(":"), isService: kind === "service" }
    : { name: actor, isService: false };
}

export function entryTo(entry: Pick<Entry, "entry_id" | "client_id">): LinkProps {
  return {
    to: "/audit/$id",
    params: { id: entry.entry_id },
    search: { tenant: entry.client_id },
  } as unknown as LinkProps;
}

/** Before and after of each field that an action changed. */
export function changesOf(entry: Entry): { field: string; before: unknown; after: unknown }[] {
  return Object.entries(entry.changes_made).map(([field, change]) => {
    const [before, after] = Array.isArray(change) ? change : [undefined, change];
    return { field, before, after };
  });
}
