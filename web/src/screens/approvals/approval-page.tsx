import { useSuspenseQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useLiveQueries } from "@/api/live";
import { useTenant } from "@/app/console-search";
import { Countdown } from "@/screens/stacks/parts";
import { CHANGED } from "@/screens/stacks/stack-queries";
import { sentence } from "@/screens/stacks/stack-words";
import { Card } from "@/ui/card";
import { Page, PageHead, useTitle } from "@/ui/page";
import { Status } from "@/ui/status";
import { Answer } from "./answer";
import { ApprovalDetail } from "./approval-detail";
import { approvalQuery } from "./approval-queries";

const route = getRouteApi("/_console/approvals/$id");

/** One plan that somebody has to agree to. */
export function ApprovalPage() {
  const { id } = route.useParams();
  const tenant = useTenant();
  const { data: approval } = useSuspenseQuery(approvalQuery(id, tenant));
  useLiveQueries(["approvals", "stacks"], CHANGED);
  useTitle(sentence(approval.shown));
  return (
    <Page>
      <PageHead
        title={sentence(approval.shown)}
        note={
          <span className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-1">
            <Status value={approval.status} />
            <span>
              {approval.stack_id}, client {approval.client_id}
            </span>
            {approval.status === "pending" && <Countdown until={approval.expires_at} />}
          </span>
        }
        back={{ to: { to: "/approvals", search: {} }, text: "Approvals" }}
        actions={<Answer approval={approval} />}
      />
      <Card>
        <ApprovalDetail approval={approval} />
      </Card>
    </Page>
  );
}
