import { createFileRoute } from "@tanstack/react-router";
import { DriftPage } from "@/screens/stacks/drift-page";
import { driftQuery } from "@/screens/stacks/stack-queries";

export const Route = createFileRoute("/_console/stacks/$client/$stack/drift/$id")({
  loader: ({ context, params }) =>
    context.queryClient.ensureQueryData(driftQuery(params, params.id)),
  component: DriftPage,
});
