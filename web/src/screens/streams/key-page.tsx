import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useLiveQueries } from "@/api/live";
import { useSetSearch } from "@/app/console-search";
import { cx } from "@/lib/cx";
import { quote } from "@/lib/filter";
import { duration } from "@/lib/format";
import { Card } from "@/ui/card";
import { Facts, Page, PageHead, useTitle } from "@/ui/page";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { Thread } from "@/ui/thread";
import { CopyButton, Instant } from "@/ui/values";
import { KeyLanes } from "./key-lanes";
import { History, KeyEvents, Rules, Sentence, type Shown, Tried } from "./key-parts";
import { ReplayKey } from "./replay";
import { type Timeline, timelineQuery } from "./streams-queries";
import { useClientOf } from "./use-client-of";

const route = getRouteApi("/_console/streams/$contract/$key");

/** One key: what came of it on one axis of time, what is missing, and why it stands as it does. */
export function KeyPage() {
  const { contract, key } = route.useParams();
  const { client, error: unknown } = useClientOf(contract);
  const query = timelineQuery(client ?? "", contract, key);
  const { data, error, refetch } = useQuery({ ...query, enabled: client !== undefined });
  useTitle(`${key} · ${contract}`);
  useLiveQueries(["verdicts", "alerts"], [query.queryKey], 2_000);
  const problem = unknown ?? error;
  return (
    <Page>
      <PageHead
        title={
          <span className="inline-flex flex-wrap items-center gap-1">
            <span className="mono">{key}</span>
            <CopyButton text={key} label="Copy key" />
          </span>
        }
        note={data?.description || `A key of ${contract}`}
        back={{ to: { to: "/streams/$contract", params: { contract } }, text: contract }}
        actions={
          data && (
            <>
              <Link
                to="/events"
                search={{ q: `key:${quote(key)}`, tenant: data.client_id }}
                className="link"
              >
                Its events
              </Link>
              <ReplayKey timeline={data} />
            </>
          )
        }
      />
      {problem ? (
        <ErrorState error={problem} retry={() => void refetch()} />
      ) : data ? (
        <Key timeline={data} />
      ) : (
        <>
          <Card>
            <Skeleton lines={7} />
          </Card>
          <Card>
            <Skeleton lines={5} />
          </Card>
        </>
      )}
    </Page>
  );
}

function Key({ timeline }: { timeline: Timeline }) {
  const { w } = route.useSearch();
  const [selected, setSelected] = useState<string>();
  const shown =
    timeline.windows.find((each) => String(each.window_id) === w) ?? timeline.windows[0];
  if (!shown)
    return (
      <EmptyState
        title="Nothing was judged yet"
        why="An event of this key is known, and its window has not begun."
      />
    );
  const verdict = shown.verdict_id;
  return (
    <>
      {timeline.windows.length > 1 && <Windows timeline={timeline} shown={shown} />}
      <Card title={<Sentence shown={shown} />}>
        <KeyLanes
          timeline={timeline}
          window={shown.window_id}
          selected={selected}
          onSelect={setSelected}
        />
      </Card>
      <Card title="Events" flush>
        <KeyEvents timeline={timeline} selected={selected} onSelect={setSelected} />
      </Card>
      <div className="grid items-start gap-5 lg:grid-cols-2">
        <div className="flex min-w-0 flex-col gap-5">
          <Card title="Rules">
            <Rules timeline={timeline} shown={shown} />
          </Card>
          <Card title="What was tried">
            <Tried timeline={timeline} />
          </Card>
          <Card title="Window" actions={<WindowLink timeline={timeline} />}>
            <WindowFacts timeline={timeline} shown={shown} />
          </Card>
        </div>
        <div className="flex min-w-0 flex-col gap-5">
          <Card title="Verdicts" note="Every one there was, the newest first.">
            <History history={timeline.history} />
          </Card>
          <Card title="Thread">
            {verdict ? (
              <Thread of="verdict" id={verdict} clientId={timeline.client_id} />
            ) : (
              <p className="text-soft">It begins with the first verdict.</p>
            )}
          </Card>
        </div>
      </div>
    </>
  );
}

/** A key may come in several windows, each with a verdict of its own. */
function Windows({ timeline, shown }: { timeline: Timeline; shown: Shown }) {
  const set = useSetSearch();
  return (
    <nav aria-label="Windows" className="flex gap-2 overflow-x-auto pb-1">
      {timeline.windows.map((each) => (
        <button
          key={each.window_id}
          type="button"
          aria-pressed={each === shown}
          onClick={() => set({ w: String(each.window_id) }, { replace: true })}
          className={cx(
            "flex shrink-0 items-center gap-2 rounded-md border px-3 py-1.5",
            each === shown ? "border-sun bg-sun-wash" : "border-line bg-card hover:bg-sunken",
          )}
        >
          <Status value={each.status} plain />
          <Instant at={each.start} />
        </button>
      ))}
    </nav>
  );
}

function WindowLink({ timeline }: { timeline: Timeline }) {
  return (
    <Link
      to="/streams/$contract"
      params={{ contract: timeline.contract }}
      search={{ tenant: timeline.client_id, tab: "windows" }}
      className="link text-sm"
    >
      Settings of windows
    </Link>
  );
}

function WindowFacts({ timeline, shown }: { timeline: Timeline; shown: Shown }) {
  return (
    <Facts
      items={[
        [
          "From",
          <span key="from">
            <Instant at={shown.start} day />
          </span>,
        ],
        ["To", <Instant key="to" at={shown.end} day />],
        ["Closes at", <Instant key="closes" at={shown.closes_at} day />],
        ["Grace", duration(timeline.grace_s)],
        [
          "Watermark",
          timeline.watermark ? (
            <Instant key="watermark" at={timeline.watermark} day />
          ) : (
            "not known in this process"
          ),
        ],
        [
          "Legs",
          <ul key="legs">
            {timeline.lanes.map((lane) => (
              <li key={lane.leg}>
                {lane.leg}{" "}
                <span className="text-soft">
                  {[
                    lane.is_anchor && "opens the window",
                    lane.cardinality,
                    lane.within_s !== null && `within ${duration(lane.within_s)}`,
                  ]
                    .filter(Boolean)
                    .join(", ")}
                </span>
              </li>
            ))}
          </ul>,
        ],
        [
          "Judged by",
          <span key="by">
            {timeline.contract}, version {timeline.contract_version}
          </span>,
        ],
      ]}
    />
  );
}
