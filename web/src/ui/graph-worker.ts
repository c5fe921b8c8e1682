import dagre from "@dagrejs/dagre";
import type { LayoutAsk, Placed } from "./graph-layout";

self.onmessage = (message: MessageEvent<LayoutAsk>) => {
  const { ids, pairs, size } = message.data;
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 18, ranksep: 70 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of ids) graph.setNode(id, { ...size });
  for (const [from, to] of pairs)
    if (graph.hasNode(from) && graph.hasNode(to)) graph.setEdge(from, to);
  dagre.layout(graph);
  const places = ids.map((id): [string, Placed] => {
    const node = graph.node(id);
    return [id, { x: node.x - size.width / 2, y: node.y - size.height / 2 }];
  });
  self.postMessage(places);
};
