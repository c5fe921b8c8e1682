import { createFileRoute } from "@tanstack/react-router";
import { entryQuery } from "@/screens/audit/audit-queries";
import { EntryPage } from "@/screens/audit/entry-page";

export const Route = createFileRoute("/_console/audit/$id")({
  loaderDeps: ({ search }) => ({ tenant: search.tenant }),
  loader: ({ context, params, deps }) =>
    context.queryClient.ensureQueryData(entryQuery(params.id, deps.tenant)),
  component: EntryPage,
});
