import { useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useShortcut } from "@/app/use-shortcut";
import { count } from "@/lib/format";
import { Card } from "@/ui/card";
import { Page, PageHead, useTitle } from "@/ui/page";
import { Tooltip } from "@/ui/tooltip";
import { EventDetail } from "./event-detail";
import { type Event, eventQuery, neighbourQuery, streamFilter } from "./event-queries";

const route = getRouteApi("/_console/events/$position");

export function EventPage() {
  const { position } = route.useParams();
  const { data: event } = useSuspenseQuery(eventQuery(position));
  useTitle(`${event.eventType} #${position}`);
  return (
    <Page>
      <PageHead
        title={event.eventType}
        note={`Event #${count(event.position)} of client ${event.client_id}`}
        back={{ to: { to: "/events", search: {} }, text: "Events" }}
        actions={<Neighbours event={event} />}
      />
      <Card>
        <EventDetail event={event} />
      </Card>
    </Page>
  );
}

/** The events before and after it that are about the same. */
function Neighbours({ event }: { event: Event }) {
  return (
    <nav
      aria-label={`Stream of ${event.aggregate.type}/${event.aggregate.id}`}
      className="flex flex-wrap items-center gap-x-4 gap-y-1"
    >
      <Neighbour key={`before ${event.position}`} event={event} step={-1} />
      <Neighbour key={`after ${event.position}`} event={event} step={1} />
    </nav>
  );
}

function Neighbour({ event, step }: { event: Event; step: -1 | 1 }) {
  const { data } = useQuery(neighbourQuery(event, step));
  const navigate = useNavigate();
  const word = step < 0 ? "before" : "after";
  const position = data?.found && String(data.found.position);
  const to = { to: "/events/$position", params: { position: position ?? "" } } as const;
  useShortcut(word, () => void navigate(to), position !== undefined);
  const marked = (text: string) => (step < 0 ? `← ${text}` : `${text} →`);
  if (!data) return null;
  if (data.found)
    return (
      <Tooltip text={`The event ${word} in its stream`} keys={step < 0 ? "[" : "]"}>
        <Link className="link" {...to}>
          {marked(`#${count(data.found.position)} ${data.found.eventType}`)}
        </Link>
      </Tooltip>
    );
  if (data.isAll) return <span className="text-soft">Nothing {word}</span>;
  return (
    <Link className="link" to="/events" search={{ q: streamFilter(event) }}>
      {marked(`Far ${word}: all of its stream`)}
    </Link>
  );
}
