import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Facts, Inspector, Section } from "@/ui/page";
import { Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { TimeAgo } from "@/ui/values";
import { DriftLines } from "./drift-lines";
import { Heals, Severities, stackTo } from "./parts";
import { StackActs } from "./stack-acts";
import { type StackRow, statusQuery } from "./stack-queries";

/** One stack beside the list. */
export function StackInspector({ row, onClose }: { row: StackRow; onClose: () => void }) {
  const name = { client: row.client_id, stack: row.stack_id };
  const { data } = useQuery(statusQuery(name));
  return (
    <Inspector
      label="Stack"
      title={row.stack_id}
      page={stackTo(name)}
      onClose={onClose}
      actions={<StackActs name={name} environment={row.environment} paused={row.paused} />}
    >
      <Section title="How it stands">
        <Facts
          items={[
            ["Agreement", <Status key="a" value={row.agreement} />],
            ["Health", <Status key="h" value={row.health} />],
            ["Drifts", <Severities key="d" drifts={row.drifts} />],
            ["Heals", <Heals key="heals" row={row} />],
            row.approval_id !== null && [
              "Awaits",
              <Link
                key="approval"
                to="/approvals/$id"
                params={{ id: row.approval_id }}
                search={{ tenant: row.client_id }}
                className="link"
              >
                an approval of its plan
              </Link>,
            ],
            [
              "Version",
              <span key="v" className="mono">
                {row.state_version}
              </span>,
            ],
            ["Environment", row.environment],
            ["Client", row.client_id],
            ["Components", row.components],
            [
              "Last verified",
              row.last_verified ? <TimeAgo key="t" at={row.last_verified} /> : "not yet",
            ],
            row.error !== "" && [
              "Error",
              <span key="e" className="text-bad">
                {row.error}
              </span>,
            ],
          ]}
        />
      </Section>
      <Section
        title="Open drifts"
        actions={
          <Link {...stackTo(name, { tab: "drift" })} className="link text-sm">
            All of it
          </Link>
        }
      >
        {data ? <DriftLines drifts={data.drift_details} /> : <Skeleton lines={3} />}
      </Section>
    </Inspector>
  );
}
