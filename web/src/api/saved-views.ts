/** Filters that people gave a name. */

import { queryOptions } from "@tanstack/react-query";
import { call, type Schemas } from "./client";
import { ApiError } from "./problem";

export type SavedView = Schemas["SavedView"];

export const SAVED_VIEWS = "/api/v1/saved-views";

/** Of all screens: there are few, and the palette offers them everywhere. */
export function savedViewsQuery(tenant: string | undefined) {
  return queryOptions({
    queryKey: ["saved-views", tenant],
    queryFn: async () => {
      try {
        const query = { client_id: tenant };
        return (await call<Schemas["SavedViewList"]>("GET", SAVED_VIEWS, { query })).views;
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return [];
        throw error;
      }
    },
  });
}
