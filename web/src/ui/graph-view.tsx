import "@xyflow/react/dist/base.css";
import {
  Background,
  Controls,
  type Edge,
  Handle,
  MarkerType,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
} from "@xyflow/react";
import { useEffect, useMemo, useState } from "react";
import { cx } from "@/lib/cx";
import { shownTheme, usePreference } from "@/lib/preferences";
import type { GraphNode, GraphProps } from "./graph";
import { layOut, type Placed } from "./graph-layout";
import { TONE_COLOUR, TONE_ICON, TONE_TEXT, type Tone, toneOf } from "./status";

export const NODE_WIDTH = 190;
export const NODE_HEIGHT = 52;

/** What a box shows; a type and no interface, as the library wants an index signature. */
type Shown = Pick<GraphNode, "label" | "status"> & {
  note: string | undefined;
  tone: Tone;
  isSelected: boolean;
};
type Box = Node<Shown, "part">;

function Part({ data }: NodeProps<Box>) {
  const { tone } = data;
  const Mark = TONE_ICON[tone];
  return (
    <div
      className={cx(
        "flex items-center gap-2 rounded-lg border bg-raised px-2.5 shadow-card",
        data.isSelected ? "border-sun ring-3 ring-sun/30" : "border-line-strong",
      )}
      style={{ width: NODE_WIDTH, height: NODE_HEIGHT }}
    >
      <Handle type="target" position={Position.Left} className="opacity-0" />
      <Mark className={cx("size-4 shrink-0", TONE_TEXT[tone])} aria-hidden />
      <div className="min-w-0">
        <div className="truncate text-sm font-medium">{data.label}</div>
        <div className="truncate text-xs text-soft">{data.note ?? data.status}</div>
      </div>
      <Handle type="source" position={Position.Right} className="opacity-0" />
    </div>
  );
}

const TYPES = { part: Part };

export default function GraphView({
  nodes,
  edges,
  label,
  onSelect,
  selected,
  height = "26rem",
}: GraphProps) {
  usePreference("theme");
  const [places, setPlaces] = useState<ReadonlyMap<string, Placed>>();
  // Only a change of what is there lays it out anew; states and selection just repaint.
  const shape = JSON.stringify([
    nodes.map((node) => node.id),
    edges.map((edge) => [edge.from, edge.to]),
  ]);
  useEffect(() => {
    const [ids, pairs] = JSON.parse(shape) as [string[], [string, string][]];
    return layOut(ids, pairs, { width: NODE_WIDTH, height: NODE_HEIGHT }, setPlaces);
  }, [shape]);

  const boxes = useMemo(
    () =>
      nodes.map(
        (node): Box => ({
          id: node.id,
          type: "part",
          position: places?.get(node.id) ?? { x: 0, y: 0 },
          data: {
            label: node.label,
            note: node.note,
            status: node.status,
            tone: node.tone ?? toneOf(node.status),
            isSelected: node.id === selected,
          },
          ariaLabel: `${node.label}: ${node.status}`,
        }),
      ),
    [nodes, places, selected],
  );
  const lines = useMemo(
    () =>
      edges.map((edge): Edge => {
        const stroke = edge.tone ? TONE_COLOUR[edge.tone] : "var(--edge)";
        return {
          id: `${edge.from}→${edge.to}`,
          source: edge.from,
          target: edge.to,
          style: { stroke, strokeWidth: 1.5 },
          markerEnd: { type: MarkerType.ArrowClosed, color: stroke },
          ...(edge.label
            ? {
                label: edge.label,
                labelStyle: { fill: "var(--soft)", fontSize: 10 },
                labelBgStyle: { fill: "var(--sunken)" },
              }
            : {}),
        };
      }),
    [edges],
  );
  if (!places) return <div className="skeleton rounded-md" style={{ height }} />;
  return (
    <section
      aria-label={label}
      className="overflow-hidden rounded-md border border-line bg-sunken"
      style={{ height }}
    >
      <ReactFlow
        nodes={boxes}
        edges={lines}
        nodeTypes={TYPES}
        colorMode={shownTheme()}
        fitView
        fitViewOptions={{ maxZoom: 1, padding: 0.12 }}
        minZoom={0.2}
        nodesDraggable={false}
        nodesConnectable={false}
        onNodeClick={(_, node) => onSelect?.(node.id)}
        proOptions={{ hideAttribution: true }}
      >
        <Background color="var(--line-strong)" gap={20} />
        <Controls
          showInteractive={false}
          className="overflow-hidden rounded-md border border-line bg-raised"
        />
      </ReactFlow>
    </section>
  );
}
