import { createFileRoute } from "@tanstack/react-router";
import { PlanPage } from "@/screens/stacks/plan-page";
import { planQuery } from "@/screens/stacks/stack-queries";

export const Route = createFileRoute("/_console/stacks/$client/$stack/plans/$id")({
  loader: ({ context, params }) =>
    context.queryClient.ensureQueryData(planQuery(params, params.id)),
  component: PlanPage,
});
