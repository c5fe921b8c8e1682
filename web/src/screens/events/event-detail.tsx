import { Link } from "@tanstack/react-router";
import { Terminal } from "lucide-react";
import { quote } from "@/lib/filter";
import { count } from "@/lib/format";
import { Button } from "@/ui/button";
import { CausationTree } from "@/ui/causation-tree";
import { JsonTree } from "@/ui/json-tree";
import { Facts, Section } from "@/ui/page";
import { Thread } from "@/ui/thread";
import { toast } from "@/ui/toast";
import { Id, Instant, TimeAgo } from "@/ui/values";
import { sizeOf } from "./event-fields";
import { type Event, streamFilter } from "./event-queries";

/** A request that sends the same event again, to another server or for a try. */
function asCurl(event: Event, origin: string): string {
  const sent = {
    eventType: event.eventType,
    source: event.source,
    event_id: event.event_id,
    client_id: event.client_id,
    aggregate: event.aggregate,
    occurred_at: event.occurred_at,
    payload: event.payload,
  };
  const text = JSON.stringify(sent).replace(/'/g, "'\\''");
  return `curl -sS ${origin}/api/v1/events/ingest -H 'Content-Type: application/json' -d '${text}'`;
}

/** A value that leads to the events that share it. */
function Like({ field, value }: { field: string; value: string }) {
  return (
    <Link to="/events" search={{ q: `${field}:${quote(value)}` }} className="hover:underline">
      {value}
    </Link>
  );
}

export function EventDetail({ event }: { event: Event }) {
  const copy = async () => {
    await navigator.clipboard.writeText(asCurl(event, location.origin));
    toast("Copied as curl");
  };
  const hasMetadata = Object.keys((event.metadata as object | null) ?? {}).length > 0;
  return (
    <>
      <Section
        title="Envelope"
        actions={
          <Button size="sm" icon={Terminal} onClick={() => void copy()}>
            Copy as curl
          </Button>
        }
      >
        <Facts
          items={[
            ["Position", `#${count(event.position)}`],
            [
              "About",
              <Id
                key="about"
                value={`${event.aggregate.type}/${event.aggregate.id}`}
                most={40}
                to={{
                  to: "/events",
                  search: { q: streamFilter(event) },
                }}
              />,
            ],
            ["Sequence", event.sequence],
            ["Client", <Like key="client" field="client" value={event.client_id} />],
            ["Type", <Like key="type" field="type" value={event.eventType} />],
            ["Source", <Like key="source" field="source" value={event.source} />],
            ["Actor", <Like key="actor" field="actor" value={event.actor} />],
            ["Id", <Id key="id" value={event.event_id} most={40} />],
            [
              "Occurred",
              <span key="occurred">
                <Instant at={event.occurred_at} day />{" "}
                <TimeAgo at={event.occurred_at} className="text-soft" />
              </span>,
            ],
            ["Recorded", <Instant key="recorded" at={event.recorded_at} day />],
            ["Schema version", event.version],
            event.correlation_id !== null && [
              "Correlation",
              <Id
                key="correlation"
                value={event.correlation_id}
                most={40}
                to={{ to: "/events", search: { q: `correlation:${quote(event.correlation_id)}` } }}
              />,
            ],
            event.causation_id !== null && [
              "Caused by",
              <Id
                key="causation"
                value={event.causation_id}
                most={40}
                to={{ to: "/events", search: { q: `id:${quote(event.causation_id)}` } }}
              />,
            ],
          ]}
        />
      </Section>
      <Section title="Payload">
        <JsonTree value={event.payload} label="payload" size={sizeOf(event)} />
      </Section>
      <Section title="What came of it">
        <Thread of="event" id={String(event.position)} clientId={event.client_id} />
      </Section>
      <Section title="Causes and effects">
        <CausationTree event={String(event.position)} clientId={event.client_id} />
      </Section>
      {hasMetadata && (
        <Section title="Metadata">
          <JsonTree value={event.metadata} label="metadata" />
        </Section>
      )}
    </>
  );
}
