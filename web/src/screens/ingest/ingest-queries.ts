import { queryOptions } from "@tanstack/react-query";
import { body, call, client, type Schemas } from "@/api/client";
import { GLANCE_MS } from "@/api/queries";

export type Source = Schemas["SourceView"];
export type Provider = Schemas["ProviderView"];
export type Hook = Schemas["HookView"];
export type Subscriber = Schemas["SubscriberView"];
export type Letter = Schemas["LetterView"];
export type Event = Schemas["EventView"];
export type Declared = Schemas["DeclaredSource"];

const YAML = "application/yaml";

export function sourcesQuery(tenant: string | undefined) {
  return queryOptions({
    queryKey: ["sources", "list", tenant ?? "*"],
    queryFn: () =>
      body(
        client.GET("/api/v1/sources", { params: { query: tenant ? { client_id: tenant } : {} } }),
      ),
    refetchInterval: GLANCE_MS,
  });
}

export function sourceQuery(tenant: string, name: string) {
  return queryOptions({
    queryKey: ["sources", "one", tenant, name],
    queryFn: () =>
      body(
        client.GET("/api/v1/sources/{name}", {
          params: { path: { name }, query: { client_id: tenant } },
        }),
      ),
    refetchInterval: GLANCE_MS,
  });
}

export const providersQuery = queryOptions({
  queryKey: ["providers"],
  queryFn: () => body(client.GET("/api/v1/providers", {})),
  staleTime: Number.POSITIVE_INFINITY,
});

/** Asks the provider itself: not more often than somebody looks. */
export function healthQuery(tenant: string, name: string, enabled: boolean) {
  return queryOptions({
    queryKey: ["sources", "health", tenant, name],
    queryFn: () =>
      body(
        client.GET("/api/v1/sources/{name}/health", {
          params: { path: { name }, query: { client_id: tenant } },
        }),
      ),
    staleTime: 60_000,
    refetchOnWindowFocus: false,
    enabled,
  });
}

export function hooksQuery(tenant: string, name: string, enabled: boolean) {
  return queryOptions({
    queryKey: ["sources", "hooks", tenant, name],
    queryFn: () =>
      body(
        client.GET("/api/v1/sources/{name}/hooks", {
          params: { path: { name }, query: { client_id: tenant } },
        }),
      ),
    staleTime: 60_000,
    refetchOnWindowFocus: false,
    enabled,
  });
}

interface Found {
  events: Event[];
}

export const DELIVERIES = 30;

/** The newest events of a source, and what of it could not be taken. */
export function deliveriesQuery(tenant: string, name: string) {
  return queryOptions({
    queryKey: ["sources", "deliveries", tenant, name],
    queryFn: async ({ signal }) => {
      const [found, dead] = await Promise.all([
        call<Found>("GET", "/api/v1/search/events", {
          query: { filter: `source:${name}`, client_id: tenant, limit: DELIVERIES },
          signal,
        }),
        call<{ letters: Letter[] }>("GET", "/api/v1/dead-letters", {
          query: { source: name, client_id: tenant, status: "all", limit: DELIVERIES },
          signal,
        }),
      ]);
      return { events: found.events, letters: dead.letters };
    },
    refetchInterval: GLANCE_MS,
  });
}

/** How many of a source are set aside, by cause. */
export function causesQuery(tenant: string, name: string) {
  return queryOptions({
    queryKey: ["sources", "causes", tenant, name],
    queryFn: () =>
      call<{ groups: Schemas["GroupView"][] }>("GET", "/api/v1/dead-letters/groups", {
        query: { source: name, client_id: tenant },
      }),
    refetchInterval: 2 * GLANCE_MS,
  });
}

/** What was declared of a source, newest first: each declaration is an event. */
export function versionsQuery(tenant: string, name: string) {
  return queryOptions({
    queryKey: ["sources", "versions", tenant, name],
    queryFn: async ({ signal }) => {
      const found = await call<Found>("GET", "/api/v1/search/events", {
        query: {
          filter: `about:helios.source key:${name} type:SourceDeclared`,
          client_id: tenant,
          limit: 50,
        },
        signal,
      });
      return found.events;
    },
  });
}

/** Declare what a document holds, or only have it checked. */
export async function declare(
  text: string,
  options: { dryRun?: boolean; version?: number } = {},
): Promise<Declared[]> {
  const told = await call<{ sources: Declared[] }>("PUT", "/api/v1/sources", {
    ...(options.dryRun ? { query: { dry_run: true } } : {}),
    text: { type: YAML, body: text },
    headers: options.version === undefined ? {} : { "If-Match": `"${options.version}"` },
  });
  return told.sources;
}

export function act(
  tenant: string,
  name: string,
  verb: "pause" | "resume",
): Promise<{ unchanged: boolean }> {
  return call("POST", `/api/v1/sources/${encodeURIComponent(name)}/${verb}`, {
    query: { client_id: tenant },
  });
}

export function remove(tenant: string, name: string): Promise<unknown> {
  return call("DELETE", `/api/v1/sources/${encodeURIComponent(name)}`, {
    query: { client_id: tenant },
  });
}

export interface HookChange {
  action: "create" | "update" | "delete" | "none";
  dry_run: boolean;
  hook: Hook;
}

export function mendHook(tenant: string, name: string, dryRun: boolean): Promise<HookChange> {
  return call("PUT", `/api/v1/sources/${encodeURIComponent(name)}/hooks`, {
    query: { client_id: tenant, dry_run: dryRun },
    json: {},
  });
}

export function deleteHook(
  tenant: string,
  name: string,
  id: string,
  dryRun: boolean,
): Promise<HookChange> {
  return call("DELETE", `/api/v1/sources/${encodeURIComponent(name)}/hooks`, {
    query: { client_id: tenant, dry_run: dryRun, hook_id: id },
  });
}

// -- subscribers

export function subscribersQuery(tenant: string | undefined) {
  return queryOptions({
    queryKey: ["subscribers", tenant ?? "*"],
    queryFn: () =>
      body(
        client.GET("/api/v1/subscribers", {
          params: { query: tenant ? { client_id: tenant } : {} },
        }),
      ),
    refetchInterval: GLANCE_MS,
  });
}

export function setAsideQuery(tenant: string, name: string) {
  return queryOptions({
    queryKey: ["subscribers", "deliveries", tenant, name],
    queryFn: () =>
      call<{ deliveries: Schemas["DeliveryView"][] }>(
        "GET",
        `/api/v1/subscribers/${encodeURIComponent(name)}/deliveries`,
        { query: { client_id: tenant, limit: 100 } },
      ),
    refetchInterval: GLANCE_MS,
  });
}

export function actOnSubscriber(
  { client_id, name }: Pick<Subscriber, "client_id" | "name">,
  verb: "disable" | "enable" | "redeliver",
  json: unknown = {},
): Promise<unknown> {
  return call("POST", `/api/v1/subscribers/${encodeURIComponent(name)}/${verb}`, {
    query: { client_id },
    ...(verb === "disable" ? {} : { json }),
  });
}
