/** What the audit asks. */

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { call, type Schemas } from "@/api/client";
import { bounds, isLive, type TimeRange } from "@/lib/time-range";

export type Entry = Omit<Schemas["Entry"], "changes_made"> & {
  changes_made: Record<string, unknown>;
};
export type Report = Schemas["Report"];
export type ClientReport = Report["clients"][number];

export interface EntryPage {
  entries: Entry[];
  next_cursor: string | null;
}

export const PAGE = 200;

/** A range as the audit takes it; `live` is all there is, since audits look far back. */
export function limitsOf(range: TimeRange, now: Date): { since?: string; until?: string } {
  if (isLive(range)) return {};
  const { from, to } = bounds(range, now);
  return range.kind === "absolute"
    ? { since: from.toISOString(), until: to.toISOString() }
    : { since: from.toISOString() };
}

export function readEntries(
  query: { filter: string; client_id: string | undefined; since?: string; until?: string },
  cursor: string,
  limit: number,
  signal?: AbortSignal,
): Promise<EntryPage> {
  return call<EntryPage>("GET", "/api/v1/audit", {
    query: { ...query, cursor, limit },
    ...(signal ? { signal } : {}),
  });
}

export function entriesQuery(filter: string, tenant: string | undefined, range: TimeRange) {
  return infiniteQueryOptions({
    queryKey: ["audit", "list", filter, tenant, range],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      readEntries(
        { filter, client_id: tenant, ...limitsOf(range, new Date()) },
        pageParam,
        PAGE,
        signal,
      ),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
}

export function entryQuery(id: string, tenant: string | undefined) {
  return queryOptions({
    queryKey: ["audit", "one", id, tenant],
    queryFn: () =>
      call<{ entry: Entry; plan: Schemas["PlanView"] | null }>(
        "GET",
        `/api/v1/audit/${encodeURIComponent(id)}`,
        { query: { client_id: tenant } },
      ),
  });
}

export function reportQuery(tenant: string | undefined, since: string, until: string | undefined) {
  return queryOptions({
    queryKey: ["audit", "report", tenant, since, until],
    queryFn: ({ signal }) =>
      call<Report>("GET", "/api/v1/audit/report", {
        query: { client_id: tenant, since, until },
        signal,
      }),
  });
}
