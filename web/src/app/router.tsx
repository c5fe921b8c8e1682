import { createRouter } from "@tanstack/react-router";
import { queryClient } from "@/api/queries";
import { parseSearch, stringifySearch } from "@/lib/url";
import { Skeleton } from "@/ui/states";
import { routeTree } from "../routeTree.gen";
import { NotFound } from "./not-found";
import { RouteProblem } from "./route-problem";

export const router = createRouter({
  routeTree,
  context: { queryClient },
  parseSearch,
  stringifySearch,
  defaultPreload: "intent",
  // What is fresh is for the query client to say.
  defaultPreloadStaleTime: 0,
  scrollRestoration: true,
  defaultPendingMs: 150,
  defaultPendingComponent: () => <Skeleton lines={6} className="p-6" />,
  defaultErrorComponent: RouteProblem,
  defaultNotFoundComponent: NotFound,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
