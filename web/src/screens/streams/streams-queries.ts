import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { body, call, client, type Schemas } from "@/api/client";
import { GLANCE_MS } from "@/api/queries";
import { compact } from "@/lib/url";

export type Verdict = Schemas["VerdictView"];
export type Contract = Schemas["ContractView"];
export type Timeline = Schemas["Timeline"];
type Matrix = Schemas["Matrix"];
export type Rates = Schemas["Rates"];

const PAGE = 200;
export const WINDOWS = ["30s", "1m", "5m"] as const;
export type RateWindow = (typeof WINDOWS)[number];
export const WINDOW_S: Record<RateWindow, number> = { "30s": 30, "1m": 60, "5m": 300 };

export function contractsQuery(tenant: string | undefined) {
  return queryOptions({
    queryKey: ["contracts", tenant],
    queryFn: () =>
      body(
        client.GET("/api/v1/contracts", {
          params: { query: compact({ client_id: tenant }) as Record<string, string> },
        }),
      ),
  });
}

interface VerdictsAsked {
  filter: string;
  tenant: string | undefined;
  from: Date | undefined;
  to: Date | undefined;
}

/** Current verdicts, newest first; a page may be short, and go on. */
export function verdictsQuery({ filter, tenant, from, to }: VerdictsAsked) {
  return infiniteQueryOptions({
    queryKey: ["verdicts", filter, tenant, from?.toISOString(), to?.toISOString()],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      call<Schemas["FoundVerdicts"]>("GET", "/api/v1/verdicts", {
        query: {
          filter,
          client_id: tenant,
          start_time: from?.toISOString(),
          end_time: to?.toISOString(),
          cursor: pageParam,
          limit: PAGE,
        },
        signal,
      }),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
}

export function ratesQuery(asked: {
  contract?: string | undefined;
  tenant: string | undefined;
  window: RateWindow;
  buckets: number;
  /** End of the last window; undefined: now, and asked again and again. */
  to?: Date | undefined;
}) {
  return queryOptions({
    queryKey: ["rates", asked],
    placeholderData: keepPreviousData,
    refetchInterval: asked.to ? false : GLANCE_MS,
    queryFn: ({ signal }) =>
      call<Rates>("GET", "/api/v1/matching/rates", {
        query: {
          contract: asked.contract,
          client_id: asked.tenant,
          window: asked.window,
          buckets: asked.buckets,
          to: asked.to?.toISOString(),
        },
        signal,
      }),
  });
}

export function matrixQuery(contract: string, clientId: string) {
  return queryOptions({
    queryKey: ["matrix", contract, clientId],
    placeholderData: keepPreviousData,
    refetchInterval: GLANCE_MS,
    queryFn: ({ signal }) =>
      call<Matrix>("GET", "/api/v1/matching/matrix", {
        query: { contract, client_id: clientId },
        signal,
      }),
  });
}

export function timelineQuery(clientId: string, contract: string, key: string) {
  return queryOptions({
    queryKey: ["timeline", clientId, contract, key],
    queryFn: ({ signal }) =>
      call<Timeline>(
        "GET",
        `/api/v1/timeline/${encodeURIComponent(contract)}/${encodeURIComponent(key)}`,
        { query: { client_id: clientId }, signal },
      ),
  });
}

export function historyQuery(clientId: string, contract: string) {
  return queryOptions({
    queryKey: ["contracts", "history", clientId, contract],
    queryFn: ({ signal }) =>
      call<Schemas["ContractHistory"]>(
        "GET",
        `/api/v1/contracts/${encodeURIComponent(contract)}/history`,
        { query: { client_id: clientId }, signal },
      ),
  });
}

export function alertsQuery(clientId: string, contract: string) {
  return infiniteQueryOptions({
    queryKey: ["alerts", clientId, contract],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      call<Schemas["AlertList"]>("GET", "/api/v1/alerts", {
        query: { client_id: clientId, contract, cursor: pageParam, limit: 100 },
        signal,
      }),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
}

/** The same keys or range judged again; the answer is where the verdicts are those of then. */
export function judgeAgain(
  asked: { contract: string; clientId: string } & (
    | { keys: readonly string[] }
    | { from: Date | undefined; to: Date | undefined }
  ),
): Promise<Schemas["Replayed"]> {
  const what =
    "keys" in asked
      ? { keys: asked.keys }
      : compact({ start_time: asked.from?.toISOString(), end_time: asked.to?.toISOString() });
  return call("POST", "/api/v1/reconciliation/replay", {
    json: { contract: asked.contract, client_id: asked.clientId, ...what },
    headers: { "idempotency-key": crypto.randomUUID() },
  });
}
