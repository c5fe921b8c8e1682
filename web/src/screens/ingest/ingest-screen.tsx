import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Download, Plus, ShieldAlert } from "lucide-react";
import { useSetSearch, useTenant } from "@/app/console-search";
import { ListOf, NoneMatch, useOpenRow, useSorted } from "@/app/lists";
import { cx } from "@/lib/cx";
import { counted, matching } from "@/lib/filter";
import { count, rate, short } from "@/lib/format";
import { timeOf } from "@/lib/sort";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { Inspector, ListPage } from "@/ui/page";
import { Sparkline } from "@/ui/sparkline";
import { EmptyState } from "@/ui/states";
import { Status } from "@/ui/status";
import { TabLinks } from "@/ui/tab-links";
import { TimeAgo } from "@/ui/values";
import { type Source, sourcesQuery, subscribersQuery } from "./ingest-queries";
import { fieldOf, kindOf, signatureFailures, stateOf, sum } from "./ingest-words";
import { SourceActs } from "./source-acts";
import { SourceSummary } from "./source-summary";
import { SubscriberInspector, SubscriberList } from "./subscribers";

const route = getRouteApi("/_console/ingest/");

const KEYS = [
  { key: "name", words: "name of the source" },
  { key: "provider", words: "what it is of" },
  { key: "kind", words: "webhook, polled, queue" },
  { key: "state", words: "listening, running, paused, waiting, failed, unreadable" },
  { key: "environment", words: "such as production" },
  { key: "client", words: "whose it is" },
  { key: "refused", words: "deliveries refused, such as refused>0" },
  { key: "dead", words: "dead letters since the start" },
  { key: "rate", words: "events a second" },
];
const FACETS = ["name", "provider", "kind", "state", "environment", "client"];

/** The key of a row: a name is another source for each client. */
const keyOf = (one: { client_id: string; name: string }) => `${one.client_id}/${one.name}`;

function pageOf(source: Source) {
  return {
    to: "/ingest/$name",
    params: { name: source.name },
    search: { client: source.client_id },
  } as const;
}

const COLUMNS: readonly Column<Source>[] = [
  {
    id: "name",
    head: "Source",
    main: true,
    cell: (source) => (
      <>
        {source.name} <span className="font-normal text-faint">{source.client_id}</span>
      </>
    ),
    sort: (source) => source.name,
  },
  {
    id: "state",
    head: "State",
    width: "6.75rem",
    cell: (source) => <Status value={stateOf(source)} plain />,
    sort: stateOf,
  },
  {
    id: "provider",
    head: "Provider",
    width: "9.25rem",
    cell: (source) => source.provider,
    sort: (source) => source.provider,
    from: "sm",
  },
  {
    id: "kind",
    head: "Kind",
    width: "8.75rem",
    cell: (source) => <span className="text-soft">{kindOf(source)}</span>,
    sort: kindOf,
    from: "lg",
  },
  {
    id: "endpoint",
    head: "Endpoint",
    width: "12.25rem",
    cell: (source) => (
      <span className="mono text-soft" title={source.webhook_url ?? undefined}>
        {source.webhook ?? "–"}
      </span>
    ),
    sort: (source) => source.webhook,
    from: "lg",
  },
  {
    id: "last",
    head: "Last event",
    width: "7rem",
    align: "right",
    cell: (source) =>
      source.last_delivery ? (
        <TimeAgo at={source.last_delivery} />
      ) : (
        <span className="text-faint">none</span>
      ),
    sort: (source) => timeOf(source.last_delivery),
    from: "sm",
  },
  {
    id: "rate",
    head: "Rate",
    width: "9rem",
    align: "right",
    cell: (source) => (
      <span className="flex items-center justify-end gap-2">
        {source.spark.length > 1 && (
          <Sparkline
            values={source.spark}
            label="Events a second, last two minutes"
            width={56}
            height={18}
          />
        )}
        <span className="w-14">{source.rate === null ? "–" : rate(source.rate)}</span>
      </span>
    ),
    sort: (source) => source.rate,
    from: "md",
  },
  {
    id: "rejects",
    head: "Rejects",
    width: "6rem",
    align: "right",
    cell: (source) => <Rejects source={source} />,
    sort: (source) => sum(rejects(source)),
  },
  {
    id: "duplicates",
    head: "Duplicates",
    width: "6.75rem",
    align: "right",
    cell: (source) => (
      <span className="text-soft">{short(source.status.results.duplicate ?? 0)}</span>
    ),
    sort: (source) => source.status.results.duplicate ?? 0,
    from: "md",
  },
];

function Bad({ value }: { value: number }) {
  return (
    <span className={cx(value > 0 ? "font-semibold text-bad" : "text-faint")}>{count(value)}</span>
  );
}

function rejects({ status }: Source): Record<string, number> {
  return { ...status.refusals, ...(status.results.dead ? { dead: status.results.dead } : {}) };
}

/** Refused at the door, and set aside; the reasons on hover and on the page of the source. */
function Rejects({ source }: { source: Source }) {
  const why = rejects(source);
  const text = Object.entries(why)
    .map(([reason, n]) => `${reason.replace(/_/g, " ")}: ${count(n)}`)
    .join("\n");
  const unsigned = signatureFailures(source.status.refusals);
  return (
    <span title={text || "none since the start"}>
      {unsigned > 0 && (
        <>
          <ShieldAlert className="mr-1 inline size-3.5 align-[-2px] text-bad" aria-hidden />
          <span className="sr-only">{count(unsigned)} unsigned of </span>
        </>
      )}
      <Bad value={sum(why)} />
    </span>
  );
}

/** Where events come in, and who gets them out. */
export function IngestScreen() {
  const { tab = "sources", q = "", sel } = route.useSearch();
  const tenant = useTenant();
  const set = useSetSearch();
  const sources = useQuery(sourcesQuery(tenant));
  const subscribers = useQuery(subscribersQuery(tenant));
  const all = sources.data?.sources ?? [];
  const rows = matching(
    all,
    q,
    fieldOf,
    (source) => `${source.name} ${source.client_id} ${source.provider} ${source.webhook ?? ""}`,
  );
  const table = useOpenRow<Source>(sel, keyOf);
  const open = all.find((source) => keyOf(source) === sel);
  const isSources = tab === "sources";
  const sorted = useSorted(rows, COLUMNS);
  return (
    <ListPage
      title="Ingest"
      note={
        isSources
          ? "Where events come from: webhooks, queues and topics that are read, providers that are polled."
          : "Who gets events out of the log, and what could not be delivered."
      }
      actions={
        <Link
          to="/ingest/new/source"
          search={{}}
          className="inline-flex h-8 items-center gap-1.5 rounded-md bg-primary px-3 font-medium text-on-primary hover:opacity-88"
        >
          <Plus className="size-4" aria-hidden /> Add a source
        </Link>
      }
      filter={
        <div className="flex flex-col gap-2.5">
          <TabLinks
            label="Parts of ingest"
            value={tab}
            tabs={[
              {
                id: "sources",
                label: "Sources",
                to: { to: "/ingest", search: {} },
                count: sources.data?.sources.length,
              },
              {
                id: "subscribers",
                label: "Subscribers",
                to: { to: "/ingest", search: { tab: "subscribers" } },
                count: subscribers.data?.subscribers.length,
              },
            ]}
          />
          {isSources && (
            <FilterBar
              screen="ingest"
              value={q}
              onChange={(text) => set({ q: text || undefined }, { replace: true })}
              keys={KEYS}
              facets={(key) =>
                FACETS.includes(key) ? counted(all, (source) => fieldOf(source, key)) : []
              }
              placeholder="Filter, such as state:failed"
            />
          )}
        </div>
      }
      list={
        !isSources ? (
          <SubscriberList found={subscribers} selected={sel} />
        ) : (
          <ListOf query={sources} isEmpty={!sources.data} lines={8}>
            <DataTable
              {...table}
              {...sorted}
              label="Sources"
              scrollId="ingest"
              columns={COLUMNS}
              pageOf={pageOf}
              empty={<NoSources hasFilter={q !== ""} />}
            />
          </ListOf>
        )
      }
      inspector={
        isSources
          ? open && (
              <Inspector
                label={`Source of ${open.client_id}`}
                title={open.name}
                page={pageOf(open)}
                onClose={() => set({ sel: undefined })}
                actions={<SourceActs source={open} />}
              >
                <SourceSummary source={open} narrow />
              </Inspector>
            )
          : sel && (
              <SubscriberInspector
                subscriber={subscribers.data?.subscribers.find((each) => keyOf(each) === sel)}
                onClose={() => set({ sel: undefined })}
              />
            )
      }
    />
  );
}

function NoSources({ hasFilter }: { hasFilter: boolean }) {
  return hasFilter ? (
    <NoneMatch icon={Download} title="No source matches" />
  ) : (
    <EmptyState
      icon={Download}
      title="No sources yet"
      why="A source is whoever sends events by webhook, a queue that is read, or an API that is polled. Events that are sent to the API need none."
      command="helios sources apply sources.yaml"
      action={
        <Link to="/ingest/new/source" search={{}} className="link">
          Add a source
        </Link>
      }
    />
  );
}
