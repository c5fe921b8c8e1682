import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { BookCheck } from "lucide-react";
import { useMemo } from "react";
import { useFacets } from "@/api/facets";
import { useLiveQueries } from "@/api/live";
import { useSetSearch, useTenant, useTimeRange } from "@/app/console-search";
import { ListOf, NoneMatch, useColumns, useListEnd, useOpenRow } from "@/app/lists";
import { cx } from "@/lib/cx";
import { isLive, PRESET_WORDS } from "@/lib/time-range";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { Inspector, ListPage } from "@/ui/page";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Badge, Status } from "@/ui/status";
import { AuditDetail } from "./audit-detail";
import { type Entry, entriesQuery, entryQuery } from "./audit-queries";
import { actionWords, actorWords, entryTo } from "./audit-words";
import { ExportMenu } from "./export-menu";
import { AuditTabs } from "./tabs";
import { whenColumns } from "./when-columns";

const COLUMNS: readonly Column<Entry>[] = [
  ...whenColumns<Entry>((entry) => entry.timestamp),
  {
    id: "action",
    head: "What",
    main: true,
    cell: (entry) => (
      <span className="block truncate first-letter:uppercase">{actionWords(entry.action)}</span>
    ),
  },
  {
    id: "kind",
    head: "Kind",
    width: "6.75rem",
    from: "md",
    cell: (entry) => <Badge>{entry.kind}</Badge>,
  },
  {
    id: "target",
    head: "On",
    width: "9rem",
    from: "sm",
    cell: (entry) => (
      <span className="mono" title={`${entry.stack_id} ${entry.target}`}>
        {entry.stack_id && <span className="text-faint">{entry.stack_id} </span>}
        {entry.target}
      </span>
    ),
  },
  {
    id: "actor",
    head: "Who",
    width: "7rem",
    from: "sm",
    cell: (entry) => <Actor actor={entry.actor} />,
  },
  {
    id: "approver",
    head: "Agreed",
    width: "7rem",
    from: "lg",
    cell: (entry) =>
      entry.approver.length > 0 ? (
        entry.approver.map((each) => actorWords(each).name).join(", ")
      ) : (
        <span className="text-faint">{entry.approval_required ? "nobody yet" : "not needed"}</span>
      ),
  },
  {
    id: "client",
    head: "Client",
    width: "7rem",
    from: "lg",
    cell: (entry) => entry.client_id,
  },
  {
    id: "outcome",
    head: "Outcome",
    width: "7.25rem",
    cell: (entry) => <Status plain value={entry.outcome} />,
  },
];

function keyOf(entry: Entry): string {
  return entry.entry_id;
}

function Actor({ actor }: { actor: string }) {
  const { name, isService } = actorWords(actor);
  return (
    <span className={cx(isService && "text-soft")} title={actor}>
      {name}
    </span>
  );
}

export function ActionsList({ q, sel }: { q: string; sel: string | undefined }) {
  const tenant = useTenant();
  const range = useTimeRange();
  const set = useSetSearch();
  const { keys, facets } = useFacets("audit", tenant);
  const search = useInfiniteQuery(entriesQuery(q, tenant, range));
  useLiveQueries(["stacks", "approvals", "drifts"], [["audit", "list"]], 2_000);
  const rows = useMemo(
    () => search.data?.pages.flatMap((page) => page.entries) ?? [],
    [search.data],
  );
  const onEnd = useListEnd(search);
  const columns = useColumns(COLUMNS);
  const table = useOpenRow(sel, keyOf);
  const when = isLive(range)
    ? "of all times"
    : range.kind === "preset"
      ? `of the ${PRESET_WORDS[range.preset].toLowerCase()}`
      : "of the chosen time";
  return (
    <ListPage
      title="Audit"
      note={`Who did what, when, why and with whose agreement, ${when}.`}
      actions={<ExportMenu filter={q} />}
      strip={
        <FilterBar
          screen="audit"
          value={q}
          onChange={(text) => set({ q: text || undefined }, { replace: true })}
          keys={keys}
          facets={facets}
          placeholder="Filter, such as kind:heal -outcome:succeeded"
        />
      }
      filter={<AuditTabs value="actions" />}
      list={
        <ListOf query={search} isEmpty={rows.length === 0} lines={12}>
          <DataTable
            {...table}
            label="Audit"
            scrollId="audit"
            rows={rows}
            columns={columns}
            pageOf={entryTo}
            onEnd={onEnd}
            empty={
              q || !isLive(range) ? (
                <NoneMatch icon={BookCheck} title="No entry matches" range />
              ) : (
                <EmptyState
                  icon={BookCheck}
                  title="Nothing was done yet"
                  why="Every heal, declaration, approval, plan and switch has an entry here, made of the log itself. Declare a stack to begin:"
                  command="helios apply -f examples/stack/blackwell.yaml"
                />
              )
            }
          />
        </ListOf>
      }
      inspector={
        sel && (
          <EntryPanel
            id={sel}
            tenant={rows.find((each) => keyOf(each) === sel)?.client_id ?? tenant}
            onClose={() => set({ sel: undefined })}
          />
        )
      }
    />
  );
}

function EntryPanel({
  id,
  tenant,
  onClose,
}: {
  id: string;
  tenant: string | undefined;
  onClose: () => void;
}) {
  const { data, error, refetch } = useQuery(entryQuery(id, tenant));
  useLiveQueries(["stacks", "approvals"], [["audit", "one", id]], 2_000);
  return (
    <Inspector
      label={data ? `Entry of the audit, ${data.entry.kind}` : "Entry of the audit"}
      title={
        data ? (
          <span className="inline-block first-letter:uppercase">
            {actionWords(data.entry.action)}
          </span>
        ) : (
          "…"
        )
      }
      {...(data ? { page: entryTo(data.entry) } : {})}
      onClose={onClose}
    >
      {error ? (
        <ErrorState error={error} retry={() => void refetch()} />
      ) : data ? (
        <AuditDetail entry={data.entry} plan={data.plan} />
      ) : (
        <Skeleton lines={10} />
      )}
    </Inspector>
  );
}
