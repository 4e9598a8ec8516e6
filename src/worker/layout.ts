/** Places the nodes of a layer graph from top to bottom, for the panel. */
import { Graph, layout } from '@dagrejs/dagre';
import { cardSize, type LayerGraph } from '../protocol/layer-graph';

/** Beyond this many nodes a picture helps nobody and the layout takes seconds: the panel then shows the list alone. */
export const MOST_NODES = 1500;

/** The graph with its layout; without one where it is too large. */
export function withLayout(graph: LayerGraph): LayerGraph {
  if (graph.nodes.length > MOST_NODES) return graph;
  const g = new Graph({ multigraph: true });
  g.setGraph({ rankdir: 'TB', nodesep: 24, ranksep: 28, marginx: 16, marginy: 16 });
  g.setDefaultEdgeLabel(() => ({}));
  for (const node of graph.nodes) g.setNode(node.id, { ...cardSize(node) });
  for (const { from, to, value } of graph.edges) g.setEdge(from, to, {}, value);
  layout(g);
  const { width = 0, height = 0 } = g.graph() as { width?: number; height?: number };
  const nodes = Object.fromEntries(
    graph.nodes.map((node) => {
      const { x, y, width: w, height: h } = g.node(node.id) as { x: number; y: number; width: number; height: number };
      // dagre gives centres.
      return [node.id, { x: x - w / 2, y: y - h / 2, width: w, height: h }];
    }),
  );
  return { ...graph, layout: { width, height, nodes } };
}
