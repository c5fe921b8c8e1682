import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Card } from "@/ui/card";
import { Facts } from "@/ui/page";
import { Skeleton } from "@/ui/states";
import { Status, type Tone } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { Id, TimeAgo } from "@/ui/values";
import { DriftLines } from "./drift-lines";
import { Nothing } from "./parts";
import { historyQuery, type StackName, type StateRecord, statusQuery } from "./stack-queries";

/** Conditions of which *true* is no good news. */
const BAD = new Set(["DriftDetected", "Blocked", "Stalled", "Contested", "Stale", "Predicted"]);
const BUSY = new Set(["Healing", "AwaitingApproval"]);

function toneOfCondition(type: string, status: string): Tone {
  if (status === "Unknown") return "unknown";
  const isTrue = status === "True";
  if (BUSY.has(type)) return isTrue ? "wait" : "unknown";
  return isTrue === BAD.has(type) ? "warn" : "good";
}

export function SummaryTab({ name, record }: { name: StackName; record: StateRecord }) {
  const status = useQuery(statusQuery(name));
  const history = useQuery(historyQuery(name));
  const resources = Object.entries(record.resources);
  return (
    <div className="grid gap-5 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
      <div className="flex min-w-0 flex-col gap-5">
        <Card title="Open drifts">
          {status.data ? <DriftLines drifts={status.data.drift_details} /> : <Skeleton lines={3} />}
        </Card>
        <Card flush title="Last heals">
          {history.data ? (
            history.data.heals.length === 0 ? (
              <Nothing>Nothing was healed yet.</Nothing>
            ) : (
              <Table label="Last heals" heads={["What", "How it went", "When"]}>
                {history.data.heals.slice(0, 6).map((heal) => (
                  <tr key={heal.action_id}>
                    <Cell>
                      <Link
                        to="/healing/$id"
                        params={{ id: heal.action_id }}
                        search={{ tenant: heal.client_id }}
                        className="link"
                      >
                        {heal.summary}
                      </Link>
                    </Cell>
                    <Cell>
                      <Status value={heal.status} plain />
                    </Cell>
                    <Cell className="text-soft">
                      <TimeAgo at={heal.started_at} />
                    </Cell>
                  </tr>
                ))}
              </Table>
            )
          ) : (
            <Skeleton lines={3} className="p-4" />
          )}
        </Card>
        <Card flush title="Conditions">
          <Table label="Conditions" heads={["Condition", "Is", "Why", "Since"]}>
            {record.conditions.map((each) => (
              <tr key={each.type}>
                <Cell>{each.type}</Cell>
                <Cell>
                  <Status
                    value={each.status}
                    tone={toneOfCondition(each.type, each.status)}
                    label={each.status.toLowerCase()}
                    plain
                  />
                </Cell>
                <Cell>
                  {each.reason}
                  {each.message && <div className="text-sm text-soft">{each.message}</div>}
                </Cell>
                <Cell className="text-soft">
                  <TimeAgo at={each.last_transition} />
                </Cell>
              </tr>
            ))}
          </Table>
        </Card>
      </div>
      <div className="flex min-w-0 flex-col gap-5">
        <Card title="Declared">
          <Facts
            items={[
              [
                "Version",
                <span key="v" className="mono">
                  {record.state_version}
                </span>,
              ],
              ["Generation", record.generation],
              ["Environment", record.environment],
              ["Client", record.client_id],
              ["Desired", <Id key="d" value={record.desired_hash} />],
              [
                "Applied",
                record.applied_hash ? (
                  <span key="a" className="inline-flex flex-wrap items-center gap-2">
                    <Id value={record.applied_hash} />
                    <Status
                      value={record.applied_hash === record.desired_hash ? "in_sync" : "drifted"}
                      label={record.applied_hash === record.desired_hash ? "the same" : "another"}
                      plain
                    />
                  </span>
                ) : (
                  "not yet"
                ),
              ],
              record.last_applied !== null && [
                "Last as declared",
                <TimeAgo key="la" at={record.last_applied} />,
              ],
              [
                "Last verified",
                record.last_verified ? <TimeAgo key="lv" at={record.last_verified} /> : "not yet",
              ],
              ["First declared", <TimeAgo key="c" at={record.created_at} />],
              record.pinned !== null && ["Pinned to", `generation ${record.pinned}`],
              record.suspended !== null && [
                "Paused",
                <span key="p">
                  {record.suspended.mode === "all" ? "everything" : "healing"} by{" "}
                  {record.suspended.actor}: {record.suspended.reason}
                  {record.suspended.until && (
                    <>
                      , until <TimeAgo at={record.suspended.until} />
                    </>
                  )}
                </span>,
              ],
            ]}
          />
        </Card>
        <Card title="Where its parts are">
          {resources.length === 0 ? (
            <p className="text-soft">Nothing was looked up yet.</p>
          ) : (
            <Facts
              items={resources.map(
                ([part, place]) =>
                  [
                    part,
                    <span key={part} className="mono break-all">
                      {String(place)}
                    </span>,
                  ] as const,
              )}
            />
          )}
        </Card>
      </div>
    </div>
  );
}
