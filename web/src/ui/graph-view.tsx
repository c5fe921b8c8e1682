import { Maximize2, Minus, Plus } from "lucide-react";
import { type PointerEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { cx } from "@/lib/cx";
import { IconButton } from "./button";
import type { GraphEdge, GraphNode, GraphProps } from "./graph";
import { layOut, type Placed } from "./graph-layout";
import { type Camera, extent, fitted, line, moved, zoomed } from "./graph-sight";
import { TONE_COLOUR, TONE_ICON, TONE_TEXT, toneOf } from "./status";

const NODE_WIDTH = 190;
const NODE_HEIGHT = 52;
const BOX = { width: NODE_WIDTH, height: NODE_HEIGHT };
const STEP = 1.25;

type Places = ReadonlyMap<string, Placed>;

/** Boxes and arrows that can be moved and zoomed; the boxes are buttons in the order of the list. */
export default function GraphView({
  nodes,
  edges,
  label,
  onSelect,
  selected,
  height = "26rem",
}: GraphProps) {
  const places = usePlaces(nodes, edges);
  const { frame, camera, look, fit, drag } = useCamera(places);
  return (
    <section
      aria-label={label}
      className="relative overflow-hidden rounded-md border border-line bg-sunken"
      style={{ height }}
    >
      <div ref={frame} className="absolute inset-0 cursor-grab active:cursor-grabbing" {...drag}>
        <div
          className="absolute left-0 top-0 origin-top-left"
          style={{ transform: `translate(${camera.x}px, ${camera.y}px) scale(${camera.scale})` }}
        >
          <Lines edges={edges} places={places} />
          {nodes.map((node) => (
            <Part
              key={node.id}
              node={node}
              at={places.get(node.id)}
              isSelected={node.id === selected}
              onSelect={onSelect}
            />
          ))}
        </div>
      </div>
      <div className="absolute bottom-2 left-2 flex flex-col rounded-md border border-line bg-raised">
        <IconButton icon={Plus} label="Zoom in" onClick={() => look(STEP)} />
        <IconButton icon={Minus} label="Zoom out" onClick={() => look(1 / STEP)} />
        <IconButton icon={Maximize2} label="Show all of it" onClick={fit} />
      </div>
    </section>
  );
}

/** Where each box is; only a change of what is there lays it out anew. */
function usePlaces(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): Places {
  const shape = JSON.stringify([
    nodes.map((node) => node.id),
    edges.map((edge) => [edge.from, edge.to]),
  ]);
  return useMemo(() => {
    const [ids, pairs] = JSON.parse(shape) as [string[], [string, string][]];
    return layOut(ids, pairs, BOX);
  }, [shape]);
}

function useCamera(places: Places) {
  const frame = useRef<HTMLDivElement>(null);
  const [camera, setCamera] = useState<Camera>({ x: 0, y: 0, scale: 1 });
  const whole = useMemo(() => extent([...places.values()], BOX), [places]);
  const fit = useCallback(() => {
    const at = frame.current;
    if (at) setCamera(fitted(whole, { width: at.clientWidth, height: at.clientHeight }));
  }, [whole]);
  useEffect(() => {
    const at = frame.current;
    if (!at) return;
    const seen = new ResizeObserver(fit);
    seen.observe(at);
    return () => seen.disconnect();
  }, [fit]);
  useEffect(() => {
    const at = frame.current;
    if (!at) return;
    // React listens passively, which could not keep the browser from zooming the page.
    const turned = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const box = at.getBoundingClientRect();
      const about = { x: event.clientX - box.left, y: event.clientY - box.top };
      setCamera((before) => zoomed(before, Math.exp(-event.deltaY / 300), about));
    };
    at.addEventListener("wheel", turned, { passive: false });
    return () => at.removeEventListener("wheel", turned);
  }, []);
  const look = (by: number) => {
    const at = frame.current;
    if (!at) return;
    const middle = { x: at.clientWidth / 2, y: at.clientHeight / 2 };
    setCamera((before) => zoomed(before, by, middle));
  };
  return { frame, camera, look, fit, drag: useDrag(setCamera) };
}

function useDrag(setCamera: (change: (before: Camera) => Camera) => void) {
  return {
    onPointerDown: (event: PointerEvent<HTMLDivElement>) => {
      if ((event.target as Element).closest("button")) return;
      event.currentTarget.setPointerCapture(event.pointerId);
    },
    onPointerMove: (event: PointerEvent<HTMLDivElement>) => {
      if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
      const { movementX, movementY } = event;
      setCamera((before) => moved(before, movementX, movementY));
    },
  };
}

function Part({
  node,
  at,
  isSelected,
  onSelect,
}: {
  node: GraphNode;
  at: Placed | undefined;
  isSelected: boolean;
  onSelect: GraphProps["onSelect"];
}) {
  if (!at) return null;
  const tone = node.tone ?? toneOf(node.status);
  const Mark = TONE_ICON[tone];
  return (
    <button
      type="button"
      aria-pressed={isSelected}
      onClick={() => onSelect?.(node.id)}
      className={cx(
        "absolute flex items-center gap-2 rounded-lg border bg-raised px-2.5 text-left shadow-card",
        isSelected ? "border-sun ring-3 ring-sun/30" : "border-line-strong",
      )}
      style={{ left: at.x, top: at.y, ...BOX }}
    >
      <Mark className={cx("size-4 shrink-0", TONE_TEXT[tone])} aria-hidden />
      <span className="min-w-0">
        <span className="block truncate text-sm font-medium">{node.label}</span>
        <span className="block truncate text-xs text-soft">{node.note ?? node.status}</span>
        {node.note && <span className="sr-only">: {node.status}</span>}
      </span>
    </button>
  );
}

/** The arrows; who cannot see them reads them in the list. */
function Lines({ edges, places }: { edges: readonly GraphEdge[]; places: Places }) {
  return (
    <svg className="absolute left-0 top-0 overflow-visible" width="1" height="1" aria-hidden>
      {edges.map((edge) => {
        const [from, to] = [places.get(edge.from), places.get(edge.to)];
        if (!from || !to) return null;
        const { path, tip, middle } = line(from, to, BOX);
        const colour = edge.tone ? TONE_COLOUR[edge.tone] : "var(--edge)";
        return (
          <g key={`${edge.from}→${edge.to}`}>
            <path d={path} fill="none" stroke={colour} strokeWidth="1.5" />
            <path d={tip} fill={colour} />
            {edge.label && (
              <text
                x={middle.x}
                y={middle.y}
                textAnchor="middle"
                fontSize="10"
                fill="var(--soft)"
                stroke="var(--sunken)"
                strokeWidth="4"
                paintOrder="stroke"
              >
                {edge.label}
              </text>
            )}
          </g>
        );
      })}
    </svg>
  );
}
