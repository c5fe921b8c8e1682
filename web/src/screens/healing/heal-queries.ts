import { infiniteQueryOptions, type QueryClient, queryOptions } from "@tanstack/react-query";
import { call, type Schemas } from "@/api/client";
import { CHANGED } from "@/screens/stacks/stack-queries";
import { type Guards, joined } from "./heal-words";

export type HealRun = Schemas["HealRun"];

export const TABS = ["timeline", "guards"] as const;
const PAGE = 200;

export function healsQuery(
  filter: string,
  tenant: string | undefined,
  since: string | undefined,
  until: string | undefined,
) {
  return infiniteQueryOptions({
    queryKey: ["heals", "list", filter, tenant, since, until],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      call<Schemas["HealBoard"]>("GET", "/api/v1/heals", {
        query: {
          filter,
          client_id: tenant,
          start_time: since,
          end_time: until,
          cursor: pageParam,
          limit: PAGE,
        },
        signal,
      }),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
}

export function healQuery(id: string, tenant: string | undefined) {
  return queryOptions({
    queryKey: ["heals", "one", id, tenant],
    queryFn: ({ signal }) =>
      call<HealRun>("GET", `/api/v1/heals/${encodeURIComponent(id)}`, {
        query: { client_id: tenant },
        signal,
      }),
  });
}

/** The guards of clients, those that hold for all once. */
export function guardsQuery(tenants: readonly string[]) {
  return queryOptions({
    queryKey: ["guards", tenants],
    queryFn: async ({ signal }) => {
      const asked = tenants.length > 0 ? tenants.slice(0, CLIENTS_MAX) : [undefined];
      const found = await Promise.all(
        asked.map((client) =>
          call<Guards>("GET", "/api/v1/guards", { query: { client_id: client }, signal }),
        ),
      );
      return joined(found);
    },
  });
}

/** Clients whose guards are asked for at once; for more, one has to be chosen. */
const CLIENTS_MAX = 20;

/** Change a guard of a client, or of all clients, and have what is shown know of it. */
export async function guard(
  queries: QueryClient,
  path: string,
  client: string | null | undefined,
  json: unknown,
  method: "POST" | "DELETE" = "POST",
): Promise<void> {
  const done = await call<{ position: number }>(method, `/api/v1/guards${path}`, {
    query: { client_id: client ?? undefined },
    ...(method === "POST" ? { json } : {}),
    headers: { "Idempotency-Key": crypto.randomUUID() },
  });
  await call("GET", "/api/v1/guards", {
    query: { client_id: client ?? undefined },
    ...(done.position ? { headers: { "Helios-After": String(done.position) } } : {}),
  });
  await Promise.all(CHANGED.map((queryKey) => queries.invalidateQueries({ queryKey })));
}
