/** What the settings ask. */

import { queryOptions } from "@tanstack/react-query";
import { body, call, client, type Schemas } from "@/api/client";
import { ApiError } from "@/api/problem";
import type { Setting, Value } from "./setting-words";

export type User = Schemas["UserView"];
export type Token = Schemas["TokenView"];
export type Session = Schemas["SessionView"];
export type Grant = User["grants"][number];
export type Past = Schemas["PastView"];
export type Changed = Schemas["ChangeView"];

const PATH = "/api/v1/configuration";

export function configurationQuery(tenant: string | undefined) {
  return queryOptions({
    queryKey: ["configuration", "all", tenant],
    queryFn: async () => {
      const query = tenant ? { client_id: tenant } : {};
      return (await body(client.GET(PATH, { params: { query } }))).settings;
    },
  });
}

/** Whose setting a change is about; undefined: the installation's. */
export function clientOf(setting: Setting): string | undefined {
  return setting.scope === "installation" ? undefined : (setting.client_id ?? undefined);
}

export function historyQuery(setting: Setting) {
  return queryOptions({
    queryKey: ["configuration", "history", setting.name, clientOf(setting)],
    queryFn: () =>
      call<Schemas["PastList"]>("GET", `${PATH}/${encodeURIComponent(setting.name)}/history`, {
        query: { client_id: clientOf(setting), limit: 50 },
      }),
  });
}

function one(setting: Setting): string {
  return `${PATH}/${encodeURIComponent(setting.name)}`;
}

/** Set a value, or say what it would do. */
export function putSetting(
  setting: Setting,
  value: Value,
  reason: string,
  options: { dryRun?: boolean; signal?: AbortSignal } = {},
): Promise<Changed> {
  return call<Changed>("PUT", one(setting), {
    query: { client_id: clientOf(setting), dry_run: options.dryRun || undefined },
    json: { value, reason },
    headers: options.dryRun ? {} : { "If-Match": `"${setting.etag}"` },
    ...(options.signal ? { signal: options.signal } : {}),
  });
}

export function resetSetting(setting: Setting, reason: string): Promise<Changed> {
  return call<Changed>("DELETE", one(setting), {
    query: { client_id: clientOf(setting) },
    json: { reason },
    headers: { "If-Match": `"${setting.etag}"` },
  });
}

/** Take a change back; without a position the last one. */
export function undoChange(
  setting: Setting,
  position: number | undefined,
  force = false,
): Promise<Changed> {
  return call<Changed>("POST", `${one(setting)}/undo`, {
    query: { client_id: clientOf(setting) },
    json: { ...(position ? { position } : {}), force },
  });
}

/** No feed tells of people: what is shown of them is asked for again this often. */
const OFTEN_MS = 10_000;

/** Users, tokens and sessions; null: nobody signs in at this server. */
async function unlessOff<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiError && error.status === 503) return null;
    throw error;
  }
}

export const usersQuery = queryOptions({
  queryKey: ["users"],
  refetchInterval: OFTEN_MS,
  queryFn: () => unlessOff(call<Schemas["UserList"]>("GET", "/api/v1/users")),
});

export function userQuery(id: string) {
  return queryOptions({
    queryKey: ["users", id],
    queryFn: async () => {
      const { data, response } = await client.GET("/api/v1/users/{id}", {
        params: { path: { id } },
      });
      return { user: data as User, etag: response.headers.get("etag") ?? "" };
    },
  });
}

export const tokensQuery = queryOptions({
  queryKey: ["tokens"],
  refetchInterval: OFTEN_MS,
  queryFn: () => unlessOff(call<Schemas["TokenList"]>("GET", "/api/v1/tokens")),
});

export const sessionsQuery = queryOptions({
  queryKey: ["sessions"],
  refetchInterval: OFTEN_MS,
  queryFn: () => unlessOff(call<Schemas["SessionList"]>("GET", "/api/v1/sessions")),
});

export interface Ready {
  status: string;
  checks: Schemas["Check"][];
}

/** `/ready` answers 503 with its checks when one of them fails: an answer, not a fault. */
export const readyQuery = queryOptions({
  queryKey: ["ready"],
  queryFn: async ({ signal }): Promise<Ready> => {
    const answer = await fetch("/ready", { signal, credentials: "same-origin" });
    return (await answer.json()) as Ready;
  },
  refetchInterval: 5_000,
});
