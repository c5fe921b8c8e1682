import { createFileRoute } from "@tanstack/react-router";
import { BuildPage } from "@/screens/builds/build-page";
import { buildQuery } from "@/screens/builds/builds-queries";

export const Route = createFileRoute("/_console/builds/$client/$id")({
  loader: ({ context, params }) =>
    context.queryClient.ensureQueryData(buildQuery(params.client, params.id)),
  component: BuildPage,
});
