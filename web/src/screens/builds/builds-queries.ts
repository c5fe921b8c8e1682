/** What the screens of sites, builds and cached content ask. */

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { call, type Schemas } from "@/api/client";
import { GLANCE_MS } from "@/api/queries";
import type { Token } from "@/lib/filter";
import { unquote, valuesOf } from "@/lib/filter";

export type Site = Schemas["SiteView"];
export type Build = Omit<Schemas["BuildView"], "published"> & {
  published: Record<string, unknown> | null;
};
export interface Item {
  client_id: string;
  source: string;
  type: string;
  id: string;
  locale: string | null;
  stage: string;
  version: string;
  slug: string | null;
  title: string | null;
  status: string;
  price: string | null;
  currency: string | null;
  stock: number | null;
  updated_at: string | null;
  refreshed_at: string;
  changed_at: string;
  changed_position: number;
  stale: boolean;
  raw: unknown;
}

const PAGE = 100;

export function sitesQuery(tenant: string | undefined) {
  return queryOptions({
    queryKey: ["sites", tenant],
    refetchInterval: GLANCE_MS,
    queryFn: async () =>
      (await call<Schemas["SiteList"]>("GET", "/api/v1/sites", { query: { client_id: tenant } }))
        .sites,
  });
}

export function siteQuery(client: string, name: string) {
  return queryOptions({
    queryKey: ["sites", "one", client, name],
    refetchInterval: GLANCE_MS,
    queryFn: () =>
      call<Site>("GET", `/api/v1/sites/${encodeURIComponent(name)}`, {
        query: { client_id: client },
      }),
  });
}

export function readBuilds(query: {
  client_id: string | undefined;
  site?: string | undefined;
  cursor?: string;
  limit: number;
}): Promise<{ builds: Build[]; next_cursor: string | null }> {
  return call("GET", "/api/v1/builds", { query });
}

/** Builds, newest first; the server narrows by client and site, the page by the rest. */
export function buildsQuery(tenant: string | undefined, site: string | undefined) {
  return infiniteQueryOptions({
    queryKey: ["builds", "list", tenant, site],
    initialPageParam: "",
    queryFn: ({ pageParam }) =>
      readBuilds({ client_id: tenant, site, cursor: pageParam, limit: PAGE }),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
}

export function buildQuery(client: string, id: string) {
  return queryOptions({
    queryKey: ["builds", "one", client, id],
    queryFn: () =>
      call<Build>("GET", `/api/v1/builds/${encodeURIComponent(id)}`, {
        query: { client_id: client },
      }),
  });
}

/** What of a filter the server can look for; the rest is looked for in what is here. */
export function contentAsked(tokens: readonly Token[]): Record<string, string | undefined> {
  const many = (key: string) => valuesOf(tokens, key)?.map(unquote).join(",");
  const one = (key: string) => {
    const found = valuesOf(tokens, key);
    return found?.length === 1 ? found[0] : undefined;
  };
  const stage = one("stage");
  return {
    source: many("source"),
    type: many("type"),
    slug: one("slug"),
    locale: one("locale"),
    stage: stage === "draft" ? "draft" : undefined,
  };
}

export function contentQuery(client: string, asked: Record<string, string | undefined>) {
  return infiniteQueryOptions({
    queryKey: ["content", client, asked],
    initialPageParam: "",
    refetchInterval: GLANCE_MS * 2,
    queryFn: ({ pageParam }) =>
      call<{ items: Item[]; next_cursor: string | null }>("GET", "/api/v1/content", {
        query: { client_id: client, ...asked, cursor: pageParam, limit: PAGE },
      }),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
}

export const sourcesQuery = (tenant: string | undefined) =>
  queryOptions({
    queryKey: ["sources", "names", tenant],
    staleTime: 30_000,
    queryFn: async () =>
      (
        await call<{ sources: { name: string; client_id: string; provider: string }[] }>(
          "GET",
          "/api/v1/sources",
          { query: { client_id: tenant } },
        )
      ).sources,
  });
