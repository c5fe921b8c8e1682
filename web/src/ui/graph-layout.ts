/**
 * Places the boxes of a graph in layers from left to right, by the method of Sugiyama, Tagawa and
 * Toda (1981): a layer for each step from the beginning, an order within the layers with few
 * crossings, and places near those that a box hangs together with.
 */

export interface Placed {
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

type Pairs = readonly (readonly [string, string])[];

const BESIDE = 70;
const BELOW = 18;
const SWEEPS = 6;

/** The left upper corner of each box; edges from or to unknown boxes do not count. */
export function layOut(ids: readonly string[], pairs: Pairs, box: Size): Map<string, Placed> {
  const known = new Set(ids);
  const edges = pairs.filter(([from, to]) => known.has(from) && known.has(to) && from !== to);
  const layers = layersOf(ids, forward(ids, edges));
  const before = neighbours(edges, 1);
  const after = neighbours(edges, 0);
  const rows = new Map<string, number>();
  for (const layer of layers) number(layer, rows);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : layers.toReversed())
      settle(layer, rows, down ? before : after);
  }
  const tallest = Math.max(0, ...layers.map((layer) => layer.length));
  const step = box.height + BELOW;
  return new Map(
    layers.flatMap((layer, depth) =>
      layer.map((id, row): [string, Placed] => [
        id,
        { x: depth * (box.width + BESIDE), y: (row + (tallest - layer.length) / 2) * step },
      ]),
    ),
  );
}

/** The edges without those that lead back into what they came from. */
function forward(ids: readonly string[], edges: Pairs): Pairs {
  const next = neighbours(edges, 0);
  const state = new Map<string, "open" | "done">();
  const kept: [string, string][] = [];
  const visit = (id: string): void => {
    state.set(id, "open");
    for (const to of next.get(id) ?? []) {
      if (state.get(to) === "open") continue;
      kept.push([id, to]);
      if (!state.has(to)) visit(to);
    }
    state.set(id, "done");
  };
  for (const id of ids) if (!state.has(id)) visit(id);
  return kept;
}

/** Each box one layer beyond the furthest that leads to it. */
function layersOf(ids: readonly string[], edges: Pairs): string[][] {
  const before = neighbours(edges, 1);
  const depths = new Map<string, number>();
  const depth = (id: string): number => {
    const known = depths.get(id);
    if (known !== undefined) return known;
    const found = Math.max(-1, ...(before.get(id) ?? []).map(depth)) + 1;
    depths.set(id, found);
    return found;
  };
  const layers: string[][] = [];
  for (const id of ids) {
    const at = depth(id);
    layers[at] = [...(layers[at] ?? []), id];
  }
  return layers;
}

/** By the middle of what each hangs together with; what hangs on nothing goes below. */
function settle(
  layer: string[],
  rows: Map<string, number>,
  near: ReadonlyMap<string, string[]>,
): void {
  const wanted = new Map(
    layer.map((id) => {
      const others = (near.get(id) ?? []).map((other) => rows.get(other) ?? 0);
      const middle = others.reduce((sum, row) => sum + row, 0) / others.length;
      return [id, others.length > 0 ? middle : (rows.get(id) ?? 0)] as const;
    }),
  );
  layer.sort((a, b) => (wanted.get(a) ?? 0) - (wanted.get(b) ?? 0));
  number(layer, rows);
}

function number(layer: readonly string[], rows: Map<string, number>): void {
  for (const [row, id] of layer.entries()) rows.set(id, row);
}

/** By each box those at the other end: of its edges out (0), or in (1). */
function neighbours(edges: Pairs, end: 0 | 1): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const edge of edges) {
    const [here, there] = end === 0 ? edge : [edge[1], edge[0]];
    found.set(here, [...(found.get(here) ?? []), there]);
  }
  return found;
}
