import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowLeftRight } from "lucide-react";
import { call } from "@/api/client";
import { cx } from "@/lib/cx";
import { count, duration } from "@/lib/format";
import { ErrorState, Skeleton } from "./states";
import { Badge } from "./status";

interface Node {
  kind: "cause" | "self" | "effect";
  position: number;
  parent: number | null;
  depth: number;
  event_id: string;
  type: string;
  source: string;
  time: string;
  handler: string;
  delta_ms: number | null;
  crosses: boolean;
  title: string;
  link: string;
}

interface Tree {
  position: number;
  nodes: Node[];
  scanned: number;
  is_whole: boolean;
}

/** What an event goes back to, and what came of it: a nested list with a line along it. */
export function CausationTree({
  event,
  clientId,
}: {
  /** Its position, or its id. */
  event: string;
  clientId: string;
}) {
  const { data, error, refetch } = useQuery({
    queryKey: ["causation", clientId, event],
    queryFn: () =>
      call<Tree>("GET", `/api/v1/causation/${encodeURIComponent(event)}`, {
        query: { client_id: clientId },
      }),
  });
  if (error) return <ErrorState error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={3} />;
  if (data.nodes.length <= 1)
    return (
      <p className="text-soft">
        Nothing that is known caused it, and nothing came of it: it came from outside, or its sender
        names no cause.
      </p>
    );
  const ids = new Set(data.nodes.map((node) => node.position));
  const roots = data.nodes.filter((node) => node.parent === null || !ids.has(node.parent));
  return (
    <>
      <ul>
        {roots.map((node) => (
          <Branch key={node.position} node={node} nodes={data.nodes} />
        ))}
      </ul>
      {!data.is_whole && (
        <p className="mt-2 text-sm text-soft">
          There is more: {data.scanned} events were looked at.
        </p>
      )}
    </>
  );
}

function Branch({ node, nodes }: { node: Node; nodes: readonly Node[] }) {
  const below = nodes.filter((each) => each.parent === node.position);
  return (
    <li className="relative pl-5 before:absolute before:top-3 before:bottom-0 before:left-[5px] before:w-px before:bg-line-strong last:before:hidden">
      <span
        className={cx(
          "absolute top-[7px] left-0 size-[11px] rounded-full border-2",
          node.kind === "self" ? "border-sun bg-sun" : "border-edge bg-card",
        )}
      />
      <div className="flex flex-wrap items-baseline gap-x-2 pb-1.5">
        <Link
          to="/events/$position"
          params={{ position: String(node.position) }}
          className={cx("font-medium hover:underline", node.kind === "self" && "text-sun-ink")}
          aria-current={node.kind === "self" ? "true" : undefined}
        >
          {node.type}
        </Link>
        <span className="text-sm text-soft">#{count(node.position)}</span>
        {node.delta_ms !== null && (
          <span className="text-sm text-faint">+{duration(node.delta_ms / 1000)}</span>
        )}
        {node.handler && <span className="text-sm text-soft">by {node.handler}</span>}
        {node.crosses && (
          <Badge>
            <ArrowLeftRight className="mr-1 size-3" aria-hidden />
            {node.source}
          </Badge>
        )}
        {node.title && node.title !== node.type && (
          <span className="w-full text-sm text-soft">{node.title}</span>
        )}
      </div>
      {below.length > 0 && (
        <ul>
          {below.map((each) => (
            <Branch key={each.position} node={each} nodes={nodes} />
          ))}
        </ul>
      )}
    </li>
  );
}
