import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { BookCheck, TriangleAlert } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { call, type Schemas } from "@/api/client";
import { useFacets } from "@/api/facets";
import { useLiveQueries } from "@/api/live";
import { useMay } from "@/api/me";
import { useSetSearch, useTenant } from "@/app/console-search";
import { ListOf, NoneMatch, useColumns, useListEnd, useOpenRow } from "@/app/lists";
import { count } from "@/lib/format";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { Inspector, ListPage } from "@/ui/page";
import { EmptyState, Skeleton } from "@/ui/states";
import { Badge, Status } from "@/ui/status";
import { toast } from "@/ui/toast";
import { TimeAgo } from "@/ui/values";
import { DriftDetail } from "./drift-detail";
import { driftTo, Place } from "./parts";
import { CHANGED, type Drift, driftsQuery } from "./stack-queries";
import { placeOf, short } from "./stack-words";

const route = getRouteApi("/_console/stacks/drifts");

function keyOf(drift: Drift): string {
  return `${drift.client_id}/${drift.stack_id}/${drift.drift_id}`;
}

const COLUMNS: readonly Column<Drift>[] = [
  {
    id: "where",
    head: "Where",
    main: true,
    cell: (drift) => <Place drift={drift} />,
  },
  {
    id: "severity",
    head: "Severity",
    width: "7rem",
    cell: (drift) => <Status value={drift.severity} plain />,
  },
  {
    id: "difference",
    head: "Observed instead of expected",
    width: "18rem",
    from: "lg",
    cell: (drift) => (
      <span className="mono text-soft">
        {short(drift.observed, 24)} ≠ {short(drift.expected, 24)}
      </span>
    ),
  },
  {
    id: "state",
    head: "State",
    width: "11rem",
    from: "md",
    cell: (drift) => <Status value={drift.state} plain />,
  },
  { id: "stack", head: "Stack", width: "9.5rem", from: "sm", cell: (drift) => drift.stack_id },
  { id: "client", head: "Client", width: "8rem", from: "lg", cell: (drift) => drift.client_id },
  {
    id: "since",
    head: "Since",
    width: "6.5rem",
    align: "right",
    from: "sm",
    cell: (drift) => <TimeAgo at={drift.detected_at} className="text-soft" />,
  },
];

/** What differs in any stack, in one list; by component on request. */
export function DriftsScreen() {
  const { q = "", sel, closed, by } = route.useSearch();
  const tenant = useTenant();
  const set = useSetSearch();
  const { keys, facets } = useFacets("drifts", tenant);
  const query = useInfiniteQuery(driftsQuery(q, tenant, closed === "true"));
  useLiveQueries(["drifts"], CHANGED);
  const found = useMemo(() => query.data?.pages.flatMap((page) => page.drifts) ?? [], [query.data]);
  const rows = useMemo(
    () =>
      by === "component" ? [...found].sort((a, b) => placeOf(a).localeCompare(placeOf(b))) : found,
    [found, by],
  );
  const numbers = useMemo(() => {
    const made = new Map<string, number>();
    for (const drift of found) made.set(placeOf(drift), (made.get(placeOf(drift)) ?? 0) + 1);
    return made;
  }, [found]);
  const onEnd = useListEnd(query);
  const table = useOpenRow(sel, keyOf);
  const shown = useColumns(COLUMNS);
  const columns = useMemo(() => {
    if (by !== "component") return shown;
    return shown.map((column) =>
      column.id !== "where"
        ? column
        : {
            ...column,
            cell: (drift: Drift) => (
              <>
                <Place drift={drift} />{" "}
                {(numbers.get(placeOf(drift)) ?? 0) > 1 && (
                  <Badge>{numbers.get(placeOf(drift))} stacks</Badge>
                )}
              </>
            ),
          },
    );
  }, [shown, by, numbers]);
  const open = rows.find((drift) => keyOf(drift) === sel);
  return (
    <ListPage
      title="Drifts"
      note={
        <>
          What differs from what is declared, in all{" "}
          <Link to="/stacks" className="link">
            stacks
          </Link>
          .
        </>
      }
      actions={
        <>
          <Button
            aria-pressed={by === "component"}
            onClick={() =>
              set({ by: by === "component" ? undefined : "component" }, { replace: true })
            }
          >
            {by === "component" ? "Newest first" : "By component"}
          </Button>
          <Button
            aria-pressed={closed === "true"}
            onClick={() =>
              set({ closed: closed === "true" ? undefined : "true" }, { replace: true })
            }
          >
            {closed === "true" ? "Open only" : "Closed too"}
          </Button>
          <AcknowledgeFiltered q={q} tenant={tenant} />
        </>
      }
      filter={
        <FilterBar
          screen="drifts"
          value={q}
          onChange={(text) => set({ q: text || undefined }, { replace: true })}
          keys={keys}
          facets={facets}
          placeholder="Filter, such as severity:critical,high"
        />
      }
      list={
        <ListOf query={query} isEmpty={rows.length === 0} lines={10}>
          <DataTable
            {...table}
            label="Drifts"
            scrollId="drifts"
            rows={rows}
            columns={columns}
            pageOf={driftTo}
            onEnd={onEnd}
            empty={
              q ? (
                <NoneMatch
                  icon={TriangleAlert}
                  title="No drift matches"
                  why="The filter is too narrow, or what it asks for is closed by now."
                />
              ) : (
                <EmptyState
                  icon={TriangleAlert}
                  title="No drift"
                  why="Everything that is declared is so, as far as it could be seen. Look at the things themselves, now:"
                  command="helios drift check --fresh"
                />
              )
            }
          />
        </ListOf>
      }
      inspector={
        open && (
          <Inspector
            label="Drift"
            title={<span className="mono text-base break-all">{placeOf(open)}</span>}
            page={driftTo(open)}
            onClose={() => set({ sel: undefined })}
          >
            <DriftDetail drift={open} />
          </Inspector>
        )
      }
    />
  );
}

/** Takes note of all drifts of the filter, as a job, after showing how many they are. */
function AcknowledgeFiltered({ q, tenant }: { q: string; tenant: string | undefined }) {
  const [isOpen, setOpen] = useState(false);
  const [preview, setPreview] = useState<Schemas["Preview"]>();
  const queries = useQueryClient();
  const denied = useMay("operate", tenant ?? "*");
  const filter = q || "state:*";
  useEffect(() => {
    if (!isOpen) return;
    let isStale = false;
    setPreview(undefined);
    void call<Schemas["Preview"]>("POST", "/api/v1/drifts/acknowledge", {
      json: { filter, reason: "preview", client_id: tenant ?? null, dry_run: true },
    }).then((found) => {
      if (!isStale) setPreview(found);
    });
    return () => {
      isStale = true;
    };
  }, [isOpen, filter, tenant]);
  return (
    <>
      <Button icon={BookCheck} disabledReason={denied} onClick={() => setOpen(true)}>
        Acknowledge…
      </Button>
      <Confirm
        open={isOpen}
        onClose={() => setOpen(false)}
        title="Acknowledge all drifts of this filter"
        verb={preview ? `Acknowledge ${count(preview.total)}` : "Acknowledge"}
        reason="needed"
        cli={`curl -X POST ${location.origin}/api/v1/drifts/acknowledge -d '${JSON.stringify({ filter, reason: "…", ...(tenant ? { client_id: tenant } : {}) })}'`}
        plan={
          preview ? (
            <div className="rounded-md border border-line px-3 py-2">
              <p>
                <b>{count(preview.total)}</b> open {preview.total === 1 ? "drift" : "drifts"} of{" "}
                <span className="mono">{filter}</span>
              </p>
              <ul className="mt-1 text-sm text-soft">
                {preview.sample.slice(0, 5).map((drift) => (
                  <li key={keyOf(drift)} className="truncate">
                    {drift.stack_id}: <Place drift={drift} />
                  </li>
                ))}
              </ul>
            </div>
          ) : (
            <Skeleton lines={3} />
          )
        }
        onConfirm={async (reason) => {
          await call("POST", "/api/v1/drifts/acknowledge", {
            json: { filter, reason, client_id: tenant ?? null },
          });
          toast(`${count(preview?.total ?? 0)} drifts are being acknowledged`);
          await Promise.all(CHANGED.map((queryKey) => queries.invalidateQueries({ queryKey })));
        }}
      >
        They are known, and not reported again until they change. Nothing is healed by this.
      </Confirm>
    </>
  );
}
