import { infiniteQueryOptions, type QueryClient, queryOptions } from "@tanstack/react-query";
import { call, type Schemas } from "@/api/client";

export type StackRow = Schemas["StackRow"];
export type StateRecord = Schemas["StateRecord"];
export type Drift = Schemas["DriftView"];
export type Plan = Schemas["PlanView"];
export type Action = Schemas["ActionView"];
export type Heal = Schemas["HealView"];
export type Version = Schemas["VersionView"];
export type Rule = Schemas["RuleView"];

export const PAGE = 200;

export interface StackName {
  client: string;
  stack: string;
}

interface Page {
  next_cursor: string | null;
  scanned: number;
}

export function pathOf({ client, stack }: StackName): string {
  return `/api/v1/clients/${encodeURIComponent(client)}/stacks/${encodeURIComponent(stack)}`;
}

export function stacksQuery(filter: string, tenant: string | undefined) {
  return infiniteQueryOptions({
    queryKey: ["stacks", "board", filter, tenant],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      call<{ stacks: StackRow[] } & Page>("GET", "/api/v1/stacks/board", {
        query: { filter, client_id: tenant, cursor: pageParam, limit: PAGE },
        signal,
      }),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
}

export function driftsQuery(filter: string, tenant: string | undefined, closed: boolean) {
  return infiniteQueryOptions({
    queryKey: ["drifts", "list", filter, tenant, closed],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      call<{ drifts: Drift[] } & Page>("GET", "/api/v1/drifts", {
        query: {
          filter,
          client_id: tenant,
          closed: closed || undefined,
          cursor: pageParam,
          limit: PAGE,
        },
        signal,
      }),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
}

/** A query over one thing of a stack. */
function ofStack<T>(name: StackName, what: string, query: Record<string, string | number> = {}) {
  return queryOptions({
    queryKey: ["stacks", "one", name.client, name.stack, what, query],
    queryFn: ({ signal }) => call<T>("GET", `${pathOf(name)}${what}`, { query, signal }),
  });
}

export const stackQuery = (name: StackName) => ofStack<StateRecord>(name, "");
export const statusQuery = (name: StackName) => ofStack<Schemas["DriftStatus"]>(name, "/drift");
export const historyQuery = (name: StackName) =>
  ofStack<Schemas["History"]>(name, "/history", { limit: 100 });
export const plansQuery = (name: StackName) =>
  ofStack<Schemas["PlanList"]>(name, "/plans", { limit: 20 });
export const planQuery = (name: StackName, id: string) =>
  ofStack<Plan>(name, `/plans/${encodeURIComponent(id)}`);
export const driftQuery = (name: StackName, id: string) =>
  ofStack<Schemas["DriftHistory"]>(name, `/drift/${encodeURIComponent(id)}`);
export const rulesQuery = (name: StackName) => ofStack<Schemas["RuleList"]>(name, "/rules");
export const runsQuery = (name: StackName) =>
  ofStack<Schemas["ReconciliationList"]>(name, "/reconciliations", { limit: 100 });
export const forecastQuery = (name: StackName) =>
  ofStack<Schemas["Predictions"]>(name, "/predictions");
export const effectiveQuery = (name: StackName) =>
  ofStack<Schemas["EffectivePolicy"]>(name, "/policy/effective");

export function closedDriftsQuery(name: StackName) {
  return ofStack<Schemas["DriftList"]>(name, "/drifts", {
    state: "healed,resolved_externally,superseded,false_positive",
    limit: 100,
  });
}

export function graphQuery({ client, stack }: StackName) {
  return queryOptions({
    queryKey: ["stacks", "one", client, stack, "graph"],
    queryFn: ({ signal }) =>
      call<Schemas["Graph"]>("GET", "/api/v1/stacks/graph", {
        query: { client_id: client, stack_id: stack },
        signal,
      }),
  });
}

/** A text of a stack as it was written: its policy, or a declaration. */
export function textQuery(name: StackName, what: string) {
  return queryOptions({
    queryKey: ["stacks", "one", name.client, name.stack, "text", what],
    queryFn: async ({ signal }) => {
      const { sessionFetch } = await import("@/api/session");
      const asked = new Request(new URL(`${pathOf(name)}${what}`, location.origin), { signal });
      return (await sessionFetch(asked)).text();
    },
  });
}

/** What a command answers: where it is in the log. */
export interface Noted {
  position: number;
  unchanged?: boolean;
}

/** All that may look different after a command about a stack. */
export const CHANGED = [["stacks"], ["drifts"], ["approvals"], ["heals"], ["guards"], ["thread"]];

/**
 * Command something of a stack, and have what is shown know of it: what is read next waits for the
 * position that the command has in the log.
 */
export async function command<T = Noted>(
  queries: QueryClient,
  name: StackName,
  path: string,
  json: unknown = {},
  method: "POST" | "PUT" | "DELETE" = "POST",
): Promise<T> {
  const answer = await call<T>(method, `${pathOf(name)}${path}`, {
    json,
    headers: { "Idempotency-Key": crypto.randomUUID() },
  });
  await seen(queries, name, (answer as { position?: number } | undefined)?.position);
  return answer;
}

export async function seen(
  queries: QueryClient,
  name: StackName,
  position: number | undefined,
): Promise<void> {
  if (position) await call("GET", pathOf(name), { headers: { "Helios-After": String(position) } });
  await Promise.all(CHANGED.map((queryKey) => queries.invalidateQueries({ queryKey })));
}
