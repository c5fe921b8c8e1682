import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { MailCheck } from "lucide-react";
import { useMemo, useRef } from "react";
import { useLiveQueries } from "@/api/live";
import { useLimits, useSetSearch } from "@/app/console-search";
import { useShortcut } from "@/app/use-shortcut";
import { cx } from "@/lib/cx";
import { bytes, count, duration, middle } from "@/lib/format";
import { Button } from "@/ui/button";
import { Card, Stat } from "@/ui/card";
import { Page, PageHead, useTitle } from "@/ui/page";
import { Segments } from "@/ui/segments";
import { Sparkline } from "@/ui/sparkline";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Badge, Status } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { TimeAgo } from "@/ui/values";
import { GroupActs } from "./group-acts";
import { JobCard } from "./jobs";
import { LetterDetail, Times } from "./letter-detail";
import { type Cause, groupsQuery, type Letter, lettersQuery } from "./letter-queries";
import { STATUSES } from "./letter-words";

const route = getRouteApi("/_console/dead-letters/group");

/** What the letters of a group have in common, in a line. */
function titleOf(cause: Cause): string {
  return (
    cause.template || cause.reason || (cause.source ? `All of ${cause.source}` : "All letters")
  );
}

/** A group: one letter of it to be looked at and mended, all of it to be worked on together. */
export function GroupPage() {
  const { source, reason, type, template, tenant, status = "open", sel, job } = route.useSearch();
  const cause: Cause = useMemo(
    () => ({ tenant, source, reason, type, template }),
    [tenant, source, reason, type, template],
  );
  const span = useLimits();
  const set = useSetSearch();
  const letters = useInfiniteQuery(lettersQuery(status, cause, span));
  const everything = useQuery(groupsQuery("all", cause, span));
  const open = useQuery(groupsQuery("open", cause, span));
  useTitle(`${titleOf(cause)} · Dead letters`);
  useLiveQueries(
    ["dead-letters"],
    [
      ["dead-letters", "groups"],
      ["dead-letters", "list"],
    ],
    2_000,
  );
  const rows = letters.data?.pages.flatMap((page) => page.letters) ?? [];
  const sample = useFirst(rows[0], JSON.stringify([cause, status]));
  const chosen = rows.find((letter) => letter.id === sel);
  const shown = chosen ?? (sel && tenant ? { id: sel, client_id: tenant } : sample);
  const waiting = (open.data?.groups ?? []).reduce((sum, group) => sum + group.count, 0);

  const at = rows.findIndex((letter) => letter.id === shown?.id);
  const move = (step: number) => {
    const to = rows[Math.min(Math.max(at + step, 0), rows.length - 1)];
    if (to) set({ sel: to.id }, { replace: true });
  };
  useShortcut("next", () => move(1));
  useShortcut("previous", () => move(-1));

  return (
    <Page>
      <PageHead
        title={titleOf(cause)}
        note={
          <span className="flex flex-wrap gap-1.5">
            {reason && <Badge tone="bad">{reason}</Badge>}
            {source && <Badge>source {source}</Badge>}
            {type && <Badge>type {type}</Badge>}
            {tenant && <Badge>client {tenant}</Badge>}
          </span>
        }
        back={{ to: { to: "/dead-letters", search: {} }, text: "Dead letters" }}
        actions={<GroupActs cause={cause} span={span} open={waiting} />}
      />
      {job && <JobCard id={job} />}
      <Figures all={everything.data} open={waiting} />
      {letters.isPending ? (
        <Card>
          <Skeleton lines={10} />
        </Card>
      ) : letters.error ? (
        <ErrorState error={letters.error} retry={() => void letters.refetch()} />
      ) : (
        <>
          {shown && (
            <Card
              title={sel ? "Letter" : "The newest as a sample"}
              actions={
                <Link
                  to="/dead-letters/$id"
                  params={{ id: shown.id }}
                  search={{ tenant: shown.client_id }}
                  className="link text-sm"
                >
                  Its own page
                </Link>
              }
            >
              <LetterDetail clientId={shown.client_id} id={shown.id} />
            </Card>
          )}
          <Card
            title="Letters"
            flush
            actions={
              <Segments
                label="Status"
                value={status}
                options={STATUSES}
                onChange={(each) =>
                  set(
                    { status: each === "open" ? undefined : each, sel: undefined },
                    { replace: true },
                  )
                }
              />
            }
          >
            {rows.length === 0 ? (
              <EmptyState
                icon={MailCheck}
                title={status === "open" ? "None is open" : `None is ${status}`}
                why={
                  status === "open"
                    ? "All of them were retried or discarded."
                    : "No letter of this group has come so far."
                }
                action={
                  status !== "all" && (
                    <Button onClick={() => set({ status: "all" })}>Show all of them</Button>
                  )
                }
              />
            ) : (
              <Letters rows={rows} selected={shown?.id} />
            )}
            {letters.hasNextPage && (
              <div className="border-t border-line p-2 text-center">
                <Button
                  busy={letters.isFetchingNextPage}
                  onClick={() => void letters.fetchNextPage()}
                >
                  Older ones
                </Button>
              </div>
            )}
          </Card>
        </>
      )}
    </Page>
  );
}

/** What came first, until something else is asked: it is being read, or written. */
function useFirst<T>(value: T | undefined, of: string): T | undefined {
  const kept = useRef<{ of: string; value: T } | undefined>(undefined);
  if (kept.current?.of !== of) kept.current = undefined;
  if (!kept.current && value !== undefined) kept.current = { of, value };
  return kept.current?.value;
}

function Figures({
  all,
  open,
}: {
  all:
    | {
        groups: readonly {
          count: number;
          first_at: string;
          last_at: string;
          trend: readonly number[];
        }[];
        trend_s?: number;
      }
    | undefined;
  open: number;
}) {
  const groups = all?.groups ?? [];
  const total = groups.reduce((sum, group) => sum + group.count, 0);
  const first = groups.map((group) => group.first_at).toSorted()[0];
  const last = groups
    .map((group) => group.last_at)
    .toSorted()
    .at(-1);
  const trend = (groups[0]?.trend ?? []).map((_, n) =>
    groups.reduce((sum, group) => sum + (group.trend[n] ?? 0), 0),
  );
  return (
    <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
      <Stat label="Open" value={count(open)} {...(open > 0 ? { tone: "bad" as const } : {})} />
      <Stat
        label="Letters in all"
        value={count(total)}
        chart={
          <Sparkline
            values={trend}
            tone="bad"
            width={72}
            label={`Letters in windows of ${duration(all?.trend_s ?? 0)}`}
          />
        }
      />
      <Stat label="First" value={first ? <TimeAgo at={first} className="text-lg" /> : "–"} />
      <Stat label="Last" value={last ? <TimeAgo at={last} className="text-lg" /> : "–"} />
    </div>
  );
}

/** Rows that are in the document at once: more come on request, so that the page stays light. */
const ROWS_MAX = 50;

function Letters({ rows, selected }: { rows: readonly Letter[]; selected: string | undefined }) {
  const search = route.useSearch();
  const at = Math.max(
    0,
    rows.findIndex((row) => row.id === selected),
  );
  const from = Math.max(0, Math.min(at - ROWS_MAX / 2, rows.length - ROWS_MAX));
  const shown = rows.slice(from, from + ROWS_MAX);
  return (
    <>
      <Table
        label="Letters"
        heads={["Letter", "Status", "What is said", { text: "Size", right: true }, "Recorded"]}
      >
        {shown.map((letter) => (
          <tr
            key={`${letter.client_id}/${letter.id}`}
            className={cx("relative hover:bg-sunken", letter.id === selected && "bg-sun-wash")}
            aria-current={letter.id === selected || undefined}
          >
            <Cell>
              <Link
                to="/dead-letters/group"
                search={{ ...search, sel: letter.id }}
                resetScroll={false}
                className="mono font-medium whitespace-nowrap after:absolute after:inset-0 after:content-['']"
              >
                {middle(letter.event_id ?? letter.id, 24)}
              </Link>
            </Cell>
            <Cell>
              <span className="flex items-center gap-1.5">
                <Status value={letter.status} plain />
                <Times letter={letter} />
                {letter.edited && <Badge>edited</Badge>}
              </span>
            </Cell>
            <Cell className="max-w-120 min-w-48 break-words text-soft">{letter.detail}</Cell>
            <Cell right className="whitespace-nowrap text-soft">
              {bytes(letter.bytes)}
            </Cell>
            <Cell>
              <TimeAgo at={letter.recorded_at} className="text-soft" />
            </Cell>
          </tr>
        ))}
      </Table>
      {rows.length > shown.length && (
        <p className="border-t border-line px-4 py-2 text-sm text-soft">
          {from + 1} to {from + shown.length} of {count(rows.length)} that are loaded; j and k move
          through all of them.
        </p>
      )}
    </>
  );
}
