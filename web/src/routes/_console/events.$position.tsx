import { createFileRoute } from "@tanstack/react-router";
import { EventPage } from "@/screens/events/event-page";
import { eventQuery } from "@/screens/events/event-queries";

export const Route = createFileRoute("/_console/events/$position")({
  loader: ({ context, params }) => context.queryClient.ensureQueryData(eventQuery(params.position)),
  component: EventPage,
});
