import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useLiveQueries } from "@/api/live";
import { quote } from "@/lib/filter";
import { Inspector, Section } from "@/ui/page";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Thread } from "@/ui/thread";
import { KeyLanes } from "./key-lanes";
import { History, Rules, Sentence, Tried } from "./key-parts";
import { ReplayKey } from "./replay";
import { type Timeline, timelineQuery } from "./streams-queries";
import { fromRowKey } from "./verdict-words";

/** One key beside the list. */
export function VerdictInspector({ of, onClose }: { of: string; onClose: () => void }) {
  const found = fromRowKey(of);
  if (!found)
    return (
      <Inspector label="Verdict" title="No such key" onClose={onClose}>
        <EmptyState title="This link names no key" why="A part of it may have been lost." />
      </Inspector>
    );
  const { clientId, contract, key } = found;
  return <Known key={of} clientId={clientId} contract={contract} name={key} onClose={onClose} />;
}

function Known({
  clientId,
  contract,
  name,
  onClose,
}: {
  clientId: string;
  contract: string;
  name: string;
  onClose: () => void;
}) {
  const query = timelineQuery(clientId, contract, name);
  const { data, error, refetch } = useQuery(query);
  useLiveQueries(["verdicts"], data?.status === "matched" ? [] : [query.queryKey], 2_000);
  return (
    <Inspector
      label={`Key of ${contract}`}
      title={<span className="mono">{name}</span>}
      page={{
        to: "/streams/$contract/$key",
        params: { contract, key: name },
        search: { tenant: clientId },
      }}
      onClose={onClose}
      actions={
        data && (
          <>
            <ReplayKey timeline={data} />
            <Link
              to="/events"
              search={{ q: `key:${quote(name)}`, tenant: clientId }}
              className="link"
            >
              Its events
            </Link>
          </>
        )
      }
    >
      {error ? (
        <ErrorState error={error} retry={() => void refetch()} />
      ) : data ? (
        <Detail timeline={data} />
      ) : (
        <Skeleton lines={10} />
      )}
    </Inspector>
  );
}

function Detail({ timeline }: { timeline: Timeline }) {
  const shown = timeline.windows[0];
  const verdict = shown?.verdict_id;
  return (
    <>
      {shown && <Sentence shown={shown} />}
      <Section title="Lanes">
        <KeyLanes timeline={timeline} />
      </Section>
      <Section title="Rules">
        <Rules timeline={timeline} shown={shown} />
      </Section>
      <Section title="What was tried">
        <Tried timeline={timeline} />
      </Section>
      <Section title="Verdicts">
        <History history={timeline.history} />
      </Section>
      {verdict && (
        <Section title="Thread">
          <Thread of="verdict" id={verdict} clientId={timeline.client_id} />
        </Section>
      )}
    </>
  );
}
