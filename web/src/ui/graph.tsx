import { lazy, type ReactNode, Suspense, useState } from "react";
import { Button } from "./button";
import { EmptyState } from "./states";
import { Status, type Tone } from "./status";
import { Cell, Table } from "./table";

export interface GraphNode {
  id: string;
  label: string;
  /** A second line: kind, provider. */
  note?: string;
  status: string;
  tone?: Tone;
}
export interface GraphEdge {
  from: string;
  to: string;
  label?: string;
  tone?: Tone;
}
export interface GraphProps {
  nodes: readonly GraphNode[];
  edges: readonly GraphEdge[];
  label: string;
  onSelect?: (id: string) => void;
  /** Beside the button that changes between picture and list. */
  actions?: ReactNode;
  selected?: string;
  height?: string;
}

/** Above it a picture helps nobody: the list is shown. */
const NODES_MAX = 150;

const View = lazy(() => import("./graph-view"));

/** Things and how they hang together: a picture of at most 150, and the same as a list. */
export function Graph(props: GraphProps) {
  const isTooMany = props.nodes.length > NODES_MAX;
  // On a narrow screen a picture would be too small to be read.
  const [isList, setList] = useState(() => isTooMany || matchMedia("(width < 40rem)").matches);
  if (props.nodes.length === 0)
    return <EmptyState title="Nothing to draw" why="There are no parts yet." />;
  return (
    <div className="flex flex-col gap-2">
      <div className="flex flex-wrap items-center justify-end gap-2">
        {props.actions}
        {isTooMany && (
          <span className="text-sm text-soft">
            {props.nodes.length} parts, too many for a picture
          </span>
        )}
        {!isTooMany && (
          <Button size="sm" aria-pressed={isList} onClick={() => setList(!isList)}>
            {isList ? "As a graph" : "As a list"}
          </Button>
        )}
      </div>
      {isList || isTooMany ? (
        <List {...props} />
      ) : (
        <Suspense
          fallback={
            <div className="skeleton rounded-md" style={{ height: props.height ?? "26rem" }} />
          }
        >
          <View {...props} />
        </Suspense>
      )}
    </div>
  );
}

function List({ nodes, edges, label, onSelect }: GraphProps) {
  const names = new Map(nodes.map((node) => [node.id, node.label]));
  return (
    <Table label={label} heads={["Part", "State", "Leads to"]}>
      {nodes.map((node) => (
        <tr key={node.id}>
          <Cell>
            {onSelect ? (
              <button type="button" className="link text-left" onClick={() => onSelect(node.id)}>
                {node.label}
              </button>
            ) : (
              node.label
            )}
            {node.note && <div className="text-sm wrap-anywhere text-soft">{node.note}</div>}
          </Cell>
          <Cell>
            <Status value={node.status} {...(node.tone ? { tone: node.tone } : {})} plain />
          </Cell>
          <Cell>
            {edges
              .filter((edge) => edge.from === node.id)
              .map((edge) => names.get(edge.to) ?? edge.to)
              .join(", ")}
          </Cell>
        </tr>
      ))}
    </Table>
  );
}
