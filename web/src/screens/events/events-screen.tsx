import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Activity } from "lucide-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useFacets } from "@/api/facets";
import { useLiveEvents } from "@/api/live";
import { useLimits, useSetSearch, useTenant, useTimeRange } from "@/app/console-search";
import { FollowButton, useFollowing } from "@/app/follow";
import { ListOf, NoneMatch, useColumns, useListEnd, useOpenRow } from "@/app/lists";
import { parseFilter } from "@/lib/filter";
import { bytes, count } from "@/lib/format";
import { isLive } from "@/lib/time-range";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { ListPage } from "@/ui/page";
import { EmptyState } from "@/ui/states";
import { Instant } from "@/ui/values";
import { Density } from "./density";
import { eventMatches, sizeOf } from "./event-fields";
import { EventInspector } from "./event-inspector";
import { type Event, searchQuery } from "./event-queries";

const route = getRouteApi("/_console/events/");

const COLUMNS: readonly Column<Event>[] = [
  {
    id: "time",
    head: "Recorded",
    width: "7.5rem",
    cell: (event) => <Instant at={event.recorded_at} />,
  },
  { id: "type", head: "Type", main: true, cell: (event) => event.eventType },
  {
    id: "about",
    head: "About",
    cell: (event) => (
      <span className="mono" title={`${event.aggregate.type}/${event.aggregate.id}`}>
        <span className="text-faint">{event.aggregate.type}/</span>
        {event.aggregate.id}
      </span>
    ),
    from: "sm",
  },
  { id: "source", head: "Source", width: "8rem", cell: (event) => event.source, from: "md" },
  { id: "client", head: "Client", width: "8rem", cell: (event) => event.client_id, from: "lg" },
  {
    id: "size",
    head: "Size",
    width: "5.5rem",
    align: "right",
    cell: (event) => <span className="text-soft">{bytes(sizeOf(event))}</span>,
    from: "lg",
  },
  {
    id: "position",
    head: "Position",
    width: "6.5rem",
    align: "right",
    cell: (event) => <span className="text-soft">#{count(event.position)}</span>,
  },
];

function keyOf(event: Event): string {
  return String(event.position);
}

function pageOf(event: Event) {
  return { to: "/events/$position", params: { position: keyOf(event) } } as const;
}

/** All events: as they come, or those of a range; the filter works on decoded payloads. */
export function EventsScreen() {
  const { q = "", sel } = route.useSearch();
  const tenant = useTenant();
  const range = useTimeRange();
  const set = useSetSearch();
  const { keys, facets } = useFacets("events", tenant);
  const isFollowing = isLive(range);
  const follow = useFollowing(sel !== undefined, isFollowing);
  const { rows, search, live, stop } = useEvents(q, tenant, isFollowing, follow.isPaused);
  const more = useListEnd(search);
  const isHalted = stop.isStopped;
  const onEnd = useCallback(() => {
    if (!isHalted) more();
  }, [isHalted, more]);

  const columns = useColumns(COLUMNS);
  const table = useOpenRow(sel, keyOf);
  return (
    <ListPage
      title="Events"
      note="Everything that was seen, decided and done, in the order of the log."
      actions={isFollowing && <FollowButton follow={follow} pending={live.pending} />}
      filter={
        <FilterBar
          screen="events"
          value={q}
          onChange={(text) => set({ q: text || undefined }, { replace: true })}
          keys={keys}
          facets={facets}
        />
      }
      strip={<Density filter={q} />}
      list={
        <>
          {q !== "" && <Progress search={search} stop={stop} onMore={more} />}
          <ListOf
            query={{
              isPending: search.isPending && !isHalted,
              isError: search.isError,
              error: search.error,
              refetch: search.refetch,
            }}
            isEmpty={rows.length === 0}
            lines={12}
          >
            <DataTable
              {...table}
              label="Events"
              scrollId="events"
              rows={rows}
              columns={columns}
              pageOf={pageOf}
              onEnd={onEnd}
              onScrollAway={follow.setAway}
              empty={!isHalted && <NoEvents hasFilter={q !== ""} />}
            />
          </ListOf>
        </>
      }
      inspector={sel && <EventInspector position={sel} onClose={() => set({ sel: undefined })} />}
    />
  );
}

type Search = ReturnType<typeof useEvents>["search"];

interface Stop {
  isStopped: boolean;
  stop: () => void;
  goOn: () => void;
}

/** Ends what is asked for, and keeps what was found, until another search or the same is wanted. */
function useStop(queryKey: readonly unknown[]): Stop {
  const queries = useQueryClient();
  const key = JSON.stringify(queryKey);
  const [stopped, setStopped] = useState<string>();
  return {
    isStopped: stopped === key,
    stop: () => {
      setStopped(key);
      void queries.cancelQueries({ queryKey, exact: true });
    },
    goOn: () => setStopped(undefined),
  };
}

/** The found events, with those that came since on top while the range is live. */
function useEvents(q: string, tenant: string | undefined, isFollowing: boolean, isPaused: boolean) {
  const tokens = useMemo(() => parseFilter(q), [q]);
  const limits = useLimits();
  const asked = searchQuery(q, tenant, limits.from, limits.to);
  const stop = useStop(asked.queryKey);
  const search = useInfiniteQuery({
    ...asked,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  });
  const keep = useCallback(
    (event: Event) => (!tenant || event.client_id === tenant) && eventMatches(event, tokens),
    [tenant, tokens],
  );
  const live = useLiveEvents({ keep, paused: isPaused, enabled: isFollowing });
  // What came after what was found and before the feed was open, or while another filter was shown,
  // is in neither: it is asked for once more when nothing can slip between any longer.
  const coveredFor = useRef<typeof keep>(undefined);
  const { refetch } = search;
  const isReady = isFollowing && live.state === "open" && !search.isFetching && !stop.isStopped;
  useEffect(() => {
    if (!isReady || coveredFor.current === keep) return;
    coveredFor.current = keep;
    void refetch();
  }, [isReady, keep, refetch]);
  const { items } = live;
  const rows = useMemo(() => {
    const found = search.data?.pages.flatMap((page) => page.events as Event[]) ?? [];
    const newest = found[0]?.position ?? 0;
    const fresh = items.filter((event) => event.position > newest).reverse();
    return fresh.length > 0 ? [...fresh, ...found] : found;
  }, [search.data, items]);
  return { rows, search, live, stop };
}

/** How far the search has come: it stops by time as well as by number, and goes on on request. */
function Progress({ search, stop, onMore }: { search: Search; stop: Stop; onMore: () => void }) {
  const pages = search.data?.pages ?? [];
  const scanned = pages.reduce((sum, page) => sum + page.scanned, 0);
  const matched = pages.reduce((sum, page) => sum + page.matched, 0);
  const last = pages.at(-1);
  // Asking once more for what is there takes no time worth stopping.
  const isLooking = search.isFetching && (search.isFetchingNextPage || search.isPending);
  const goOn = () => {
    stop.goOn();
    if (last) onMore();
    else void search.refetch();
  };
  return (
    <p className="flex flex-wrap items-center gap-x-3 border-b border-line px-4 py-1 text-sm text-soft">
      {last && (
        <span>
          {count(matched)} found in {count(scanned)} looked at
          {last.reached && last.next_cursor && (
            <>
              , back to <Instant at={last.reached} day />
            </>
          )}
        </span>
      )}
      {isLooking ? (
        <>
          <span>looking…</span>
          <button type="button" className="link" onClick={stop.stop}>
            Stop
          </button>
        </>
      ) : (
        (stop.isStopped || last?.stopped === "time") && (
          <>
            {stop.isStopped && <span>Stopped{last ? "" : " before anything was looked at"}</span>}
            {(!last || last.next_cursor) && (
              <button type="button" className="link" onClick={goOn} disabled={search.isFetching}>
                Look further
              </button>
            )}
          </>
        )
      )}
    </p>
  );
}

function NoEvents({ hasFilter }: { hasFilter: boolean }) {
  return hasFilter ? (
    <NoneMatch
      icon={Activity}
      title="No event matches"
      why="The filter or the time range is too narrow."
    />
  ) : (
    <EmptyState
      icon={Activity}
      title="No events yet"
      why="Events come from sources, from the API and from Helios itself. Send one to try it:"
      command={`helios append --source shop --type OrderPlaced --payload '{"orderId": "ORD-7"}'`}
    />
  );
}
