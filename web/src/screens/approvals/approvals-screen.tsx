import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Stamp } from "lucide-react";
import { useMemo } from "react";
import { useLiveQueries } from "@/api/live";
import { useSetSearch, useTenant } from "@/app/console-search";
import { ListOf, NoneMatch, useListEnd, useOpenRow } from "@/app/lists";
import { counted, matching } from "@/lib/filter";
import { Changes, Countdown, Risk } from "@/screens/stacks/parts";
import { CHANGED } from "@/screens/stacks/stack-queries";
import { riskOf, sentence } from "@/screens/stacks/stack-words";
import { Button } from "@/ui/button";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { Inspector, ListPage } from "@/ui/page";
import { EmptyState } from "@/ui/states";
import { Status } from "@/ui/status";
import { TimeAgo } from "@/ui/values";
import { Answer } from "./answer";
import { ApprovalDetail } from "./approval-detail";
import { type Approval, approvalsQuery } from "./approval-queries";

const route = getRouteApi("/_console/approvals/");

const SHOWN = [
  [undefined, "Waiting"],
  ["granted", "Granted"],
  ["denied", "Denied"],
  ["all", "All"],
] as const;

const KEYS = [
  { key: "stack", words: "of which stack" },
  { key: "client", words: "whose it is" },
  { key: "risk", words: "low, medium, high or destructive" },
  { key: "by", words: "who asked for it" },
  { key: "status", words: "what became of it" },
];

const READ: Record<string, (row: Approval) => string> = {
  stack: (row) => row.stack_id,
  client: (row) => row.client_id,
  risk: (row) => riskOf(row.shown.actions),
  by: (row) => row.requested_by,
  status: (row) => row.status,
};

function keyOf(row: Approval): string {
  return `${row.client_id}/${row.approval_id}`;
}

const COLUMNS: readonly Column<Approval>[] = [
  { id: "plan", head: "Plan", main: true, cell: (row) => sentence(row.shown) },
  {
    id: "changes",
    head: "Changes",
    width: "8.5rem",
    from: "md",
    cell: (row) => <Changes plan={row.shown} />,
  },
  {
    id: "risk",
    head: "Risk",
    width: "8.5rem",
    from: "sm",
    cell: (row) => <Risk plan={row.shown} />,
  },
  { id: "stack", head: "Stack", width: "8rem", from: "sm", cell: (row) => row.stack_id },
  { id: "by", head: "Asked for by", width: "9.5rem", from: "lg", cell: (row) => row.requested_by },
  {
    id: "agreed",
    head: "Agreed",
    width: "5.5rem",
    from: "md",
    align: "right",
    cell: (row) => (
      <span className="text-soft">
        {row.grants.filter((grant) => grant.granted).length} of {row.quorum}
      </span>
    ),
  },
  {
    id: "status",
    head: "Status",
    width: "8.5rem",
    align: "right",
    cell: (row) =>
      row.status === "pending" ? (
        <Countdown until={row.expires_at} />
      ) : (
        <span className="inline-flex items-center gap-2">
          <Status value={row.status} plain />
        </span>
      ),
  },
  {
    id: "asked",
    head: "Asked",
    width: "6.5rem",
    align: "right",
    from: "md",
    cell: (row) => <TimeAgo at={row.requested_at} className="text-soft" />,
  },
];

/** What waits for somebody's agreement. */
export function ApprovalsScreen() {
  const { status, q = "", sel } = route.useSearch();
  const tenant = useTenant();
  const set = useSetSearch();
  const query = useInfiniteQuery(approvalsQuery(status ?? "pending", tenant));
  useLiveQueries(["approvals"], CHANGED);
  const all = useMemo(
    () => query.data?.pages.flatMap((page) => page.approvals) ?? [],
    [query.data],
  );
  const rows = useMemo(
    () =>
      matching(
        all,
        q,
        (row, key) => READ[key]?.(row),
        (row) => `${sentence(row.shown)} ${row.reason} ${row.stack_id}`,
      ),
    [all, q],
  );
  const onEnd = useListEnd(query);
  const table = useOpenRow(sel, keyOf);
  const open = rows.find((row) => keyOf(row) === sel);
  return (
    <ListPage
      title="Approvals"
      note="Plans that are carried out once somebody agrees."
      actions={
        // biome-ignore lint/a11y/useSemanticElements: a fieldset has looks of its own
        <div role="group" aria-label="Which approvals" className="flex gap-1">
          {SHOWN.map(([value, words]) => (
            <Button
              key={words}
              kind={status === value ? "primary" : "quiet"}
              size="sm"
              aria-pressed={status === value}
              onClick={() => set({ status: value, sel: undefined })}
            >
              {words}
            </Button>
          ))}
        </div>
      }
      filter={
        <FilterBar
          screen="approvals"
          value={q}
          onChange={(text) => set({ q: text || undefined }, { replace: true })}
          keys={KEYS}
          facets={(key) => counted(all, (row) => READ[key]?.(row))}
          placeholder="Filter, such as risk:high,destructive"
        />
      }
      list={
        <ListOf query={query} isEmpty={all.length === 0} lines={8}>
          <DataTable
            {...table}
            label="Approvals"
            scrollId="approvals"
            rows={rows}
            columns={COLUMNS}
            pageOf={pageOf}
            onEnd={onEnd}
            empty={
              q ? (
                <NoneMatch icon={Stamp} title="No approval matches" />
              ) : (
                <EmptyState
                  icon={Stamp}
                  title={status ? "None of these" : "Nothing waits for you"}
                  why={
                    status
                      ? "No plan has ended so."
                      : "Plans come here when the policy of a stack wants somebody to agree, such as before data are deleted. Which ones, its policy says:"
                  }
                  command="helios policy test --help"
                />
              )
            }
          />
        </ListOf>
      }
      inspector={
        open && (
          <Inspector
            label="Approval"
            title={sentence(open.shown)}
            page={pageOf(open)}
            onClose={() => set({ sel: undefined })}
            actions={open.status === "pending" && <Answer key={open.approval_id} approval={open} />}
          >
            <ApprovalDetail approval={open} />
          </Inspector>
        )
      }
    />
  );
}

function pageOf(row: Approval) {
  return {
    to: "/approvals/$id",
    params: { id: row.approval_id },
    search: { tenant: row.client_id },
  } as const;
}
