import { useQuery } from "@tanstack/react-query";
import { Telescope } from "lucide-react";
import { duration, percent } from "@/lib/format";
import { Card, Stat } from "@/ui/card";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Badge, Status } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { TimeAgo } from "@/ui/values";
import { forecastQuery, type StackName } from "./stack-queries";

const share = (value: number | null) => (value === null ? "–" : percent(value, 0));

/** What is foreseen of a stack, why, and how well that went so far. */
export function ForecastTab({ name }: { name: StackName }) {
  const { data, error, refetch } = useQuery(forecastQuery(name));
  if (error) return <ErrorState error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={6} />;
  return (
    <div className="flex flex-col gap-5">
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Stat label="Foreseen now" value={data.predictions.length} />
        <Stat label="Hit rate" value={share(data.precision)} note="of the forecasts came true" />
        <Stat
          label="Foreseen drifts"
          value={share(data.recall)}
          note={`${data.foreseen} of ${data.drifts} drifts were foreseen`}
        />
        <Stat
          label="Lead time"
          value={lead(data.by_horizon.map((each) => each.mean_lead_s))}
          note="before the drift, on average"
        />
      </div>
      <Card flush title="What is foreseen">
        {data.predictions.length === 0 ? (
          <EmptyState
            icon={Telescope}
            title="Nothing is foreseen"
            why="No sign of a drift to come: no certificate or token that ends, no counter near its limit, no trend. Nothing is ever done for being foreseen."
          />
        ) : (
          <Table
            label="Predictions"
            heads={["Component", "Probability", "Expected", "Within", "Why"]}
          >
            {data.predictions.map((each) => (
              <tr key={each.prediction_id}>
                <Cell className="mono break-all">
                  {each.component}
                  {each.expects === "unseen" && (
                    <Badge className="ml-1">can no longer be seen</Badge>
                  )}
                </Cell>
                <Cell>
                  <span className="flex items-center gap-2">
                    <span aria-hidden className="h-1.5 w-16 overflow-hidden rounded bg-sunken">
                      <span
                        className="block h-full bg-warn"
                        style={{ width: `${each.probability * 100}%` }}
                      />
                    </span>
                    {percent(each.probability, 0)}
                  </span>
                </Cell>
                <Cell className="text-soft">
                  <TimeAgo at={each.expected_at} />
                </Cell>
                <Cell className="text-soft">{each.horizon}</Cell>
                <Cell>
                  <ul>
                    {each.basis.map((basis) => (
                      <li key={basis.signal} className="text-sm">
                        {basis.reason}{" "}
                        <span className="text-faint">({percent(basis.probability, 0)})</span>
                      </li>
                    ))}
                  </ul>
                </Cell>
              </tr>
            ))}
          </Table>
        )}
      </Card>
      {data.ended.length > 0 && (
        <Card flush title="What became of earlier ones">
          <Table
            label="Ended predictions"
            heads={["Component", "Outcome", "Probability", "Lead", "Ended"]}
          >
            {data.ended.map((each) => (
              <tr key={each.prediction_id}>
                <Cell className="mono break-all">{each.component}</Cell>
                <Cell>
                  <Status value={each.outcome} plain />
                  <div className="text-sm text-soft">{each.reason}</div>
                </Cell>
                <Cell>{percent(each.probability, 0)}</Cell>
                <Cell className="text-soft">
                  {each.lead_s === null ? "" : duration(each.lead_s)}
                </Cell>
                <Cell className="text-soft">
                  <TimeAgo at={each.ended_at} />
                </Cell>
              </tr>
            ))}
          </Table>
        </Card>
      )}
    </div>
  );
}

function lead(values: readonly (number | null)[]): string {
  const found = values.filter((value) => value !== null);
  return found.length > 0 ? duration(found.reduce((a, b) => a + b, 0) / found.length) : "–";
}
