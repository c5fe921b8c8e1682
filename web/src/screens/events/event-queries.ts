import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { body, call, client, type Schemas } from "@/api/client";
import { quote } from "@/lib/filter";

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

/** What finds the events of the stream that an event is of, and few others. */
export function streamFilter({ aggregate: { type, id } }: Event): string {
  return `about:${quote(type)} key:${quote(id)}`;
}

/** The event before (-1) or after (1) in the stream of one: as far as a search comes at once. */
export function neighbourQuery(event: Event, step: -1 | 1) {
  const { position, client_id, aggregate, recorded_at } = event;
  const sequence = event.sequence + step;
  return queryOptions({
    queryKey: ["events", "neighbour", position, step],
    queryFn: async ({ signal }) => {
      if (sequence < 1) return { isAll: true };
      const { events, stopped } = await call<Found>("GET", "/api/v1/search/events", {
        query: {
          filter: `${streamFilter(event)} sequence:${sequence}`,
          client_id,
          limit: PAGE,
          ...(step > 0
            ? { direction: "oldest", from: recorded_at }
            : // The end is exclusive, and events of one moment may be neighbours.
              { to: new Date(Date.parse(recorded_at) + 1).toISOString() }),
        },
        signal,
      });
      // A key is also what payloads of others name.
      const found = events.find(
        (each) => each.aggregate.type === aggregate.type && each.aggregate.id === aggregate.id,
      );
      return { found, isAll: stopped !== "time" };
    },
    // What came before never changes.
    ...(step < 0 && { staleTime: Number.POSITIVE_INFINITY }),
  });
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
