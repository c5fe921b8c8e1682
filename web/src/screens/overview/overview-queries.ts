import { queryOptions } from "@tanstack/react-query";
import { body, client, type Schemas } from "@/api/client";

export type Overview = Schemas["Overview"];
export type Station = Schemas["Station"];
export type Item = Schemas["helios.api.attention.Item"];
export type Healed = Schemas["Healed"];

/** The answer is kept for a second by the server, and samples are taken every two. */
const EVERY_MS = 2_000;

export function overviewQuery(tenant: string | undefined) {
  return queryOptions({
    queryKey: ["overview", tenant ?? "*"],
    queryFn: () =>
      body(
        client.GET("/api/v1/overview", { params: { query: tenant ? { client_id: tenant } : {} } }),
      ),
    refetchInterval: EVERY_MS,
    staleTime: EVERY_MS / 2,
  });
}

/** An event that means nothing to any contract; returns where it is in the log. */
export async function sendTestEvent(tenant: string): Promise<number> {
  const taken = await body(
    client.POST("/api/v1/events/ingest", {
      body: {
        source: "console",
        eventType: "TestEventSent",
        client_id: tenant,
        payload: { text: "Hello from the console" },
      } as never,
    }),
  );
  return (taken as { position: number }).position;
}
