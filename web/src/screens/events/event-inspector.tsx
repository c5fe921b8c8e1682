import { useQuery } from "@tanstack/react-query";
import { Inspector } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import { EventDetail } from "./event-detail";
import { eventQuery } from "./event-queries";

export function EventInspector({ position, onClose }: { position: string; onClose: () => void }) {
  const { data: event, error, refetch } = useQuery(eventQuery(position));
  return (
    <Inspector
      label={`Event #${position}`}
      title={event?.eventType ?? "…"}
      page={{ to: "/events/$position", params: { position } }}
      onClose={onClose}
    >
      {error ? (
        <ErrorState error={error} retry={() => void refetch()} />
      ) : event ? (
        <EventDetail event={event} />
      ) : (
        <Skeleton lines={10} />
      )}
    </Inspector>
  );
}
