import { useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { CircleCheck, CircleDashed, Clock, Play, TriangleAlert, X } from "lucide-react";
import { useLiveQueries } from "@/api/live";
import { useTenant } from "@/app/console-search";
import { cx } from "@/lib/cx";
import { duration } from "@/lib/format";
import { useNow } from "@/lib/now";
import { driftTo, planTo, StackLink } from "@/screens/stacks/parts";
import { ActionStep } from "@/screens/stacks/plan-view";
import type { Heal } from "@/screens/stacks/stack-queries";
import { short } from "@/screens/stacks/stack-words";
import { Card } from "@/ui/card";
import { Facts, Page, PageHead, useTitle } from "@/ui/page";
import { Status, TONE_TEXT, type Tone } from "@/ui/status";
import { Thread } from "@/ui/thread";
import { Id, Instant, TimeAgo } from "@/ui/values";
import { type HealRun, healQuery } from "./heal-queries";
import { How } from "./healing-screen";

const route = getRouteApi("/_console/healing/$id");

/** One action of healing, as it happens: what should come, and what came. */
export function HealPage() {
  const { id } = route.useParams();
  const tenant = useTenant();
  const { data: run } = useSuspenseQuery(healQuery(id, tenant));
  const { heal } = run;
  useLiveQueries(["stacks", "drifts"], [["heals"]], 300);
  useTitle(heal.summary);
  const name = { client: heal.client_id, stack: heal.stack_id };
  return (
    <Page>
      <PageHead
        title={heal.summary}
        note={
          <span className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-1">
            <Status value={heal.status} />
            <span>
              <StackLink name={name} />, client {heal.client_id}
            </span>
            <span>
              begun <TimeAgo at={heal.started_at} />
            </span>
          </span>
        }
        back={{ to: { to: "/healing", search: {} }, text: "Healing" }}
      />
      <div className="grid gap-5 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <div className="flex min-w-0 flex-col gap-5">
          <Checklist run={run} />
          <Card title="What was done">
            <ol>
              <ActionStep
                action={run.action}
                number={1}
                clientId={heal.client_id}
                stackId={heal.stack_id}
              />
            </ol>
            <Changed heal={heal} />
          </Card>
          <Card title="The thread">
            <Thread of="heal" id={heal.action_id} clientId={heal.client_id} />
          </Card>
        </div>
        <div className="flex min-w-0 flex-col gap-5">
          <Card title="Record">
            <Facts
              items={[
                ["By", <How key="how" heal={heal} />],
                ["Actor", heal.actor],
                heal.approved_by.length > 0 && ["Approved by", heal.approved_by.join(", ")],
                ["Attempt", heal.attempt],
                ["Begun", <Instant key="b" at={heal.started_at} />],
                heal.acted_at !== null && ["Done", <Instant key="d" at={heal.acted_at} />],
                heal.ended_at !== null && ["Ended", <Instant key="e" at={heal.ended_at} />],
                heal.detail !== "" && ["Result", heal.detail],
                heal.error_code !== "" && [
                  "Error",
                  <span key="err" className="mono text-bad">
                    {heal.error_code}
                  </span>,
                ],
                [
                  "Target",
                  <span key="t" className="mono break-all">
                    {heal.target}
                  </span>,
                ],
                [
                  "Mends",
                  <span key="m" className="flex flex-col">
                    {heal.drift_ids.map((drift) => (
                      <Link
                        key={drift}
                        {...driftTo({ ...heal, drift_id: drift })}
                        className="link mono break-all"
                      >
                        {drift}
                      </Link>
                    ))}
                  </span>,
                ],
                [
                  "Plan",
                  <Link key="p" {...planTo(name, heal.plan_id)} className="link">
                    as it was shown
                  </Link>,
                ],
                ["Digest", <Id key="dig" value={heal.digest} />],
                ["Action", <Id key="a" value={heal.action_id} />],
              ]}
            />
          </Card>
          {run.others.length > 0 && (
            <Card title="Of the same plan">
              <ul className="flex flex-col gap-1.5">
                {run.others.map((other) => (
                  <li key={other.action_id} className="flex flex-wrap gap-x-2">
                    <Status value={other.status} plain />
                    <Link
                      to="/healing/$id"
                      params={{ id: other.action_id }}
                      search={{ tenant: other.client_id }}
                      className="link"
                    >
                      {other.summary}
                    </Link>
                  </li>
                ))}
              </ul>
            </Card>
          )}
        </div>
      </div>
    </Page>
  );
}

const LOOKS = {
  arrived: { tone: "good", mark: CircleCheck, words: "in time" },
  late: { tone: "warn", mark: Clock, words: "late" },
  awaited: { tone: "wait", mark: CircleDashed, words: "awaited" },
  missing: { tone: "bad", mark: X, words: "did not come" },
} as const satisfies Record<string, { tone: Tone; mark: typeof Clock; words: string }>;

/** The command, and the events that should follow within the window, ticking in. */
function Checklist({ run }: { run: HealRun }) {
  const now = useNow();
  const isOpen = run.heal.status === "started" || run.heal.status === "acted";
  const elapsed = Math.max(0, (now.getTime() - Date.parse(run.heal.started_at)) / 1000);
  const last = Math.max(0, ...run.events.map((each) => each.after_s ?? 0));
  const span = Math.max(run.window_s, last, isOpen ? elapsed : 0) * 1.04;
  const expected = run.events.filter((each) => each.is_expected);
  const came = expected.filter((each) => each.at !== null).length;
  return (
    <Card
      title="Expected events"
      note={`${came} of ${expected.length} came; the window is ${duration(run.window_s)}${isOpen ? `, ${duration(Math.round(elapsed))} have passed` : ""}.`}
    >
      <ol aria-label="Command and expected events" className="flex flex-col gap-2.5">
        {run.events.map((each, index) => {
          const look = LOOKS[each.state];
          const isCommand = !each.is_expected && each.event_type === "HealStarted";
          const Mark = isCommand ? Play : each.is_expected ? look.mark : TriangleAlert;
          const tone = isCommand || !each.is_expected ? "unknown" : look.tone;
          return (
            <li key={each.position ?? `${each.event_type} ${index}`} className="flex gap-2.5">
              <Mark className={cx("mt-0.5 size-4.5 shrink-0", TONE_TEXT[tone])} aria-hidden />
              <div className="min-w-0 flex-1">
                <div className="flex flex-wrap items-baseline gap-x-2">
                  {each.position !== null ? (
                    <Link
                      to="/events/$position"
                      params={{ position: String(each.position) }}
                      className="link font-medium"
                    >
                      {each.event_type}
                    </Link>
                  ) : (
                    <span className="font-medium text-soft">{each.event_type}</span>
                  )}
                  <span className={cx("text-sm", TONE_TEXT[tone])}>
                    {isCommand ? "the command" : each.is_expected ? look.words : "came as well"}
                  </span>
                  {each.after_s !== null && (
                    <span className="text-sm text-soft">+{duration(each.after_s)}</span>
                  )}
                </div>
                {each.summary && (
                  <div className="text-sm break-words text-soft">{each.summary}</div>
                )}
                <div aria-hidden className="relative mt-1 h-1.5 rounded bg-sunken">
                  <div
                    className="absolute inset-y-0 left-0 rounded bg-sun/25"
                    style={{ width: `${(run.window_s / span) * 100}%` }}
                  />
                  {each.after_s !== null && (
                    <div
                      className={cx(
                        "absolute -top-0.5 size-2.5 rounded-full bg-current ring-2 ring-card",
                        TONE_TEXT[tone],
                      )}
                      style={{ left: `calc(${(each.after_s / span) * 100}% - 1px)` }}
                    />
                  )}
                </div>
              </div>
            </li>
          );
        })}
      </ol>
    </Card>
  );
}

function Changed({ heal }: { heal: Heal }) {
  const entries = Object.entries(heal.changes);
  if (entries.length === 0) return null;
  return (
    <div className="mt-3">
      <h3 className="eyebrow mb-1">What changed</h3>
      <ul className="mono flex flex-col gap-0.5">
        {entries.map(([field, values]) => {
          const [was, is] = Array.isArray(values) ? values : [undefined, values];
          return (
            <li key={field} className="break-all">
              <span className="text-soft">{field}: </span>
              <span className="text-bad">{short(was)}</span>
              <span className="text-faint"> → </span>
              <span className="text-good">{short(is)}</span>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
