/** Filters that people gave a name. */

import { queryOptions, useQueryClient } from "@tanstack/react-query";
import { call, type Schemas } from "./client";
import { ApiError } from "./problem";

export type SavedView = Schemas["SavedView"];

/** What is saved of a view; without `is_default` that stays as it was. */
export type Wanted = Pick<SavedView, "id" | "screen" | "title" | "filter" | "is_shared"> & {
  state: object;
  is_default?: boolean;
};

const PATH = "/api/v1/saved-views";

async function read(tenant: string | undefined, after?: number): Promise<SavedView[]> {
  const headers: Record<string, string> = after ? { "helios-after": String(after) } : {};
  const query = { client_id: tenant };
  return (await call<Schemas["SavedViewList"]>("GET", PATH, { query, headers })).views;
}

/** Of all screens: there are few, and the palette offers them everywhere. */
export function savedViewsQuery(tenant: string | undefined) {
  return queryOptions({
    queryKey: ["saved-views", tenant],
    queryFn: async () => {
      try {
        return await read(tenant);
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return [];
        throw error;
      }
    },
  });
}

/** Saves and removes views of a client; when that is done, the lists that are shown have it so. */
export function useSavedViews(tenant: string | undefined) {
  const queries = useQueryClient();
  const query = { client_id: tenant };
  const at = (id: string) => `${PATH}/${encodeURIComponent(id)}`;
  const shown = async ({ position }: { position: number }) => {
    const { queryKey } = savedViewsQuery(tenant);
    // What is on its way was asked before.
    await queries.cancelQueries({ queryKey });
    queries.setQueryData(queryKey, await read(tenant, position));
  };
  return {
    put: async ({ id, screen, title, filter, state, is_shared, is_default }: Wanted) => {
      const json = { screen, title, filter, state, is_shared, is_default };
      await shown(await call("PUT", at(id), { query, json }));
    },
    remove: async (id: string) => shown(await call("DELETE", at(id), { query })),
  };
}
