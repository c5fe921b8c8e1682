import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { body, client } from "@/api/client";
import { GLANCE_MS } from "@/api/queries";
import { useSetTimeRange, useTenant, useTimeRange } from "@/app/console-search";
import { count } from "@/lib/format";
import { bounds, isLive } from "@/lib/time-range";
import { Histogram } from "@/ui/sparkline";
import { Instant } from "@/ui/values";

const BUCKETS = 90;

/** How many events there are over the range; a column is a link to its own time. */
export function Density({ filter }: { filter: string }) {
  const tenant = useTenant();
  const range = useTimeRange();
  const setRange = useSetTimeRange();
  const moves = range.kind === "preset";
  const { data } = useQuery({
    queryKey: ["histogram", "events", filter, tenant, range],
    placeholderData: keepPreviousData,
    refetchInterval: moves ? GLANCE_MS : false,
    queryFn: ({ signal }) => {
      const { from, to } = bounds(range, new Date());
      return body(
        client.GET("/api/v1/histogram", {
          params: {
            query: {
              for: "events",
              from: from.toISOString(),
              to: to.toISOString(),
              buckets: BUCKETS,
              ...(filter ? { filter } : {}),
              ...(tenant ? { client_id: tenant } : {}),
            },
          },
          signal,
        }),
      );
    },
  });
  const buckets = useMemo(() => data?.buckets ?? [], [data]);
  const pick = (index: number) => {
    const bucket = buckets[index];
    if (!bucket || !data) return;
    const from = new Date(bucket.start);
    setRange({ kind: "absolute", from, to: new Date(from.getTime() + data.width_s * 1000) });
  };
  return (
    <figure className="flex flex-col gap-1">
      <Histogram
        buckets={buckets}
        label={`Events over time, ${isLive(range) ? "last 15 minutes" : "in the range"}`}
        onPick={pick}
        height={36}
      />
      <figcaption className="flex justify-between text-xs text-faint">
        <span>{data ? <Instant at={data.start} /> : "\u00a0"}</span>
        <span>
          {data &&
            `${data.is_exact ? "" : "about "}${count(Math.round(data.total))} events${filter ? " match" : ""}`}
        </span>
        <span>{data ? <Instant at={data.end} /> : ""}</span>
      </figcaption>
    </figure>
  );
}
