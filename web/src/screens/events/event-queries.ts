import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { body, call, client, type Schemas } from "@/api/client";

export type Event = Schemas["EventView"];

const PAGE = 200;

export function eventQuery(position: string) {
  return queryOptions({
    queryKey: ["events", "one", position],
    queryFn: () =>
      body(
        client.GET("/api/v1/events/{position_or_id}", {
          params: { path: { position_or_id: position } },
        }),
      ),
    // An event never changes.
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** One page of a search, newest first. */
interface Found {
  events: FoundEvent[];
  next_cursor: string | null;
  scanned: number;
  matched: number;
  /** Recording time up to which was looked. */
  reached: string | null;
  stopped: "limit" | "time" | "end";
}

interface FoundEvent extends Event {
  size: number;
  /** The payload was left out, as it is large. */
  cut?: boolean;
  preview?: string;
}

/** Events of a range that match an expression; the server filters, also by decoded payload. */
export function searchQuery(
  filter: string,
  tenant: string | undefined,
  from: Date | undefined,
  to: Date | undefined,
) {
  return infiniteQueryOptions({
    queryKey: ["events", "search", filter, tenant, from?.toISOString(), to?.toISOString()],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      call<Found>("GET", "/api/v1/search/events", {
        query: {
          filter,
          client_id: tenant,
          from: from?.toISOString(),
          to: to?.toISOString(),
          cursor: pageParam,
          limit: PAGE,
        },
        signal,
      }),
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
}
