import { createFileRoute, Outlet, redirect, retainSearchParams } from "@tanstack/react-router";
import { meQuery } from "@/api/me";
import { ApiError } from "@/api/problem";
import { consoleSearch } from "@/app/console-search";
import { Shell } from "@/app/shell";

/** Everything that needs a session: whose data and which time are in the URL of each screen. */
export const Route = createFileRoute("/_console")({
  validateSearch: consoleSearch,
  search: { middlewares: [retainSearchParams(["tenant", "t", "from", "to"])] },
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queryClient.ensureQueryData(meQuery);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401)
        throw redirect({ to: "/sign-in", search: { back: location.href } });
      throw error;
    }
  },
  component: () => (
    <Shell>
      <Outlet />
    </Shell>
  ),
});
