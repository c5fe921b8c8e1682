import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { body, client } from "@/api/client";
import { GLANCE_MS } from "@/api/queries";
import { useSetTimeRange, useTenant, useTimeRange } from "@/app/console-search";
import { clockTime, count, dateTime } from "@/lib/format";
import { usePreference } from "@/lib/preferences";
import { bounds, isLive } from "@/lib/time-range";
import { Histogram } from "@/ui/sparkline";

const BUCKETS = 90;

/** How many events there are over the range; a column is a link to its own time. */
export function Density({ filter }: { filter: string }) {
  const tenant = useTenant();
  const range = useTimeRange();
  const setRange = useSetTimeRange();
  const zone = usePreference("zone");
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
  const total = Math.round(data?.total ?? 0);
  const span = isLive(range) ? "last 15 min" : "in the range";
  const isLong = data !== undefined && data.width_s * BUCKETS > 43_200;
  const edge = (at: string) =>
    isLong ? dateTime(new Date(at), zone).slice(5, 16) : clockTime(new Date(at), zone).slice(0, 8);
  return (
    <figure className="flex flex-col gap-1">
      <Histogram
        buckets={buckets}
        label={`Events over time, ${isLive(range) ? "last 15 minutes" : "in the range"}`}
        onPick={pick}
        height={36}
      />
      <figcaption className="flex justify-between text-xs text-faint">
        <span>{data ? edge(data.start) : "\u00a0"}</span>
        <span>
          {data &&
            `${data.is_exact ? "" : "about "}${count(total)} ${total === 1 ? "event" : "events"}${filter ? ` ${total === 1 ? "matches" : "match"}` : ""}, ${span}`}
        </span>
        <span>{data && edge(data.end)}</span>
      </figcaption>
    </figure>
  );
}
