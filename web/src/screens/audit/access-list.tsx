import { useInfiniteQuery } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { useMemo } from "react";
import { useMe } from "@/api/me";
import { useLimits, useSetSearch, useTenant, useTimeRange } from "@/app/console-search";
import { ListOf, NoneMatch, useListEnd, useOpenRow } from "@/app/lists";
import { isLive } from "@/lib/time-range";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { ListPage } from "@/ui/page";
import { EmptyState } from "@/ui/states";
import { EventInspector } from "../events/event-inspector";
import { type Event, searchQuery } from "../events/event-queries";
import { accessFilter, KINDS, said } from "./access-words";
import { actionWords, actorWords } from "./audit-words";
import { AuditTabs } from "./tabs";
import { whenColumns } from "./when-columns";

const KEYS = [
  { key: "type", words: "what was done" },
  { key: "about", words: "to what kind of thing" },
  { key: "actor", words: "who did it" },
  { key: "key", words: "to which one" },
  { key: "client", words: "for whose data; helios: the installation" },
  { key: "age", words: "time since, such as <1h" },
];

const COLUMNS: readonly Column<Event>[] = [
  ...whenColumns<Event>((event) => event.recorded_at),
  {
    id: "type",
    head: "What",
    main: true,
    width: "9.5rem",
    cell: (event) => (
      <span className="block truncate first-letter:uppercase">{actionWords(event.eventType)}</span>
    ),
  },
  { id: "said", head: "On", cell: (event) => <span title={said(event)}>{said(event)}</span> },
  {
    id: "actor",
    head: "Who",
    width: "8rem",
    from: "sm",
    cell: (event) => <span title={event.actor}>{actorWords(event.actor).name}</span>,
  },
  {
    id: "client",
    head: "Client",
    width: "8rem",
    from: "lg",
    cell: (event) =>
      event.client_id === "helios" ? (
        <span className="text-faint">installation</span>
      ) : (
        event.client_id
      ),
  },
];

function keyOf(event: Event): string {
  return String(event.position);
}

/** Sign-ins, users, tokens, sessions and changes of settings: events of the log like any others. */
export function AccessList({ q, sel }: { q: string; sel: string | undefined }) {
  const tenant = useTenant();
  const range = useTimeRange();
  const set = useSetSearch();
  const me = useMe();
  const limits = useLimits();
  const search = useInfiniteQuery({
    ...searchQuery(accessFilter(q), tenant, limits.from, limits.to),
    refetchInterval: 10_000,
  });
  const rows = useMemo(
    () => search.data?.pages.flatMap((page) => page.events as Event[]) ?? [],
    [search.data],
  );
  const onEnd = useListEnd(search);
  const table = useOpenRow(sel, keyOf);
  const hasAll = me.kind === "local" || me.tenants.includes("*");
  const isCut = search.data?.pages.at(-1)?.stopped === "time";
  return (
    <ListPage
      title="Audit"
      note={
        hasAll && !tenant
          ? "Who signed in, who may do what, and which settings were changed."
          : "Which settings of these clients were changed. Sign-ins and users are of the installation."
      }
      filter={<AuditTabs value="access" />}
      strip={
        <FilterBar
          screen="audit-access"
          value={q}
          onChange={(text) => set({ q: text || undefined }, { replace: true })}
          keys={KEYS}
          facets={(key) => (key === "about" ? KINDS.map((value) => ({ value })) : [])}
          placeholder="Filter, such as type:SignInFailed"
        />
      }
      list={
        <ListOf query={search} isEmpty={rows.length === 0} lines={12}>
          {isCut && (
            <p className="border-b border-line px-4 py-1 text-sm text-soft">
              The log was looked through for two seconds.{" "}
              <button type="button" className="link" onClick={onEnd} disabled={search.isFetching}>
                Look further back
              </button>
            </p>
          )}
          <DataTable
            {...table}
            label="Access and settings"
            scrollId="audit-access"
            rows={rows}
            columns={COLUMNS}
            pageOf={(event) => ({
              to: "/events/$position",
              params: { position: keyOf(event) },
            })}
            onEnd={onEnd}
            empty={
              q || !isLive(range) ? (
                <NoneMatch icon={KeyRound} title="Nothing matches" range />
              ) : (
                <EmptyState
                  icon={KeyRound}
                  title="Nobody has changed anything"
                  why="Sign-ins, users, tokens and settings that change are told here. Change a setting to see it:"
                  command='helios config set feed.heartbeat 20s --reason "to try it"'
                />
              )
            }
          />
        </ListOf>
      }
      inspector={sel && <EventInspector position={sel} onClose={() => set({ sel: undefined })} />}
    />
  );
}
