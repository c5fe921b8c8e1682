import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { Schemas } from "@/api/client";
import { useSetSearch } from "@/app/console-search";
import { Button } from "@/ui/button";
import { Card } from "@/ui/card";
import { Graph } from "@/ui/graph";
import { Facts } from "@/ui/page";
import { EmptyState, ErrorState, Skeleton } from "@/ui/states";
import { Status, type Tone, toneOf } from "@/ui/status";
import { graphQuery, type StackName } from "./stack-queries";

type Node = Schemas["Graph"]["nodes"][number];

function toneOfNode(node: Node): Tone {
  if (node.health === "missing") return "bad";
  return toneOf(node.agreement === "in_sync" ? node.health : node.agreement);
}

function wordOf(node: Node): string {
  if (node.agreement === "in_sync" && node.health === "healthy") return "in_sync";
  return node.agreement === "drifted" || node.health === "healthy" ? node.agreement : node.health;
}

/** How the parts of a stack hang together; what is not well is always drawn. */
export function GraphTab({
  name,
  selected,
  isUnwell,
}: {
  name: StackName;
  /** The part that is open. */
  selected: string | undefined;
  /** Only what is not well. */
  isUnwell: boolean;
}) {
  const { data, error, refetch } = useQuery(graphQuery(name));
  const set = useSetSearch();
  const shown = useMemo(() => {
    if (!data) return { nodes: [], edges: [] };
    const nodes = data.nodes.filter((node) => !isUnwell || wordOf(node) !== "in_sync");
    const ids = new Set(nodes.map((node) => node.id));
    return {
      nodes: nodes.map((node) => ({
        id: node.id,
        label: node.title,
        note: node.kind === "group" ? `${node.count} components` : `${node.kind} · ${node.detail}`,
        status: wordOf(node),
        tone: toneOfNode(node),
      })),
      edges: data.edges
        .filter((edge) => ids.has(edge.source) && ids.has(edge.target))
        .map((edge) => ({ from: edge.source, to: edge.target, label: edge.kind })),
    };
  }, [data, isUnwell]);
  if (error) return <ErrorState error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton lines={8} />;
  const unwell = data.nodes.filter((node) => wordOf(node) !== "in_sync").length;
  const open = data.nodes.find((node) => node.id === selected);
  const toggle = (
    <Button
      size="sm"
      aria-pressed={isUnwell}
      onClick={() => set({ show: isUnwell ? undefined : "unwell" }, { replace: true })}
    >
      {isUnwell ? "All" : "Only what is not well"}
    </Button>
  );
  return (
    <Card
      title="Components"
      note={`${data.total} declared, ${unwell} not well${data.folded > 0 ? `, ${data.folded} folded into groups` : ""}`}
      {...(shown.nodes.length === 0 ? { actions: toggle } : {})}
    >
      {shown.nodes.length === 0 ? (
        <EmptyState title="All is well" why="Every component is as declared and healthy." />
      ) : (
        <Graph
          label={`Components of ${name.stack}`}
          nodes={shown.nodes}
          edges={shown.edges}
          actions={toggle}
          onSelect={(id) => set({ sel: id })}
          {...(selected ? { selected } : {})}
        />
      )}
      {open && (
        <div className="mt-4 border-t border-line pt-4">
          <Facts
            items={[
              [
                "Component",
                <span key="c" className="mono">
                  {open.id}
                </span>,
              ],
              ["Agreement", <Status key="a" value={open.agreement} plain />],
              ["Health", <Status key="h" value={open.health} plain />],
              open.presence !== null && ["Seen", open.presence],
              ["Drifts", open.drifts],
              open.reason !== "" && ["Why", open.reason],
              open.kind === "group" && [
                "Stands for",
                (data.groups[open.id] ?? []).slice(0, 30).join(", "),
              ],
            ]}
          />
        </div>
      )}
    </Card>
  );
}
