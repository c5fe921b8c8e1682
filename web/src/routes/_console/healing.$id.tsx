import { createFileRoute } from "@tanstack/react-router";
import { HealPage } from "@/screens/healing/heal-page";
import { healQuery } from "@/screens/healing/heal-queries";

export const Route = createFileRoute("/_console/healing/$id")({
  loaderDeps: ({ search }) => ({ tenant: search.tenant }),
  loader: ({ context, params, deps }) =>
    context.queryClient.ensureQueryData(healQuery(params.id, deps.tenant)),
  component: HealPage,
});
