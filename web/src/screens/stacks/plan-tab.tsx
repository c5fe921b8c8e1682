import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { ListChecks, Play, X } from "lucide-react";
import { useState } from "react";
import { useMay } from "@/api/me";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Confirm } from "@/ui/confirm";
import { Facts } from "@/ui/page";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Status } from "@/ui/status";
import { Cell, Table } from "@/ui/table";
import { toast, toastProblem } from "@/ui/toast";
import { Id, TimeAgo } from "@/ui/values";
import { Changes, Countdown, planTo, Risk } from "./parts";
import { PlanView } from "./plan-view";
import { command, type Plan, plansQuery, type StackName } from "./stack-queries";
import { sentence } from "./stack-words";

/** The plan at hand, and earlier ones. */
export function PlanTab({
  name,
  environment,
  planId,
  approvalId,
}: {
  name: StackName;
  environment: string;
  planId: string | null;
  approvalId: string | null;
}) {
  const { data, error, refetch } = useQuery(plansQuery(name));
  if (error) return <ErrorState error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={6} />;
  const plan = data.plans.find((each) => each.plan_id === planId);
  return (
    <div className="flex flex-col gap-5">
      {plan ? (
        <PlanCard plan={plan} name={name} environment={environment} approvalId={approvalId} />
      ) : (
        <Card>
          <EmptyState
            icon={ListChecks}
            title="No plan"
            why="There is nothing to do, or what drifts is left to people. Make one to see what would be done:"
            command={`helios plan ${name.client}/${name.stack}`}
            action={<MakePlan name={name} environment={environment} />}
          />
        </Card>
      )}
      {data.plans.some((each) => each.plan_id !== planId) && (
        <Card flush title="Earlier plans">
          <Table
            label="Plans"
            heads={["Plan", "Changes", "Asked for by", "Made", "What became of it"]}
          >
            {data.plans
              .filter((each) => each.plan_id !== planId)
              .map((each) => (
                <tr key={each.plan_id}>
                  <Cell>
                    <Link {...planTo(name, each.plan_id)} className="link">
                      {sentence(each)}
                    </Link>
                  </Cell>
                  <Cell>
                    <Changes plan={each} />
                  </Cell>
                  <Cell className="text-soft">{each.requested_by}</Cell>
                  <Cell className="text-soft">
                    <TimeAgo at={each.created_at} />
                  </Cell>
                  <Cell className="text-soft">
                    {each.void ? each.void.replace(/_/g, " ") : "open"}
                  </Cell>
                </tr>
              ))}
          </Table>
        </Card>
      )}
    </div>
  );
}

/** One plan with what can be done with it. */
export function PlanCard({
  plan,
  name,
  environment,
  approvalId,
}: {
  plan: Plan;
  name: StackName;
  environment: string | undefined;
  approvalId: string | null;
}) {
  return (
    <Card
      title={sentence(plan)}
      note={
        <span className="flex flex-wrap items-center gap-x-4 gap-y-1">
          <Changes plan={plan} all />
          <Risk plan={plan} />
          {!plan.void && <Countdown until={plan.expires_at} />}
        </span>
      }
      actions={!plan.void && <PlanActs plan={plan} name={name} environment={environment} />}
    >
      {approvalId && !plan.void && (
        <p className="mb-3">
          <Status value="awaiting_approval" />{" "}
          <Link
            to="/approvals/$id"
            params={{ id: approvalId }}
            search={{ tenant: name.client }}
            className="link"
          >
            Somebody has to agree to it
          </Link>
        </p>
      )}
      <PlanView plan={plan} stackId={name.stack} />
      <details className="mt-4 text-sm">
        <summary className="text-soft">What it is bound to</summary>
        <div className="mt-2">
          <Facts
            items={[
              ["Digest", <Id key="d" value={plan.digest} most={30} />],
              ["Plan", <Id key="p" value={plan.plan_id} most={40} />],
              ["Version", `${plan.desired_version}, generation ${plan.generation}`],
              ["Seen up to", `event #${plan.observed_cursor}`],
              [
                "Reach",
                Object.entries(plan.blast_radius)
                  .map(([what, n]) => `${n} ${what}`)
                  .join(", "),
              ],
              ["Asked for by", plan.requested_by],
              ["Made", <TimeAgo key="m" at={plan.created_at} />],
            ]}
          />
        </div>
      </details>
    </Card>
  );
}

function PlanActs({
  plan,
  name,
  environment,
}: {
  plan: Plan;
  name: StackName;
  environment: string | undefined;
}) {
  const [asks, setAsks] = useState<"apply" | "cancel">();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const denied = useMay("operate", name.client, environment);
  const missing = plan.blockers.find((each) => each.code === "approval_missing");
  const close = () => setAsks(undefined);
  return (
    <div className="flex flex-wrap gap-2">
      <Button size="sm" icon={X} disabledReason={denied} onClick={() => setAsks("cancel")}>
        Discard
      </Button>
      <Button
        size="sm"
        kind="primary"
        icon={Play}
        disabledReason={denied ?? (missing ? "Somebody has to agree first" : undefined)}
        onClick={() => setAsks("apply")}
      >
        Carry out
      </Button>
      <Confirm
        open={asks === "apply"}
        onClose={close}
        title="Carry out this plan"
        verb="Carry out"
        cli={`helios apply-plan ${plan.plan_id} --client-id ${name.client}`}
        plan={<PlanView plan={plan} stackId={name.stack} />}
        onConfirm={async () => {
          await command(queries, name, `/plans/${plan.plan_id}/apply`);
          toast("It is being carried out");
          void navigate({ to: "/healing", search: { q: `stack:${name.stack}` } } as never);
        }}
      >
        As it is shown, or not at all: should something have changed, nothing is done.
      </Confirm>
      <Confirm
        open={asks === "cancel"}
        onClose={close}
        title="Discard this plan"
        verb="Discard"
        reason
        cli={`helios cancel-plan ${name.client}/${name.stack}`}
        onConfirm={async (reason) => {
          await command(queries, name, "/plan/cancel", { reason });
          toast("The plan is discarded");
        }}
      >
        Its drifts are left to people until they change.
      </Confirm>
    </div>
  );
}

function MakePlan({ name, environment }: { name: StackName; environment: string }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const denied = useMay("operate", name.client, environment);
  const make = async () => {
    const made = await command<{ plan: Plan | null }>(queries, name, "/plan");
    if (made.plan)
      void navigate({
        to: "/stacks/$client/$stack/plans/$id",
        params: { ...name, id: made.plan.plan_id },
        search: {},
      } as never);
    else toast("There is nothing to do now", { tone: "unknown" });
  };
  return (
    <Button disabledReason={denied} onClick={() => void make().catch(toastProblem)}>
      Make a plan
    </Button>
  );
}
