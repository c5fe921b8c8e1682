import { getRouteApi } from "@tanstack/react-router";
import { Layers } from "lucide-react";
import { useSetSearch } from "@/app/console-search";
import { ListOf, NoneMatch, useOpenRow, useSorted } from "@/app/lists";
import { matching } from "@/lib/filter";
import { count, duration, rate } from "@/lib/format";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { Inspector, ListPage } from "@/ui/page";
import { Progress } from "@/ui/progress";
import { Sparkline } from "@/ui/sparkline";
import { EmptyState } from "@/ui/states";
import { Status, toneOf } from "@/ui/status";
import { paces, useViews } from "./use-views";
import { ViewActs } from "./view-acts";
import { ViewDetail } from "./view-detail";
import { SERVES, share, stateOf, type View } from "./view-words";

const route = getRouteApi("/_console/views/");

const KEYS = [
  { key: "view", words: "name of the view" },
  { key: "state", words: "live, catching_up, rebuilding, stalled, failed …" },
  { key: "lag", words: "events behind, such as lag>100" },
];

function fieldOf(view: View, key: string): unknown {
  return {
    view: view.view,
    name: view.view,
    state: stateOf(view),
    status: view.status,
    lag: view.lag_events,
    lag_s: view.lag_s,
    version: view.version,
  }[key];
}

const COLUMNS: readonly Column<View>[] = [
  { id: "view", head: "View", main: true, cell: (view) => view.view, sort: (view) => view.view },
  {
    id: "state",
    head: "State",
    width: "8rem",
    cell: (view) => <Status value={stateOf(view)} plain />,
    sort: stateOf,
  },
  {
    id: "serves",
    head: "What it holds",
    width: "24rem",
    cell: (view) => <span className="text-soft">{SERVES[view.view]?.text}</span>,
    from: "lg",
  },
  {
    id: "position",
    head: "Position / head",
    width: "14rem",
    cell: (view) => (
      <span className="flex items-center gap-2">
        <Progress
          value={share(view)}
          tone={toneOf(stateOf(view))}
          label={`${view.view} has read`}
          className="w-16 shrink-0"
        />
        <span className="truncate">
          #{count(view.position)}
          <span className="text-faint"> / {count(view.head)}</span>
        </span>
      </span>
    ),
    sort: (view) => view.position,
    from: "sm",
  },
  {
    id: "lag",
    head: "Lag",
    width: "6.5rem",
    align: "right",
    cell: (view) =>
      view.lag_events === 0 ? (
        <span className="text-faint">none</span>
      ) : (
        `${count(view.lag_events)} · ${duration(view.lag_s)}`
      ),
    sort: (view) => view.lag_events,
  },
  {
    id: "rate",
    head: "Rate",
    width: "10rem",
    align: "right",
    cell: (view) => <Pace view={view.view} />,
    sort: (view) => paces.rate(view.view),
    from: "md",
  },
];

function Pace({ view }: { view: string }) {
  const speed = paces.rate(view);
  const spark = paces.spark(view);
  return (
    <span className="flex items-center justify-end gap-2">
      {spark.length > 1 && (
        <Sparkline values={spark} label="Events a second" width={64} height={18} />
      )}
      <span className="w-14">{speed === undefined ? "–" : rate(speed)}</span>
    </span>
  );
}

function keyOf(view: View): string {
  return view.view;
}

function pageOf(view: View) {
  return { to: "/views/$name", params: { name: view.view } } as const;
}

/** What is folded from the log, and how far each has come. */
export function ViewsScreen() {
  const { q = "", sel } = route.useSearch();
  const set = useSetSearch();
  const query = useViews();
  const table = useOpenRow(sel, keyOf);
  const views = query.data?.views ?? [];
  const rows = matching(
    views,
    q,
    fieldOf,
    (view) => `${view.view} ${SERVES[view.view]?.text ?? ""}`,
  );
  const sorted = useSorted(rows, COLUMNS);
  const open = views.find((view) => view.view === sel);
  return (
    <ListPage
      title="Views"
      note="What is folded from the log so that it can be asked quickly. Each can be compared with the log and built anew."
      filter={
        <FilterBar
          screen="views"
          value={q}
          onChange={(text) => set({ q: text || undefined }, { replace: true })}
          keys={KEYS}
          facets={(key) =>
            key === "view"
              ? views.map((view) => ({ value: view.view }))
              : key === "state"
                ? [...new Set(views.map(stateOf))].map((value) => ({ value }))
                : []
          }
          placeholder="Filter, such as state:failed"
        />
      }
      list={
        <ListOf query={query} isEmpty={!query.data} lines={12}>
          <DataTable
            {...table}
            {...sorted}
            label="Views"
            scrollId="views"
            columns={COLUMNS}
            pageOf={pageOf}
            empty={
              q ? (
                <NoneMatch icon={Layers} title="No view matches" />
              ) : (
                <EmptyState
                  icon={Layers}
                  title="No views"
                  why="This process keeps none; another one may."
                  command="helios views list"
                />
              )
            }
          />
        </ListOf>
      }
      inspector={
        open && (
          <Inspector
            label="View"
            title={open.view}
            page={pageOf(open)}
            onClose={() => set({ sel: undefined })}
            actions={<ViewActs view={open.view} />}
          >
            <ViewDetail view={open} />
          </Inspector>
        )
      }
    />
  );
}
