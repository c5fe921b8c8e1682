import { useQuery } from "@tanstack/react-query";
import { useLiveQueries } from "@/api/live";
import { viewsQuery } from "@/app/freshness";
import { Paces } from "./view-words";

const EVERY_MS = 2_000;
/** Kept while the page is open, so that a rate is there at once when one comes back. */
export const paces = new Paces();

/** All views, and how fast they move. */
export function useViews() {
  const found = useQuery({ ...viewsQuery, refetchInterval: EVERY_MS });
  useLiveQueries(["views"], [viewsQuery.queryKey]);
  if (found.data) paces.look(found.data.views, found.dataUpdatedAt);
  return found;
}
