import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { MailCheck, MailWarning } from "lucide-react";
import { useMemo, useState } from "react";
import { useFacets } from "@/api/facets";
import { useLiveQueries } from "@/api/live";
import { useLimits, useSetSearch, useTenant } from "@/app/console-search";
import { ListOf, NoneMatch, useColumns, useOpenRow } from "@/app/lists";
import { parseFilter } from "@/lib/filter";
import { count, duration } from "@/lib/format";
import { compact } from "@/lib/url";
import { Button } from "@/ui/button";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { Inspector, ListPage } from "@/ui/page";
import { Sparkline } from "@/ui/sparkline";
import { EmptyState } from "@/ui/states";
import { Badge, Status } from "@/ui/status";
import { TimeAgo } from "@/ui/values";
import { GroupActs } from "./group-acts";
import { LetterDetail } from "./letter-detail";
import { causeOf, type Group, groupsQuery, isUnderWay, jobsQuery } from "./letter-queries";
import { groupMatches, type LetterStatus, statusOf } from "./letter-words";

const route = getRouteApi("/_console/dead-letters/");

/** Names the row of a group in the URL: the id of its newest letter would change with each. */
function keyOf(group: Group): string {
  return [group.client_id, group.source, group.reason, group.event_type ?? "", group.template]
    .map(encodeURIComponent)
    .join("/");
}

function groupLink(group: Group, status: LetterStatus) {
  return {
    to: "/dead-letters/group" as const,
    search: compact({
      ...causeOf(group),
      status: status === "open" ? undefined : status,
    }) as Record<string, string>,
  };
}

function columns(trend: string): readonly Column<Group>[] {
  return [
    {
      id: "count",
      head: "Count",
      width: "5rem",
      align: "right",
      cell: (group) => <span className="font-semibold">{count(group.count)}</span>,
    },
    {
      id: "reason",
      head: "Reason",
      width: "8rem",
      cell: (group) => <Badge tone="bad">{group.reason}</Badge>,
      from: "md",
    },
    {
      id: "template",
      head: "What is said",
      main: true,
      cell: (group) => <span title={group.template}>{group.template || group.reason}</span>,
    },
    { id: "source", head: "Source", width: "7rem", cell: (group) => group.source, from: "sm" },
    {
      id: "type",
      head: "Type",
      width: "10rem",
      cell: (group) => group.event_type ?? <span className="text-faint">unknown</span>,
      from: "lg",
    },
    { id: "client", head: "Client", width: "8rem", cell: (group) => group.client_id, from: "lg" },
    {
      id: "trend",
      head: "Trend",
      width: "7rem",
      from: "md",
      cell: (group) => (
        <Sparkline values={group.trend} tone="bad" width={88} height={20} label={trend} />
      ),
    },
    {
      id: "first",
      head: "First",
      width: "7rem",
      align: "right",
      from: "lg",
      cell: (group) => <TimeAgo at={group.first_at} className="text-soft" />,
    },
    {
      id: "last",
      head: "Last",
      width: "6.5rem",
      align: "right",
      cell: (group) => <TimeAgo at={group.last_at} className="text-soft" />,
    },
  ];
}

/** What could not be taken, by its cause. */
export function LettersScreen() {
  const { q = "", sel } = route.useSearch();
  const tenant = useTenant();
  const set = useSetSearch();
  const { keys, facets } = useFacets("dead-letters", tenant);
  const tokens = useMemo(() => parseFilter(q), [q]);
  const status = statusOf(tokens);
  // Live is all that is open: what died last week is dead still.
  const span = useLimits();
  const query = useQuery(groupsQuery(status, { tenant }, span));
  const { data } = query;
  useLiveQueries(["dead-letters"], sel ? [] : [["dead-letters", "groups"]], 2_000);
  const rows = useMemo(
    () => (data?.groups ?? []).filter((group) => groupMatches(group, tokens)),
    [data, tokens],
  );
  const selected = rows.find((group) => keyOf(group) === sel);
  const total = rows.reduce((sum, group) => sum + group.count, 0);
  const trend = data ? `Letters in windows of ${duration(data.trend_s ?? 0)}` : "";
  const shown = useColumns(useMemo(() => columns(trend), [trend]));
  const table = useOpenRow(sel, keyOf);
  return (
    <ListPage
      title="Dead letters"
      note={
        rows.length > 0
          ? `${count(total)} ${status === "all" ? "" : status} ${total === 1 ? "letter" : "letters"} of ${count(rows.length)} ${rows.length === 1 ? "cause" : "causes"}.`
          : "What is authentic and could not be taken, kept to be tried again."
      }
      actions={
        <Link to="/dead-letters/group" search={{}} className="link">
          Letter by letter
        </Link>
      }
      filter={
        <FilterBar
          screen="dead-letters"
          value={q}
          onChange={(text) => set({ q: text || undefined, sel: undefined }, { replace: true })}
          keys={keys}
          facets={facets}
          placeholder="Filter, such as source:shop reason:schema status:all"
        />
      }
      strip={<Jobs tenant={tenant} />}
      list={
        <ListOf query={query} isEmpty={!data} lines={8}>
          <DataTable
            {...table}
            label="Groups of dead letters"
            scrollId="dead-letters"
            rows={rows}
            columns={shown}
            pageOf={(group) => groupLink(group, status)}
            empty={<NoLetters hasFilter={q !== ""} />}
          />
        </ListOf>
      }
      inspector={
        sel && (
          <Inspector
            label={selected ? `${selected.source} · ${selected.reason}` : "Group"}
            title={selected ? selected.template || selected.reason : "This group is empty now"}
            {...(selected ? { page: groupLink(selected, status) } : {})}
            onClose={() => set({ sel: undefined })}
            actions={
              selected && (
                <GroupActs
                  cause={causeOf(selected)}
                  span={span}
                  open={status === "open" ? selected.count : status === "all" ? 1 : 0}
                />
              )
            }
          >
            {selected ? (
              <>
                <p className="mb-4 text-soft">
                  {count(selected.count)} {selected.count === 1 ? "letter" : "letters"} of client{" "}
                  {selected.client_id}; the newest:
                </p>
                <Sample key={sel} group={selected} />
              </>
            ) : (
              <EmptyState
                icon={MailCheck}
                title="Nothing is left of it"
                why="Its letters were retried or discarded, or the filter leaves them out."
                action={<Button onClick={() => set({ sel: undefined })}>Back to the list</Button>}
              />
            )}
          </Inspector>
        )
      }
    />
  );
}

/** The newest of a group when it was opened: what is being read or written does not go away. */
function Sample({ group }: { group: Group }) {
  const [sample] = useState(group.sample.id);
  return <LetterDetail clientId={group.client_id} id={sample} />;
}

/** Work that goes on, and the last that ended. */
function Jobs({ tenant }: { tenant: string | undefined }) {
  const { data } = useQuery(jobsQuery(tenant));
  const jobs = (data?.jobs ?? []).filter((job) => job.kind.startsWith("dead-letters."));
  const shown = [...jobs.filter(isUnderWay), ...jobs.filter((job) => !isUnderWay(job)).slice(0, 2)];
  if (shown.length === 0) return null;
  return (
    <ul aria-label="Jobs" className="flex flex-wrap gap-2">
      {shown.map((job) => (
        <li key={job.id}>
          <Link
            to="/dead-letters/group"
            search={compact({ tenant: job.client_id ?? undefined, job: job.id }) as { job: string }}
            className="flex items-center gap-2 rounded-md border border-line bg-card px-2.5 py-1 text-sm hover:border-edge"
          >
            <Status value={job.state} plain />
            {job.title}
            <span className="text-soft">
              {count(job.done)} of {count(job.total)}
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function NoLetters({ hasFilter }: { hasFilter: boolean }) {
  return hasFilter ? (
    <NoneMatch
      icon={MailWarning}
      title="No dead letter matches"
      why="The filter or the time range is too narrow; status:all also shows what was retried and discarded."
    />
  ) : (
    <EmptyState
      icon={MailCheck}
      title="No dead letters"
      why="Everything that came could be taken. What is authentic and cannot be (no JSON, not as its schema says, an id that came with another content) is kept here, so that nothing is lost."
      command="helios dead-letters list --status all"
    />
  );
}
