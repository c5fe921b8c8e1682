import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, type LinkProps } from "@tanstack/react-router";
import { Printer } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import type { Schemas } from "@/api/client";
import { useSetSearch, useTenant, useTimeRange } from "@/app/console-search";
import { count, duration } from "@/lib/format";
import { bounds, isLive } from "@/lib/time-range";
import { Button } from "@/ui/button";
import { Card, Stat } from "@/ui/card";
import { Page, PageHead, useTitle } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { Command, Instant, ZoneName } from "@/ui/values";
import { type ClientReport, type Report, reportQuery } from "./audit-queries";
import { actionWords, actorWords, entryTo } from "./audit-words";
import { AuditTabs } from "./tabs";

const route = getRouteApi("/_console/audit/report");

const DAYS = [
  ["1", "Last day"],
  ["7", "Last 7 days"],
  ["30", "Last 30 days"],
  ["90", "Last 90 days"],
  ["365", "Last year"],
] as const;
const DAY_MS = 86_400_000;

const BREACHES: Readonly<Record<string, string>> = {
  no_end: "began and has no end",
  no_approval: "was done without the agreement it needed",
  other_approver: "was agreed to by somebody who may not",
  log_broken: "the log is not as it was written",
};

/** Whether healing kept to its rules in a time: for people who have to answer for it, also on paper. */
export function ReportPage() {
  const { days = "30" } = route.useSearch();
  const tenant = useTenant();
  const range = useTimeRange();
  const set = useSetSearch();
  useTitle("Report of the audit");
  const { since, until } = useMemo(() => {
    if (isLive(range)) {
      // Of the minute, so that the same report is not asked for at each look.
      const now = Math.floor(Date.now() / 60_000) * 60_000;
      return { since: new Date(now - Number(days) * DAY_MS).toISOString(), until: undefined };
    }
    const { from, to } = bounds(range, new Date());
    return { since: from.toISOString(), until: to.toISOString() };
  }, [range, days]);
  const { data, error, refetch } = useQuery(reportQuery(tenant, since, until));
  return (
    <Page>
      <PageHead
        title="Report of the audit"
        note={
          data ? (
            <>
              {tenant ? `Client ${tenant}, ` : "All clients, "}
              <Instant at={data.since} day /> to <Instant at={data.until} day />, times in{" "}
              <ZoneName />
            </>
          ) : (
            "Whether healing kept to its rules."
          )
        }
        actions={
          <div className="flex items-center gap-2 print:hidden">
            {isLive(range) && (
              <label>
                <span className="sr-only">Time of the report</span>
                <select
                  className="field"
                  value={days}
                  onChange={(event) => set({ days: event.target.value }, { replace: true })}
                >
                  {DAYS.map(([value, words]) => (
                    <option key={value} value={value}>
                      {words}
                    </option>
                  ))}
                </select>
              </label>
            )}
            <Button icon={Printer} disabled={!data} onClick={() => window.print()}>
              Print
            </Button>
          </div>
        }
      />
      <AuditTabs value="report" />
      {error ? (
        <ErrorState error={error} retry={() => void refetch()} />
      ) : data ? (
        <Body report={data} since={since} tenant={tenant} />
      ) : (
        <Skeleton lines={14} />
      )}
    </Page>
  );
}

function Body({
  report,
  since,
  tenant,
}: {
  report: Report;
  since: string;
  tenant: string | undefined;
}) {
  const agreements = report.clients.reduce((sum, each) => sum + each.approvals.length, 0);
  const open = report.clients.reduce((sum, each) => sum + each.open_drifts.length, 0);
  return (
    <>
      <section
        className={`flex flex-wrap items-center gap-3 rounded-lg border px-4 py-3 ${report.complete ? "border-good/40 bg-good-wash" : "border-bad/40 bg-bad-wash"}`}
        aria-label="Verdict"
      >
        <Status
          value={report.complete ? "complete" : "not complete"}
          tone={report.complete ? "good" : "bad"}
          plain
          className="text-base"
        />
        <p className="min-w-0 flex-1 basis-72">
          {report.complete
            ? "Every action has its end, and every agreement that was needed was there for the very plan that was carried out."
            : report.cut
              ? "There were more entries than were read: take a shorter time."
              : `${count(report.breaches.length)} of the rules were broken.`}
        </p>
      </section>
      <div className="grid grid-cols-2 gap-4 md:grid-cols-4">
        <Stat
          label="Actions carried out"
          value={count(report.executed)}
          to={{ to: "/audit", search: { q: "kind:heal" } as never }}
        />
        <Stat
          label="Entries"
          value={count(report.entries)}
          to={{ to: "/audit", search: {} as never }}
        />
        <Stat label="Answers to plans" value={count(agreements)} />
        <Stat
          label="Drifts still open"
          value={count(open)}
          {...(open > 0 ? { tone: "warn" as const } : {})}
        />
      </div>
      {report.breaches.length > 0 && <Breaches breaches={report.breaches} />}
      {report.clients.map((each) => (
        <ClientPart key={each.client_id} client={each} />
      ))}
      {report.clients.length === 0 && (
        <Card>
          <p className="text-soft">Nothing was done in this time, and no drift is open.</p>
        </Card>
      )}
      <Card title="What it is made of">
        <p>
          Of the log up to event #{count(report.log.head)}, read <Instant at={report.made_at} day />
          .{" "}
          {report.log.checked
            ? report.log.unbroken
              ? `Its chain of hashes was computed again and is unbroken (${report.log.hash.slice(0, 16)}…).`
              : `Its chain of hashes is broken: ${report.log.detail}`
            : "Its chain of hashes is checked on the machine of the log, with:"}
        </p>
        {!report.log.checked && (
          <div className="mt-2">
            <Command
              line={`helios audit report --since ${since}${tenant ? ` --client-id ${tenant}` : ""}`}
            />
          </div>
        )}
      </Card>
    </>
  );
}

function Breaches({ breaches }: { breaches: readonly Schemas["Breach"][] }) {
  return (
    <Card title="What must not be" flush>
      <Table label="Breaches" heads={["Rule", "Client", "Entry", "Detail"]}>
        {breaches.map((each) => (
          <tr key={`${each.code} ${each.entry_id}`}>
            <Cell>
              <Status plain tone="bad" value={each.code} label={BREACHES[each.code] ?? each.code} />
            </Cell>
            <Cell>{each.client_id}</Cell>
            <Cell>
              <Link {...entryTo(each)} className="link">
                #{count(each.position)}
              </Link>
            </Cell>
            <Cell className="break-words">{each.detail}</Cell>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

function ClientPart({ client }: { client: ClientReport }) {
  const { time_to_detect: detect, time_to_heal: heal } = client;
  return (
    <section className="flex flex-col gap-4 print:break-before-page">
      <h2 className="text-lg font-semibold">Client {client.client_id}</h2>
      <div className="grid grid-cols-2 gap-4 lg:grid-cols-4">
        <Times label="Time to detect" times={detect} note="from the first sign to being sure" />
        <Times label="Time to heal" times={heal} note="from being sure to seen healed" />
        <Stat
          label="Without agreement"
          value={client.unapproved.length}
          tone={client.unapproved.length > 0 ? "bad" : "good"}
          note="that needed it"
        />
        <Stat
          label="Not verified"
          value={client.unverified.length}
          tone={client.unverified.length > 0 ? "bad" : "good"}
          note={`${client.false_positives} false positives`}
        />
      </div>
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <Counts title="Actions of healing" counts={client.actions} none="Nothing was healed." />
        <Counts title="Orders of people" counts={client.commands} none="Nobody ordered anything." />
      </div>
      <Part title="Answers to plans" none="No plan needed an answer." rows={client.approvals}>
        <Table label="Answers to plans" heads={["When", "Who", "Answer", "Stack", "Plan", "Why"]}>
          {client.approvals.map((each) => (
            <tr key={each.position}>
              <Cell>
                <Instant at={each.at} day />
              </Cell>
              <Cell>{actorWords(each.actor).name}</Cell>
              <Cell>
                <Link
                  className="link"
                  {...({
                    to: "/approvals/$id",
                    params: { id: each.approval_id },
                    search: { tenant: client.client_id },
                  } as unknown as LinkProps)}
                >
                  {actionWords(each.answer)}
                </Link>
              </Cell>
              <Cell>{each.stack_id}</Cell>
              <Cell>
                <span className="mono" title={each.plan_digest ?? ""}>
                  {each.plan_digest?.slice(0, 12) ?? ""}
                </span>
              </Cell>
              <Cell className="break-words">{each.reason}</Cell>
            </tr>
          ))}
        </Table>
      </Part>
      <Entries title="Guards that were overridden" entries={client.overrides} />
      <Entries title="Healing that was paused and resumed" entries={client.suspensions} />
      <Part title="Drifts still open" none="Everything is as declared." rows={client.open_drifts}>
        <Table label="Drifts still open" heads={["Since", "Stack", "What", "Severity", "State"]}>
          {client.open_drifts.map((each) => (
            <tr key={each.drift_id}>
              <Cell>
                <Instant at={each.since} day />
              </Cell>
              <Cell>{each.stack_id}</Cell>
              <Cell>
                <Link
                  className="link mono break-all"
                  {...({
                    to: `/stacks/${encodeURIComponent(client.client_id)}/${encodeURIComponent(each.stack_id)}/drift/${encodeURIComponent(each.drift_id)}`,
                  } as unknown as LinkProps)}
                >
                  {each.component}
                  {each.path}
                </Link>
              </Cell>
              <Cell>
                <Status plain value={each.severity} />
              </Cell>
              <Cell>
                <Status plain value={each.state} />
              </Cell>
            </tr>
          ))}
        </Table>
      </Part>
    </section>
  );
}

function Times({ label, times, note }: { label: string; times: Schemas["Times"]; note: string }) {
  return (
    <Stat
      label={label}
      value={times.p50_s === null ? "none" : duration(times.p50_s)}
      note={
        times.p95_s === null || times.max_s === null
          ? note
          : `p95 ${duration(times.p95_s)}, at most ${duration(times.max_s)}, of ${count(times.count)}`
      }
    />
  );
}

function Counts({
  title,
  counts,
  none,
}: {
  title: string;
  counts: readonly { action: string; outcome: string; count: number }[];
  none: string;
}) {
  return (
    <Part title={title} none={none} rows={counts}>
      <Table label={title} heads={["What", "Outcome", { text: "How often", right: true }]}>
        {counts.map((each) => (
          <tr key={`${each.action} ${each.outcome}`}>
            <Cell>
              <span className="inline-block first-letter:uppercase">
                {actionWords(each.action)}
              </span>
            </Cell>
            <Cell>
              <Status plain value={each.outcome} />
            </Cell>
            <Cell right>
              <Link
                className="link"
                {...({
                  to: "/audit",
                  search: { q: `action:${each.action} outcome:${each.outcome}` },
                } as unknown as LinkProps)}
              >
                {count(each.count)}
              </Link>
            </Cell>
          </tr>
        ))}
      </Table>
    </Part>
  );
}

function Entries({ title, entries }: { title: string; entries: readonly Schemas["Entry"][] }) {
  return (
    <Part title={title} none="None." rows={entries}>
      <Table label={title} heads={["When", "Who", "What", "On", "Why"]}>
        {entries.map((each) => (
          <tr key={each.entry_id}>
            <Cell>
              <Instant at={each.timestamp} day />
            </Cell>
            <Cell>{actorWords(each.actor).name}</Cell>
            <Cell>
              <Link {...entryTo(each)} className="link inline-block first-letter:uppercase">
                {actionWords(each.action)}
              </Link>
            </Cell>
            <Cell>{[each.stack_id, each.target].filter(Boolean).join(" ")}</Cell>
            <Cell className="break-words">{each.reason || each.detail}</Cell>
          </tr>
        ))}
      </Table>
    </Part>
  );
}

function Part({
  title,
  none,
  rows,
  children,
}: {
  title: string;
  none: string;
  rows: readonly unknown[];
  children: ReactNode;
}) {
  return (
    <Card title={title} flush={rows.length > 0}>
      {rows.length > 0 ? children : <p className="text-soft">{none}</p>}
    </Card>
  );
}
