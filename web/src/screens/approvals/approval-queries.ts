import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { call, type Schemas } from "@/api/client";
import type { Heal } from "@/screens/stacks/stack-queries";

export type Approval = Schemas["ApprovalView"];

export const STATUSES = ["granted", "denied", "revoked", "expired", "stale", "all"] as const;
export type Status = (typeof STATUSES)[number] | "pending";

export function approvalsQuery(status: Status, tenant: string | undefined) {
  return infiniteQueryOptions({
    queryKey: ["approvals", "list", status, tenant],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      call<Schemas["ApprovalList"]>("GET", "/api/v1/approvals", {
        query: {
          client_id: tenant,
          status: status === "all" ? undefined : status,
          cursor: pageParam,
          limit: 200,
        },
        signal,
      }),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
}

export function approvalQuery(id: string, tenant: string | undefined) {
  return queryOptions({
    queryKey: ["approvals", "one", id, tenant],
    queryFn: ({ signal }) =>
      call<Approval>("GET", `/api/v1/approvals/${encodeURIComponent(id)}`, {
        query: { client_id: tenant },
        signal,
      }),
  });
}

const TRIES = 16;
const PAUSE_MS = 500;

/** The first action of a plan that was begun; undefined: none was within some seconds. */
export async function begun(approval: Approval): Promise<Heal | undefined> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const found = await call<{ heals: Heal[] }>("GET", "/api/v1/heals", {
      query: {
        client_id: approval.client_id,
        filter: `stack:"${approval.stack_id}"`,
        limit: 20,
      },
    });
    const heal = found.heals.find((each) => each.plan_id === approval.plan_id);
    if (heal) return heal;
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
  return undefined;
}
