import { useQuery, useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useLiveQueries } from "@/api/live";
import { Card } from "@/ui/card";
import { Page, PageHead, useTitle } from "@/ui/page";
import { Thread } from "@/ui/thread";
import { stackTo } from "./parts";
import { PlanCard } from "./plan-tab";
import { CHANGED, planQuery, stackQuery } from "./stack-queries";
import { sentence } from "./stack-words";

const route = getRouteApi("/_console/stacks/$client/$stack/plans/$id");

/** One plan, and what came of it. */
export function PlanPage() {
  const { client, stack, id } = route.useParams();
  const name = { client, stack };
  const { data: plan } = useSuspenseQuery(planQuery(name, id));
  const { data: record } = useQuery(stackQuery(name));
  useLiveQueries(["stacks", "approvals"], CHANGED);
  useTitle(sentence(plan));
  const approvalId = record?.plan_id === id ? (record?.approval_id ?? null) : null;
  return (
    <Page>
      <PageHead
        title="Plan"
        note={`Of ${stack}, client ${client}`}
        back={{ to: stackTo(name, { tab: "plan" }), text: `Plans of ${stack}` }}
      />
      <PlanCard plan={plan} name={name} environment={record?.environment} approvalId={approvalId} />
      <Card title="The thread">
        <Thread of="plan" id={id} clientId={client} />
      </Card>
    </Page>
  );
}
