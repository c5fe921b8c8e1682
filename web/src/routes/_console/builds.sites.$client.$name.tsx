import { createFileRoute } from "@tanstack/react-router";
import { siteQuery } from "@/screens/builds/builds-queries";
import { SitePage } from "@/screens/builds/site-page";

export const Route = createFileRoute("/_console/builds/sites/$client/$name")({
  loader: ({ context, params }) =>
    context.queryClient.ensureQueryData(siteQuery(params.client, params.name)),
  component: SitePage,
});
