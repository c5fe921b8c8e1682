import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { ListTree, RotateCcw } from "lucide-react";
import { useMemo, useState } from "react";
import { useFacets } from "@/api/facets";
import { useMay } from "@/api/me";
import { useSetSearch, useTenant } from "@/app/console-search";
import { FollowButton } from "@/app/follow";
import { ListOf, NoneMatch, useColumns, useListEnd, useOpenRow } from "@/app/lists";
import { cx } from "@/lib/cx";
import { parseFilter, valuesOf } from "@/lib/filter";
import { count } from "@/lib/format";
import { Button } from "@/ui/button";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { ListPage } from "@/ui/page";
import { EmptyState } from "@/ui/states";
import { Badge, Status } from "@/ui/status";
import { TimeAgo } from "@/ui/values";
import { ContractList } from "./contract-list";
import { MatchMatrix } from "./matrix";
import { RateStrip } from "./rate-strip";
import { ReplayRange } from "./replay";
import { type Contract, contractsQuery, type RateWindow, type Verdict } from "./streams-queries";
import { useMostWrong } from "./use-most-wrong";
import { useVerdicts } from "./use-verdicts";
import { VerdictInspector } from "./verdict-inspector";
import { brokenRules, brokenText, rowKey } from "./verdict-words";

const route = getRouteApi("/_console/streams/");

/** What is said of a key that does not match: what is missing, and both sides of each rule. */
function What({ verdict }: { verdict: Verdict }) {
  return (
    <span className="inline-flex max-w-full items-center gap-1.5">
      {verdict.late && <Badge tone="warn">late</Badge>}
      {verdict.missing_events.map((leg) => (
        <Badge key={leg} tone="bad">
          {leg} missing
        </Badge>
      ))}
      <span className="truncate text-soft">
        {brokenRules(verdict).map(brokenText).join("; ")}
        {verdict.status === "matched" && !verdict.late && (
          <span className="text-faint">{verdict.events_count} events agree</span>
        )}
      </span>
    </span>
  );
}

const COLUMNS: readonly Column<Verdict>[] = [
  {
    id: "status",
    head: "Status",
    width: "7.75rem",
    cell: (verdict) => <Status value={verdict.status} plain />,
  },
  {
    id: "key",
    head: "Key",
    width: "9.25rem",
    main: true,
    cell: (verdict) => <span className="mono">{verdict.key}</span>,
  },
  { id: "what", head: "What is said", from: "sm", cell: (verdict) => <What verdict={verdict} /> },
  {
    id: "contract",
    head: "Contract",
    width: "11rem",
    from: "lg",
    cell: (verdict) => (
      <Link
        to="/streams/$contract"
        params={{ contract: verdict.contract }}
        search={{ tenant: verdict.client_id }}
        className="relative z-10 text-soft hover:underline"
      >
        {verdict.contract}
      </Link>
    ),
  },
  {
    id: "client",
    head: "Client",
    width: "8rem",
    from: "lg",
    cell: (verdict) => <span className="text-soft">{verdict.client_id}</span>,
  },
  {
    id: "decided",
    head: "Decided",
    width: "6.5rem",
    align: "right",
    cell: (verdict) => <TimeAgo at={verdict.created_at} className="text-soft" />,
  },
];

/** How well contracts match, what is wrong, and every key that it is wrong with. */
export function StreamsScreen() {
  const { q = "", sel, win = "1m" } = route.useSearch();
  const tenant = useTenant();
  const set = useSetSearch();
  const { keys, facets } = useFacets("verdicts", tenant);
  const { data } = useQuery(contractsQuery(tenant));
  const contracts = data?.contracts;
  const found = useVerdicts(q, sel !== undefined);
  const onEnd = useListEnd(found.search);
  const table = useOpenRow(sel, rowKey);
  const named = useMemo(() => valuesOf(parseFilter(q), "contract"), [q]);
  const shown = contracts?.find((each) => each.name === named?.[0]) ?? contracts?.[0];
  const ofTenant = useColumns(COLUMNS);
  const columns = useMemo(
    () => ofTenant.filter((column) => column.id !== "contract" || (contracts?.length ?? 0) > 1),
    [ofTenant, contracts],
  );
  const [isReplaying, setReplaying] = useState(false);
  const denied = useMay("operate", shown?.client_id ?? "*");
  const setQ = (text: string) => set({ q: text || undefined, sel: undefined }, { replace: true });

  if (contracts?.length === 0 && found.rows.length === 0) return <NoContracts />;
  return (
    <ListPage
      title="Streams"
      note="Whether what several clouds said of the same key agrees."
      actions={
        <>
          {shown && (
            <Button icon={RotateCcw} disabledReason={denied} onClick={() => setReplaying(true)}>
              Judge again
            </Button>
          )}
          {found.isFollowing && <FollowButton follow={found.follow} pending={found.live.pending} />}
        </>
      }
      strip={<Figures contracts={contracts} shown={shown} named={named} q={q} win={win} />}
      filter={
        <FilterBar
          screen="streams"
          value={q}
          onChange={setQ}
          keys={keys}
          facets={facets}
          placeholder="Filter, such as status:partial missing:payment"
        />
      }
      list={
        <>
          <ListOf query={found.search} isEmpty={found.rows.length === 0} lines={12}>
            {q !== "" && <Looked search={found.search} onMore={onEnd} />}
            <DataTable
              {...table}
              label="Verdicts"
              scrollId="streams"
              rows={found.rows}
              columns={columns}
              pageOf={(verdict) => ({
                to: "/streams/$contract/$key",
                params: { contract: verdict.contract, key: verdict.key },
                search: { tenant: verdict.client_id },
              })}
              onEnd={onEnd}
              onScrollAway={found.follow.setAway}
              empty={<NoVerdicts hasFilter={q !== ""} onClear={() => setQ("")} />}
            />
          </ListOf>
          {shown && (
            <ReplayRange contract={shown} open={isReplaying} onClose={() => setReplaying(false)} />
          )}
        </>
      }
      inspector={sel && <VerdictInspector of={sel} onClose={() => set({ sel: undefined })} />}
    />
  );
}

/** Contracts, their rate over time, and the matrix of one: what to look at first. */
function Figures({
  contracts,
  shown,
  named,
  q,
  win,
}: {
  contracts: readonly Contract[] | undefined;
  shown: Contract | undefined;
  named: readonly string[] | undefined;
  q: string;
  win: RateWindow;
}) {
  const mostWrong = useMostWrong();
  const [isOpen, setOpen] = useState(false);
  const one = named?.length === 1 ? named[0] : undefined;
  return (
    <div className="@container">
      <div className="grid gap-x-6 gap-y-3 rounded-lg border border-line bg-card px-4 py-3 shadow-card @4xl:grid-cols-[minmax(13rem,1fr)_minmax(18rem,1.6fr)_minmax(22rem,1.5fr)]">
        <section
          className={cx("max-h-36 overflow-y-auto @4xl:-ml-2", !isOpen && "hidden @4xl:block")}
          tabIndex={0}
          aria-label="Contracts"
        >
          <ContractList
            contracts={contracts}
            q={q}
            window={win}
            shown={shown}
            mostWrong={mostWrong}
          />
        </section>
        <RateStrip
          contract={one}
          window={win}
          filter={q}
          mostWrong={mostWrong(one ?? shown?.name ?? "")}
        />
        <div
          className={
            isOpen ? "max-h-44 overflow-y-auto" : "hidden max-h-36 overflow-y-auto @4xl:block"
          }
        >
          {shown && <MatchMatrix contract={shown.name} clientId={shown.client_id} />}
        </div>
        <button
          type="button"
          className="link justify-self-start text-sm @4xl:hidden"
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? "Less" : "Contracts, and what is wrong leg by leg"}
        </button>
      </div>
    </div>
  );
}

/** A filter may look at many verdicts for few that it wants: how far it has come. */
function Looked({
  search,
  onMore,
}: {
  search: ReturnType<typeof useVerdicts>["search"];
  onMore: () => void;
}) {
  const pages = search.data?.pages ?? [];
  const scanned = pages.reduce((sum, page) => sum + page.scanned, 0);
  const found = pages.reduce((sum, page) => sum + page.verdicts.length, 0);
  return (
    <p className="flex flex-wrap items-center gap-x-3 border-b border-line px-4 py-1 text-sm text-soft sm:px-6">
      <span>
        {count(found)} found in {count(scanned)} looked at
      </span>
      {search.hasNextPage && (
        <button type="button" className="link" onClick={onMore} disabled={search.isFetching}>
          look further
        </button>
      )}
      {search.isFetchingNextPage && <span>looking…</span>}
    </p>
  );
}

function NoVerdicts({ hasFilter, onClear }: { hasFilter: boolean; onClear: () => void }) {
  return hasFilter ? (
    <NoneMatch
      icon={ListTree}
      title="No verdict matches"
      why="The filter or the time range is too narrow, or nothing is wrong."
      onClear={onClear}
    />
  ) : (
    <EmptyState
      icon={ListTree}
      title="No verdicts yet"
      why="A verdict is given when the window of a key closes, by the time of its events. In the time range none has."
    />
  );
}

function NoContracts() {
  return (
    <ListPage
      title="Streams"
      note="Whether what several clouds said of the same key agrees."
      list={
        <EmptyState
          icon={ListTree}
          title="No contracts yet"
          why="A contract says which events belong together, how long they may take, and which sums must agree. Declare one, and every key of it is judged."
          command="helios contracts apply order-fulfilment.yaml"
        />
      }
    />
  );
}
