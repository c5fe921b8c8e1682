import { useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { count } from "@/lib/format";
import { Card } from "@/ui/card";
import { Page, PageHead, useTitle } from "@/ui/page";
import { EventDetail } from "./event-detail";
import { eventQuery } from "./event-queries";

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
      />
      <Card>
        <EventDetail event={event} />
      </Card>
    </Page>
  );
}
