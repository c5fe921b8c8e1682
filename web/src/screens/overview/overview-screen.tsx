import { useQuery } from "@tanstack/react-query";
import { Link, type LinkProps } from "@tanstack/react-router";
import { type ReactNode, useMemo } from "react";
import { useLiveQueries } from "@/api/live";
import { useTenant } from "@/app/console-search";
import { useOffer } from "@/app/palette-actions";
import { cx } from "@/lib/cx";
import { count, duration, percent, rate } from "@/lib/format";
import { Stat } from "@/ui/card";
import { Page, useTitle } from "@/ui/page";
import { Sparkline } from "@/ui/sparkline";
import { ErrorState } from "@/ui/states";
import { TONE_ICON, TONE_WASH } from "@/ui/status";
import { TimeAgo } from "@/ui/values";
import { Attention } from "./attention";
import { Flow } from "./flow";
import { Healed } from "./healed";
import { type Overview, overviewQuery } from "./overview-queries";
import { answer } from "./overview-words";
import { QuickStart, useTestEvent } from "./start";

const TOPICS = [
  "approvals",
  "drifts",
  "stacks",
  "alerts",
  "views",
  "builds",
  "dead-letters",
] as const;

/** What everybody sees first: is anything wrong, and what should I do? */
export function OverviewScreen() {
  const tenant = useTenant();
  const { data, error, refetch } = useQuery(overviewQuery(tenant));
  useLiveQueries(TOPICS, [["overview"]]);
  const { send, denied } = useTestEvent();
  useOffer(
    useMemo(
      () => [{ words: "Send a test event", run: send, disabledReason: denied }],
      [send, denied],
    ),
  );
  useTitle("Overview");
  if (!data)
    return error ? (
      <Page>
        <h1 className="text-xl font-semibold tracking-tight">Overview</h1>
        <ErrorState error={error} retry={() => void refetch()} />
      </Page>
    ) : (
      <Waiting />
    );
  const isEmpty = data.empty.events;
  return (
    <Page>
      <Head seen={data} isOld={error !== null} />
      {isEmpty && <QuickStart empty={data.empty} />}
      <Flow stations={data.flow} />
      {!isEmpty && (
        <>
          <Figures seen={data} />
          <div className="grid items-start gap-5 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
            <Attention items={data.attention} />
            <Healed
              items={data.healed}
              day={data.flow.find((each) => each.name === "healing")?.total ?? 0}
            />
          </div>
          {data.empty.start && <QuickStart empty={data.empty} />}
        </>
      )}
    </Page>
  );
}

function Head({ seen, isOld }: { seen: Overview; isOld: boolean }) {
  const { tone, title, note } = answer(seen);
  const Mark = TONE_ICON[tone];
  return (
    <header className="flex flex-wrap items-center gap-x-4 gap-y-3">
      <span
        className={cx("grid size-12 shrink-0 place-items-center rounded-full", TONE_WASH[tone])}
      >
        <Mark className="size-6" aria-hidden />
      </span>
      <div className="min-w-0 flex-1 basis-56">
        <p className="eyebrow">Overview{seen.client_id && ` of ${seen.client_id}`}</p>
        <h1 className="text-2xl font-semibold tracking-tight" aria-live="polite">
          {title}
        </h1>
        <p className="text-soft">{note}</p>
      </div>
      {isOld && (
        <p className="text-sm text-warn">
          the server does not answer; as of{" "}
          <Link
            to="/events"
            search={{}}
            className="decoration-line-strong underline-offset-3 hover:underline"
          >
            event #{count(seen.position)}
          </Link>
          , <TimeAgo at={seen.at} />
        </p>
      )}
    </header>
  );
}

function Figures({ seen: { figures, flow, attention } }: { seen: Overview }) {
  const isBelow = attention.some((item) => item.kind === "mismatch_rate");
  const spark = flow.find((station) => station.name === "sources")?.spark ?? [];
  return (
    <section aria-label="Headline figures" className="grid grid-cols-2 gap-3 lg:grid-cols-4">
      <Stat
        label="Match rate"
        value={figures.match_rate === null ? "–" : percent(figures.match_rate, 2)}
        {...(figures.match_rate === null
          ? {}
          : { tone: isBelow ? ("bad" as const) : ("good" as const) })}
        to={link("/streams")}
        note={
          figures.keys === 0 ? (
            "no keys yet"
          ) : (
            <Quiet to={link("/streams", { q: "-status:matched" })}>
              {count(figures.not_matched)} of {count(figures.keys)} keys do not match
            </Quiet>
          )
        }
      />
      <Stat
        label="State consistency"
        value={figures.state_consistency === null ? "–" : percent(figures.state_consistency)}
        {...(figures.state_consistency === null
          ? {}
          : { tone: figures.state_consistency < 1 ? ("warn" as const) : ("good" as const) })}
        to={link("/stacks")}
        note={
          figures.stacks === 0 ? (
            "no stacks yet"
          ) : (
            <Quiet to={link("/stacks/drifts")}>
              {count(figures.drifts)} open {figures.drifts === 1 ? "drift" : "drifts"} in{" "}
              {count(figures.stacks)} {figures.stacks === 1 ? "stack" : "stacks"}
            </Quiet>
          )
        }
      />
      <Stat
        label="Ingest rate"
        value={figures.ingest_rate === null ? "–" : rate(figures.ingest_rate)}
        to={link("/ingest")}
        note="events from outside, last 10 s"
        chart={
          spark.length > 1 && (
            <Sparkline
              values={spark}
              label="Events from outside a second, last two minutes"
              className="hidden sm:block"
            />
          )
        }
      />
      <Stat
        label="To verdict, p99"
        value={figures.p99_s === null ? "–" : duration(figures.p99_s)}
        to={link("/events")}
        note={
          figures.p50_s === null
            ? "measured with the next event"
            : `half of them within ${duration(figures.p50_s)}`
        }
      />
    </section>
  );
}

function link(to: string, search: Record<string, string> = {}): LinkProps {
  return { to, search } as unknown as LinkProps;
}

function Quiet({ to, children }: { to: LinkProps; children: ReactNode }) {
  return (
    <Link {...to} className="inline-block py-0.5 hover:text-ink hover:underline">
      {children}
    </Link>
  );
}

/** The layout of what is coming. */
function Waiting() {
  return (
    <Page>
      <div className="flex items-center gap-4" aria-busy>
        <div className="skeleton size-12 rounded-full" />
        <div className="flex flex-col gap-2">
          <h1 className="sr-only">Overview</h1>
          <div className="skeleton h-7 w-56 rounded" />
          <div className="skeleton h-4 w-72 max-w-full rounded" />
        </div>
      </div>
      <div className="skeleton h-52 rounded-xl" />
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        {["a", "b", "c", "d"].map((name) => (
          <div key={name} className="skeleton h-24 rounded-lg" />
        ))}
      </div>
      <div className="grid gap-5 xl:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <div className="skeleton h-64 rounded-xl" />
        <div className="skeleton h-64 rounded-xl" />
      </div>
    </Page>
  );
}
