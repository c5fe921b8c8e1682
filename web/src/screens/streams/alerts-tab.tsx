import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { BellOff } from "lucide-react";
import { count } from "@/lib/format";
import { Button } from "@/ui/button";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { TimeAgo } from "@/ui/values";
import { alertsQuery } from "./streams-queries";

/** Whom it told of keys that do not match, newest first. */
export function AlertsTab({ contract, clientId }: { contract: string; clientId: string }) {
  const { data, error, refetch, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery(
    alertsQuery(clientId, contract),
  );
  if (error) return <ErrorState error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={6} />;
  const alerts = data.pages.flatMap((page) => page.alerts);
  if (alerts.length === 0)
    return (
      <EmptyState
        icon={BellOff}
        title="Nobody was told yet"
        why="An alert is given for a key that still does not match after its source was asked, as on_missing of the contract says."
        command={`helios alerts ${contract} --client-id ${clientId}`}
      />
    );
  return (
    <div className="rounded-lg border border-line bg-card">
      <Table label="Alerts" heads={["When", "Key", "Status", "Why", "What is wrong", ""]}>
        {alerts.map((alert) => (
          <tr key={alert.alert_id}>
            <Cell>
              <TimeAgo at={alert.created_at} />
            </Cell>
            <Cell>
              {alert.key ? (
                <Link
                  to="/streams/$contract/$key"
                  params={{ contract, key: alert.key }}
                  search={{ tenant: clientId }}
                  className="link mono whitespace-nowrap"
                >
                  {alert.key}
                </Link>
              ) : (
                `${count(alert.count)} keys at once`
              )}
            </Cell>
            <Cell>{alert.status && <Status value={alert.status} plain />}</Cell>
            <Cell>{alert.reason.replace(/_/g, " ")}</Cell>
            <Cell className="max-w-96">
              {[
                ...alert.missing_events.map((leg) => `${leg} missing`),
                ...Object.keys(alert.validation_errors),
              ].join(", ")}
            </Cell>
            <Cell right>
              <Link
                to="/events/$position"
                params={{ position: String(alert.position) }}
                className="link"
              >
                #{count(alert.position)}
              </Link>
            </Cell>
          </tr>
        ))}
      </Table>
      {hasNextPage && (
        <div className="border-t border-line p-2 text-center">
          <Button busy={isFetchingNextPage} onClick={() => void fetchNextPage()}>
            Older ones
          </Button>
        </div>
      )}
    </div>
  );
}
