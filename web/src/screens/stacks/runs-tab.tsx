import { useQuery } from "@tanstack/react-query";
import { RefreshCw } from "lucide-react";
import { duration } from "@/lib/format";
import { Card } from "@/ui/card";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { Id, TimeAgo } from "@/ui/values";
import { runsQuery, type StackName } from "./stack-queries";

/** Reconciliations that were asked for, or that changed something. */
export function RunsTab({ name }: { name: StackName }) {
  const { data, error, refetch } = useQuery(runsQuery(name));
  if (error) return <ErrorState error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={6} />;
  return (
    <Card
      flush
      title="Reconciliations"
      note="Those that were asked for or changed something; a look that found nothing new is not listed."
    >
      {data.reconciliations.length === 0 ? (
        <EmptyState
          icon={RefreshCw}
          title="None yet"
          why="The stack has not been looked at, or nothing has changed since."
          command={`helios drift check ${name.client}/${name.stack} --fresh`}
        />
      ) : (
        <Table
          label="Reconciliations"
          heads={[
            "When",
            "Result",
            "Why",
            { text: "Drifts", right: true },
            { text: "Healed", right: true },
            { text: "Took", right: true },
            "Id",
          ]}
        >
          {data.reconciliations.map((run) => (
            <tr key={run.reconciliation_id}>
              <Cell className="text-soft">
                <TimeAgo at={run.completed_at} />
              </Cell>
              <Cell>
                <Status value={run.status} plain />
                {run.errors.map((error) => (
                  <div key={error} className="max-w-96 text-sm break-words text-bad">
                    {error}
                  </div>
                ))}
                {run.unknown.length > 0 && (
                  <div className="max-w-96 text-sm break-words text-soft">
                    could not be looked at: {run.unknown.join(", ")}
                  </div>
                )}
              </Cell>
              <Cell className="text-soft">{run.trigger}</Cell>
              <Cell right>{run.drift_count}</Cell>
              <Cell right>
                {run.auto_heal_attempted ? (
                  run.auto_heal_success_count
                ) : (
                  <span className="text-faint">–</span>
                )}
              </Cell>
              <Cell right className="whitespace-nowrap text-soft">
                {duration((Date.parse(run.completed_at) - Date.parse(run.started_at)) / 1000)}
              </Cell>
              <Cell>
                <Id value={run.reconciliation_id} />
              </Cell>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}
