import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { HeartPulse } from "lucide-react";
import { useMemo } from "react";
import type { Schemas } from "@/api/client";
import { useLiveQueries } from "@/api/live";
import { useSetSearch, useSetTimeRange, useTenant, useTimeRange } from "@/app/console-search";
import { ListOf, NoneMatch, useColumns, useListEnd } from "@/app/lists";
import { useTenants } from "@/app/tenant-switch";
import { cx } from "@/lib/cx";
import { counted, toggleText } from "@/lib/filter";
import { count, duration, percent } from "@/lib/format";
import { bounds, isLive } from "@/lib/time-range";
import type { Heal } from "@/screens/stacks/stack-queries";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { ListPage, Page, PageHead, useTitle } from "@/ui/page";
import { Histogram } from "@/ui/sparkline";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Badge, Status } from "@/ui/status";
import { TimeAgo } from "@/ui/values";
import { GuardPanels } from "./guards";
import { guardsQuery, healsQuery, type TABS } from "./heal-queries";
import { buckets, howOf } from "./heal-words";
import { GuardBanners, HoldActs } from "./holds";

const route = getRouteApi("/_console/healing/");

const KEYS = [
  { key: "status", words: "succeeded, failed, unverified, avoided, started, acted" },
  { key: "how", words: "self, approved or manual" },
  { key: "kind", words: "of action" },
  { key: "stack", words: "of which stack" },
  { key: "client", words: "whose it is" },
  { key: "target", words: "component" },
  { key: "actor", words: "who did it" },
];

const READ: Record<string, (heal: Heal) => string> = {
  status: (heal) => heal.status,
  how: howOf,
  kind: (heal) => heal.kind,
  stack: (heal) => heal.stack_id,
  client: (heal) => heal.client_id,
  target: (heal) => heal.target,
  actor: (heal) => heal.actor,
};

const PARTS = 48;

const COLUMNS: readonly Column<Heal>[] = [
  {
    id: "what",
    head: "What",
    main: true,
    cell: (heal) => heal.summary,
  },
  {
    id: "status",
    head: "How it went",
    width: "7.5rem",
    cell: (heal) => <Status value={heal.status} plain />,
  },
  {
    id: "how",
    head: "By",
    width: "6.5rem",
    from: "sm",
    cell: (heal) => <How heal={heal} />,
  },
  { id: "stack", head: "Stack", width: "10rem", from: "sm", cell: (heal) => heal.stack_id },
  { id: "client", head: "Client", width: "8rem", from: "lg", cell: (heal) => heal.client_id },
  {
    id: "attempt",
    head: "Try",
    width: "3.5rem",
    align: "right",
    from: "lg",
    cell: (heal) => <span className="text-soft">{heal.attempt}</span>,
  },
  {
    id: "took",
    head: "Took",
    width: "5.5rem",
    align: "right",
    from: "md",
    cell: (heal) => <span className="text-soft">{took(heal)}</span>,
  },
  {
    id: "when",
    head: "Begun",
    width: "6.5rem",
    align: "right",
    from: "sm",
    cell: (heal) => <TimeAgo at={heal.started_at} className="text-soft" />,
  },
];

export function How({ heal }: { heal: Heal }) {
  const how = howOf(heal);
  return how === "self" ? (
    <span className="text-soft">itself</span>
  ) : (
    <Badge tone="wait">{how}</Badge>
  );
}

function took(heal: Heal): string {
  if (!heal.ended_at) return "…";
  return duration((Date.parse(heal.ended_at) - Date.parse(heal.started_at)) / 1000);
}

/** What was healed and how it went; and what stands in the way. */
export function HealingScreen() {
  const { tab = "timeline" } = route.useSearch();
  return tab === "guards" ? <GuardsTab /> : <Timeline />;
}

function useGuards() {
  const tenant = useTenant();
  const tenants = useTenants();
  useLiveQueries(["alerts", "stacks"], [["guards"]]);
  return useQuery(guardsQuery(tenant ? [tenant] : tenants));
}

function Tabs({ at, guards }: { at: (typeof TABS)[number]; guards: number }) {
  const items = [
    ["timeline", "Timeline"],
    ["guards", "Guards"],
  ] as const;
  return (
    <nav aria-label="Parts of healing" className="flex gap-1 border-b border-line">
      {items.map(([id, words]) => (
        <Link
          key={id}
          to="/healing"
          search={id === "timeline" ? {} : { tab: id }}
          aria-current={id === at ? "page" : undefined}
          className={cx(
            "-mb-px flex items-center gap-1.5 border-b-2 px-2.5 py-2",
            id === at
              ? "border-sun font-medium text-ink"
              : "border-transparent text-soft hover:text-ink",
          )}
        >
          {words}
          {id === "guards" && guards > 0 && <Badge tone="warn">{guards}</Badge>}
        </Link>
      ))}
    </nav>
  );
}

function GuardsTab() {
  const tenant = useTenant();
  const { data, error, refetch } = useGuards();
  useTitle("Healing, guards");
  return (
    <Page>
      <PageHead
        title="Healing"
        note="What stands between drift and healing."
        actions={<HoldActs tenant={tenant} guards={data} />}
      />
      <Tabs at="guards" guards={standing(data)} />
      {error ? (
        <ErrorState error={error} retry={() => void refetch()} />
      ) : data ? (
        <>
          <GuardBanners guards={data} />
          <GuardPanels guards={data} tenant={tenant} />
        </>
      ) : (
        <Skeleton lines={8} />
      )}
    </Page>
  );
}

/** How many guards stand in the way now. */
function standing(guards: ReturnType<typeof useGuards>["data"]): number {
  if (!guards) return 0;
  const blown = guards.fuses.filter((fuse) => fuse.reset_at === null).length;
  return guards.breakers.length + blown + guards.kill_switches.length + guards.suspensions.length;
}

function Timeline() {
  const { q = "" } = route.useSearch();
  const tenant = useTenant();
  const range = useTimeRange();
  const set = useSetSearch();
  const guards = useGuards();
  // The beginning of a range such as the last hour moves: to the minute, its key stays the same.
  const since = isLive(range)
    ? undefined
    : bounds(range, new Date(Math.ceil(Date.now() / 60_000) * 60_000)).from.toISOString();
  const until = range.kind === "absolute" ? range.to.toISOString() : undefined;
  const query = useInfiniteQuery(healsQuery(q, tenant, since, until));
  useLiveQueries(["stacks", "drifts"], [["heals"]]);
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.heals) ?? [], [query.data]);
  const figures = query.data?.pages[0]?.figures;
  const onEnd = useListEnd(query);
  const columns = useColumns(COLUMNS);
  return (
    <ListPage
      title="Healing"
      note="Every action that mended what drifted, or tried to."
      actions={<HoldActs tenant={tenant} guards={guards.data} />}
      filter={
        <div className="flex flex-col gap-3">
          {guards.data && <GuardBanners guards={guards.data} />}
          <Tabs at="timeline" guards={standing(guards.data)} />
          {figures && (
            <Strip
              figures={figures}
              rows={rows}
              until={until}
              q={q}
              onPick={(text) => set({ q: text || undefined })}
            />
          )}
          <FilterBar
            screen="healing"
            value={q}
            onChange={(text) => set({ q: text || undefined }, { replace: true })}
            keys={KEYS}
            facets={(key) => counted(rows, (heal) => READ[key]?.(heal))}
            placeholder="Filter, such as how:self status:failed"
          />
        </div>
      }
      list={
        <ListOf query={query} isEmpty={rows.length === 0} lines={8}>
          <DataTable
            label="Heals"
            scrollId="heals"
            rows={rows}
            rowKey={(heal) => heal.action_id}
            columns={columns}
            linkTo={pageOf}
            pageOf={pageOf}
            onEnd={onEnd}
            empty={
              q || since ? (
                <NoneMatch icon={HeartPulse} title="No heal matches" range />
              ) : (
                <EmptyState
                  icon={HeartPulse}
                  title="Nothing was healed yet"
                  why="Nothing has drifted, or no policy lets it heal. Have what drifts in a stack healed now:"
                  command="helios heal CLIENT/STACK"
                />
              )
            }
          />
        </ListOf>
      }
    />
  );
}

function pageOf(heal: Heal) {
  return {
    to: "/healing/$id",
    params: { id: heal.action_id },
    search: { tenant: heal.client_id },
  } as const;
}

/** How healing went, in figures that are filters, and over time. */
function Strip({
  figures,
  rows,
  until,
  q,
  onPick,
}: {
  figures: Schemas["HealBoard"]["figures"];
  rows: readonly Heal[];
  /** End of the range; absent: now. */
  until: string | undefined;
  q: string;
  onPick: (text: string) => void;
}) {
  const setRange = useSetTimeRange();
  const bars = useMemo(
    () => buckets(rows, until ? new Date(until) : new Date(), PARTS),
    [rows, until],
  );
  const pick = (index: number) => {
    const bar = bars[index];
    if (bar) setRange({ kind: "absolute", from: new Date(bar.start), to: new Date(bar.end) });
  };
  if (figures.actions === 0) return null;
  const filter = (key: string, value: string) => () => onPick(toggleText(q, key, value));
  return (
    <div className="flex flex-wrap items-end gap-x-5 gap-y-2 sm:gap-x-7">
      <Figure
        label="Success rate"
        value={figures.success_rate === null ? "–" : percent(figures.success_rate, 0)}
        tone={figures.success_rate !== null && figures.success_rate < 0.9 ? "text-warn" : ""}
      />
      <Figure
        label="Drift to healed"
        value={figures.mean_drift_s === null ? "–" : duration(figures.mean_drift_s)}
      />
      <Figure
        isMore
        label="Each action"
        value={figures.mean_s === null ? "–" : duration(figures.mean_s)}
      />
      <Figure label="By itself" value={count(figures.by_itself)} onClick={filter("how", "self")} />
      <Figure
        label="Approved"
        value={count(figures.approved)}
        onClick={filter("how", "approved")}
      />
      <Figure
        label="Failed"
        value={count(figures.failed)}
        tone={figures.failed > 0 ? "text-bad" : ""}
        onClick={filter("status", "failed")}
      />
      <Figure
        isMore
        label="Under way"
        value={count(figures.open)}
        onClick={filter("status", "started")}
      />
      <div className="hidden min-w-48 flex-1 md:block">
        <Histogram
          label="Heals over time"
          onPick={pick}
          height={36}
          buckets={bars.map((bar) => ({ ...bar, tone: bar.failed > 0 ? "bad" : "good" }))}
        />
        {bars[0] && (
          <div className="flex justify-between gap-2 text-xs text-faint">
            <TimeAgo at={bars[0].start} />
            {until ? <TimeAgo at={until} /> : <span>now</span>}
          </div>
        )}
      </div>
    </div>
  );
}

function Figure({
  label,
  value,
  tone = "",
  isMore = false,
  onClick,
}: {
  label: string;
  /** Left out where there is little room. */
  isMore?: boolean;
  value: string;
  tone?: string;
  onClick?: () => void;
}) {
  const figure = <span className={cx("text-lg font-semibold", tone)}>{value}</span>;
  return (
    <div className={cx(isMore && "hidden sm:block")}>
      <div className="eyebrow">{label}</div>
      {onClick ? (
        <button type="button" onClick={onClick} className="hover:underline">
          {figure}
        </button>
      ) : (
        figure
      )}
    </div>
  );
}
