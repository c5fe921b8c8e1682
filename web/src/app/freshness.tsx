import { queryOptions, useQuery } from "@tanstack/react-query";
import { Link, type LinkProps } from "@tanstack/react-router";
import { body, client } from "@/api/client";
import { useFeedState, useLiveQueries } from "@/api/live";
import { GLANCE_MS } from "@/api/queries";
import { cx } from "@/lib/cx";
import { count, duration } from "@/lib/format";
import { Tooltip } from "@/ui/tooltip";

/** A view that is further behind makes the mark amber. */
const LAG_S_MAX = 5;

export const viewsQuery = queryOptions({
  queryKey: ["views"],
  queryFn: () => body(client.GET("/api/v1/views", {})),
  refetchInterval: GLANCE_MS,
});

/** How fresh what is shown is: the place up to which all views have read, and their age. */
export function Freshness() {
  const { data } = useQuery(viewsQuery);
  const feed = useFeedState();
  useLiveQueries(["views"], [viewsQuery.queryKey]);
  const views = data?.views ?? [];
  if (views.length === 0) return null;
  const behind = views.reduce((worst, view) => (view.lag_s > worst.lag_s ? view : worst));
  const position = Math.min(...views.map((view) => view.position));
  const stalled = views.filter((view) => view.error !== null);
  const isLate = behind.lag_s > LAG_S_MAX || stalled.length > 0;
  const text = isLate
    ? `${stalled[0]?.view ?? behind.view} is ${duration(behind.lag_s)} behind`
    : `As of event ${count(position)}; all ${views.length} views are up to date${feed === "open" ? ", live" : ""}`;
  return (
    <Tooltip text={text}>
      <Link
        {...({ to: "/views" } as unknown as LinkProps)}
        className={cx(
          "flex min-h-6 items-center gap-2 rounded-md px-2 py-1 text-sm whitespace-nowrap",
          isLate ? "bg-warn-wash text-warn" : "text-soft hover:bg-sunken",
        )}
      >
        <span
          className={cx(
            "size-2 rounded-full",
            isLate ? "bg-warn" : "bg-good",
            feed === "open" && !isLate && "live-dot",
          )}
        />
        <span className="sr-only">{isLate ? "Behind: " : "Fresh: "}</span>
        <span className="max-xl:sr-only">as of #{count(position)}</span>
        <span className={isLate ? "" : "text-faint max-sm:sr-only"}>
          <span className="max-xl:sr-only">· </span>
          {duration(behind.lag_s)}
        </span>
      </Link>
    </Tooltip>
  );
}
