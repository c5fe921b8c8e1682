import { createFileRoute } from "@tanstack/react-router";
import { ApprovalPage } from "@/screens/approvals/approval-page";
import { approvalQuery } from "@/screens/approvals/approval-queries";

export const Route = createFileRoute("/_console/approvals/$id")({
  loaderDeps: ({ search }) => ({ tenant: search.tenant }),
  loader: ({ context, params, deps }) =>
    context.queryClient.ensureQueryData(approvalQuery(params.id, deps.tenant)),
  component: ApprovalPage,
});
