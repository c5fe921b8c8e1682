import { useQueryClient } from "@tanstack/react-query";
import { CloudOff } from "lucide-react";
import { useEffect, useState } from "react";
import { useFeedState } from "@/api/live";
import { onSession } from "@/api/session";
import { TimeAgo } from "@/ui/values";

const ASK_MS = 2_000;

/** Says that the server is away, and how old what is shown is; asks again until it is back. */
export function ConnectionBar() {
  const [lostAt, setLostAt] = useState<Date>();
  const feed = useFeedState();
  const queries = useQueryClient();
  useEffect(
    () =>
      onSession((event) => {
        if (event === "unreachable") setLostAt((before) => before ?? new Date());
        if (event === "reached") setLostAt(undefined);
      }),
    [],
  );
  useEffect(() => {
    if (feed === "lost") setLostAt((before) => before ?? new Date());
  }, [feed]);
  useEffect(() => {
    if (!lostAt) return;
    const timer = setInterval(async () => {
      try {
        const response = await fetch("/health", { cache: "no-store" });
        if (!response.ok) return;
        setLostAt(undefined);
        await queries.invalidateQueries();
      } catch {
        // Still away.
      }
    }, ASK_MS);
    return () => clearInterval(timer);
  }, [lostAt, queries]);
  return (
    <div role="status">
      {lostAt && (
        <p className="flex items-center justify-center gap-2 border-b border-warn/30 bg-warn-wash px-4 py-1.5 text-warn">
          <CloudOff className="size-4 shrink-0" aria-hidden />
          <span>
            The server does not answer. What you see is as it was <TimeAgo at={lostAt} />; it is
            asked again every {ASK_MS / 1000} s.
          </span>
        </p>
      )}
    </div>
  );
}
