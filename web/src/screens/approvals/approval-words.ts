/** Questions that were asked before. Pure. */

import type { Schemas } from "@/api/client";

export type Approval = Schemas["ApprovalView"];

/** What an approval asks for, without what it is bound to: the same for the same plan again. */
export function signature(approval: Approval): string {
  return JSON.stringify(
    approval.shown.actions.map((action) => [action.kind, action.target, action.params]),
  );
}

/** Earlier questions about the same plan of the same stack, newest first. */
export function earlier(approval: Approval, all: readonly Approval[]): Approval[] {
  const wanted = signature(approval);
  return all.filter(
    (each) =>
      each.approval_id !== approval.approval_id &&
      each.client_id === approval.client_id &&
      each.stack_id === approval.stack_id &&
      signature(each) === wanted,
  );
}
