import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Boxes, TriangleAlert } from "lucide-react";
import { useMemo } from "react";
import { useLiveQueries } from "@/api/live";
import { useSetSearch, useTenant } from "@/app/console-search";
import { ListOf, NoneMatch, useColumns, useListEnd, useOpenRow, useSorted } from "@/app/lists";
import { counted, toggleText } from "@/lib/filter";
import { timeOf } from "@/lib/sort";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { ListPage } from "@/ui/page";
import { EmptyState } from "@/ui/states";
import { Status } from "@/ui/status";
import { TimeAgo } from "@/ui/values";
import { Heals, Severities, stackTo } from "./parts";
import { StackInspector } from "./stack-inspector";
import { CHANGED, type StackRow, stacksQuery } from "./stack-queries";
import { SEVERITIES } from "./stack-words";

const route = getRouteApi("/_console/stacks/");

const KEYS = [
  { key: "agreement", words: "in sync, drifted or unknown" },
  { key: "health", words: "healthy, healing, degraded, failed, paused" },
  { key: "severity", words: "of its open drifts" },
  { key: "environment", words: "such as prod" },
  { key: "client", words: "whose it is" },
  { key: "stack", words: "its name" },
  { key: "heals", words: "auto, asked or off" },
  { key: "waiting", words: "true: somebody has to agree" },
  { key: "drifts", words: "how many open drifts" },
  { key: "version", words: "what is declared" },
] as const;

const READ: Record<string, (row: StackRow) => string | readonly string[]> = {
  agreement: (row) => row.agreement,
  health: (row) => row.health,
  severity: (row) => SEVERITIES.filter((name) => (row.drifts[name] ?? 0) > 0),
  environment: (row) => row.environment,
  client: (row) => row.client_id,
  stack: (row) => row.stack_id,
  version: (row) => row.state_version,
  waiting: (row) => String(row.approval_id !== null),
  heals: healsOf,
};

function healsOf(row: StackRow): string {
  return row.approval_id ? "asked" : row.auto_heal ? "auto" : "off";
}

function keyOf(row: Pick<StackRow, "client_id" | "stack_id">): string {
  return `${row.client_id}/${row.stack_id}`;
}

const COLUMNS: readonly Column<StackRow>[] = [
  {
    id: "stack",
    head: "Stack",
    main: true,
    cell: (row) => row.stack_id,
    sort: (row) => row.stack_id,
  },
  {
    id: "agreement",
    head: "Agreement",
    width: "7rem",
    cell: (row) => <Status value={row.agreement} plain />,
    sort: (row) => row.agreement,
  },
  {
    id: "health",
    head: "Health",
    width: "7rem",
    cell: (row) => <Status value={row.health} plain />,
    sort: (row) => row.health,
  },
  {
    id: "drifts",
    head: "Drifts",
    width: "11rem",
    from: "sm",
    cell: (row) => <Severities drifts={row.drifts} />,
    // One that is worse counts more than any number of others.
    sort: (row) => SEVERITIES.reduce((sum, name) => sum * 1000 + (row.drifts[name] ?? 0), 0),
  },
  {
    id: "heals",
    head: "Heals",
    width: "9.5rem",
    from: "md",
    cell: (row) => <Heals row={row} />,
    sort: healsOf,
  },
  {
    id: "environment",
    head: "Environment",
    width: "8rem",
    from: "md",
    cell: (row) => row.environment,
    sort: (row) => row.environment,
  },
  {
    id: "version",
    head: "Version",
    width: "6rem",
    from: "lg",
    cell: (row) => <span className="mono">{row.state_version}</span>,
    sort: (row) => row.state_version,
  },
  {
    id: "client",
    head: "Client",
    width: "9rem",
    from: "lg",
    cell: (row) => row.client_id,
    sort: (row) => row.client_id,
  },
  {
    id: "verified",
    head: "Last verified",
    width: "8rem",
    align: "right",
    from: "sm",
    cell: (row) =>
      row.last_verified ? (
        <TimeAgo at={row.last_verified} className="text-soft" />
      ) : (
        <span className="text-faint">not yet</span>
      ),
    sort: (row) => timeOf(row.last_verified),
  },
];

/** All stacks on both axes: whether they are as declared, and whether they are well. */
export function StacksScreen() {
  const { q = "", sel } = route.useSearch();
  const tenant = useTenant();
  const set = useSetSearch();
  const query = useInfiniteQuery(stacksQuery(q, tenant));
  useLiveQueries(["stacks", "drifts", "approvals"], CHANGED);
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.stacks) ?? [], [query.data]);
  const onEnd = useListEnd(query);
  const table = useOpenRow(sel, keyOf);
  const columns = useColumns(COLUMNS);
  const sorted = useSorted(rows, columns, !query.hasNextPage);
  const open = rows.find((row) => keyOf(row) === sel);
  return (
    <ListPage
      title="Stacks"
      note="What is declared, and whether it is so."
      actions={
        <Link
          to="/stacks/drifts"
          search={{}}
          className="inline-flex h-8 items-center gap-1.5 rounded-md border border-line-strong bg-raised px-3 font-medium hover:bg-sunken"
        >
          <TriangleAlert className="size-4" aria-hidden />
          All drifts
        </Link>
      }
      filter={
        <FilterBar
          screen="stacks"
          value={q}
          onChange={(text) => set({ q: text || undefined }, { replace: true })}
          keys={KEYS}
          facets={(key) => counted(rows, (row) => READ[key]?.(row))}
          placeholder="Filter, such as agreement:drifted"
        />
      }
      strip={
        <Strip
          rows={rows}
          q={q}
          more={query.hasNextPage}
          onPick={(text) => set({ q: text || undefined })}
        />
      }
      list={
        <ListOf query={query} isEmpty={rows.length === 0} lines={10}>
          <DataTable
            {...table}
            {...sorted}
            label="Stacks"
            scrollId="stacks"
            columns={columns}
            pageOf={(row) => stackTo({ client: row.client_id, stack: row.stack_id })}
            onEnd={onEnd}
            empty={<NoStacks hasFilter={q !== ""} />}
          />
        </ListOf>
      }
      inspector={open && <StackInspector row={open} onClose={() => set({ sel: undefined })} />}
    />
  );
}

const CHIPS = [
  ["agreement", "drifted"],
  ["agreement", "unknown"],
  ["health", "degraded"],
  ["health", "failed"],
  ["health", "paused"],
  ["waiting", "true"],
] as const;

/** What is not well, in numbers that are filters. */
function Strip({
  rows,
  q,
  more,
  onPick,
}: {
  rows: readonly StackRow[];
  q: string;
  more: boolean;
  onPick: (text: string) => void;
}) {
  if (rows.length === 0) return null;
  const synced = rows.filter((row) => row.agreement === "in_sync" && row.health === "healthy");
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm text-soft">
      <span>
        {rows.length}
        {more && "+"} {rows.length === 1 ? "stack" : "stacks"}, {synced.length} in sync and healthy
      </span>
      {CHIPS.map(([field, value]) => {
        const read = READ[field];
        const count = read ? rows.filter((row) => read(row) === value).length : 0;
        if (count === 0) return null;
        const word = field === "waiting" ? "awaiting_approval" : value;
        return (
          <button
            key={`${field}:${value}`}
            type="button"
            onClick={() => onPick(toggleText(q, field, value))}
            aria-pressed={q.includes(`${field}:${value}`)}
            className="rounded-full hover:underline"
          >
            <Status
              value={word}
              label={`${count} ${field === "waiting" ? (count === 1 ? "awaits approval" : "await approval") : value}`}
            />
          </button>
        );
      })}
    </div>
  );
}

function NoStacks({ hasFilter }: { hasFilter: boolean }) {
  return hasFilter ? (
    <NoneMatch
      icon={Boxes}
      title="No stack matches"
      why="The filter is too narrow, or it is of another client."
    />
  ) : (
    <EmptyState
      icon={Boxes}
      title="No stacks yet"
      why="A stack says what providers, integrations, resources and content there should be. Helios then looks whether it is so. Declare the first one:"
      command="helios apply -f blackwell.yaml"
    />
  );
}
