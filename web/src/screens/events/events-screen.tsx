import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Activity, Pause, Play } from "lucide-react";
import { useCallback, useMemo, useState } from "react";
import { useFacets } from "@/api/facets";
import { useLiveEvents } from "@/api/live";
import { useSetSearch, useTenant, useTimeRange } from "@/app/console-search";
import { useShortcut } from "@/app/use-shortcut";
import { parseFilter, type Token } from "@/lib/filter";
import { bytes, count } from "@/lib/format";
import { bounds, isLive } from "@/lib/time-range";
import { Button } from "@/ui/button";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { ListPage } from "@/ui/page";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
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

/** All events: as they come, or those of a range; the filter works on decoded payloads. */
export function EventsScreen() {
  const { q = "", sel } = route.useSearch();
  const tenant = useTenant();
  const range = useTimeRange();
  const set = useSetSearch();
  const { keys, facets } = useFacets("events", tenant);
  const tokens = useMemo(() => parseFilter(q), [q]);
  const follow = useFollowing(sel !== undefined);
  const { rows, search, live } = useEvents(tokens, q, tenant, follow.isPaused);
  const { fetchNextPage, hasNextPage, isFetching } = search;
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage();
  }, [fetchNextPage, hasNextPage, isFetching]);

  const columns = useMemo(
    () => (tenant ? COLUMNS.filter((column) => column.id !== "client") : COLUMNS),
    [tenant],
  );
  return (
    <ListPage
      title="Events"
      note="Everything that was seen, decided and done, in the order of the log."
      actions={isLive(range) && <FollowButton follow={follow} pending={live.pending} />}
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
        search.isPending ? (
          <Skeleton lines={12} className="p-6" />
        ) : search.isError && rows.length === 0 ? (
          <ErrorState error={search.error} retry={() => void search.refetch()} />
        ) : (
          <>
            {q !== "" && <Progress search={search} onMore={onEnd} />}
            <DataTable
              label="Events"
              scrollId="events"
              rows={rows}
              rowKey={(event) => String(event.position)}
              columns={columns}
              selected={sel}
              onSelect={(key) => set({ sel: key }, { replace: true })}
              linkTo={(event) => ({
                to: "/events",
                search: (before) => ({ ...before, sel: String(event.position) }),
                resetScroll: false,
              })}
              pageOf={(event) => ({
                to: "/events/$position",
                params: { position: String(event.position) },
              })}
              onEnd={onEnd}
              onScrollAway={follow.setAway}
              empty={<NoEvents hasFilter={q !== ""} onClear={() => set({ q: undefined })} />}
            />
          </>
        )
      }
      inspector={sel && <EventInspector position={sel} onClose={() => set({ sel: undefined })} />}
    />
  );
}

type Search = ReturnType<typeof useEvents>["search"];

interface Following {
  /** New rows wait: by the button, while a row is open, or as the reader has scrolled away. */
  isPaused: boolean;
  isHeld: boolean;
  toggle: () => void;
  setAway: (away: boolean) => void;
}

/** @param isReading a row is open, and must not be pushed away. */
function useFollowing(isReading: boolean): Following {
  const [isHeld, setHeld] = useState(false);
  const [isAway, setAway] = useState(false);
  const toggle = () => setHeld(!isHeld);
  useShortcut("pause", toggle);
  return { isPaused: isHeld || isAway || isReading, isHeld, toggle, setAway };
}

/** The found events, with those that came since on top while the range is live. */
function useEvents(
  tokens: readonly Token[],
  q: string,
  tenant: string | undefined,
  isPaused: boolean,
) {
  const range = useTimeRange();
  const isFollowing = isLive(range);
  // The end of a live range moves; the search has none, so that its key stays the same.
  const limits = useMemo(
    () => (isFollowing ? undefined : bounds(range, new Date())),
    [isFollowing, range],
  );
  const search = useInfiniteQuery({
    ...searchQuery(q, tenant, limits?.from, limits?.to),
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  });
  const keep = useCallback(
    (event: Event) => (!tenant || event.client_id === tenant) && eventMatches(event, tokens),
    [tenant, tokens],
  );
  const live = useLiveEvents({ keep, paused: isPaused, enabled: isFollowing });
  const { items } = live;
  const rows = useMemo(() => {
    const found = search.data?.pages.flatMap((page) => page.events as Event[]) ?? [];
    const newest = found[0]?.position ?? 0;
    const fresh = items.filter((event) => event.position > newest).reverse();
    return fresh.length > 0 ? [...fresh, ...found] : found;
  }, [search.data, items]);
  return { rows, search, live };
}

function FollowButton({ follow, pending }: { follow: Following; pending: number }) {
  return (
    <>
      <span aria-live="polite" className="text-sm text-soft">
        {follow.isPaused && (pending > 0 ? `Paused, ${count(pending)} new` : "Paused")}
      </span>
      <Button
        icon={follow.isHeld ? Play : Pause}
        onClick={follow.toggle}
        aria-pressed={follow.isHeld}
      >
        {follow.isHeld ? "Follow" : "Pause"}
      </Button>
    </>
  );
}

/** How far the search has come: it stops by time as well as by number, and goes on on request. */
function Progress({ search, onMore }: { search: Search; onMore: () => void }) {
  const pages = search.data?.pages ?? [];
  const scanned = pages.reduce((sum, page) => sum + page.scanned, 0);
  const matched = pages.reduce((sum, page) => sum + page.matched, 0);
  const last = pages.at(-1);
  return (
    <p className="flex flex-wrap items-center gap-x-3 border-b border-line px-4 py-1 text-sm text-soft">
      <span>
        {count(matched)} found in {count(scanned)} looked at
      </span>
      {last?.stopped === "time" && last.reached && (
        <button type="button" className="link" onClick={onMore} disabled={search.isFetching}>
          back to <Instant at={last.reached} day />, look further
        </button>
      )}
      {search.isFetchingNextPage && <span>looking…</span>}
    </p>
  );
}

function NoEvents({ hasFilter, onClear }: { hasFilter: boolean; onClear: () => void }) {
  return hasFilter ? (
    <EmptyState
      icon={Activity}
      title="No event matches"
      why="The filter or the time range is too narrow."
      action={<Button onClick={onClear}>Clear the filter</Button>}
    />
  ) : (
    <EmptyState
      icon={Activity}
      title="No events yet"
      why="Events come from sources, from the API and from Helios itself. Send one to try it:"
      command={`helios append --type order.placed --source shop --aggregate order/1 --data '{"total": 12}'`}
    />
  );
}
