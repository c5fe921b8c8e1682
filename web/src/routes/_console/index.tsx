import { createFileRoute, redirect } from "@tanstack/react-router";

/** The first screen: the events, until there is an overview. */
export const Route = createFileRoute("/_console/")({
  beforeLoad: () => {
    throw redirect({ to: "/events", search: {} });
  },
});
