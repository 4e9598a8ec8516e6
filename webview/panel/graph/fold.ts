/** Folding by name scope: which layers and blocks of a graph are visible, and the edges between them. */
import { cardSize, type LayerGraph, type LayerNode } from '../../../src/protocol/layer-graph';

/** Visible things up to which scopes are unfolded on the first look. */
const STARTING_ITEMS = 40;

/** What the graph shows as one card: a layer, or a folded block of several. */
export interface GraphItem {
  /** A node's id, or 'scope:' and the scope's key. */
  readonly id: string;
  readonly label: string;
  /** Key of the folded scope; undefined for a layer. */
  readonly scope?: string;
  readonly nodes: readonly LayerNode[];
  /** Scopes around it. */
  readonly depth: number;
  readonly width: number;
  readonly height: number;
}

export interface ItemEdge {
  readonly from: string;
  readonly to: string;
}

export interface VisibleGraph {
  /** In the order of the graph's nodes. */
  readonly items: readonly GraphItem[];
  readonly edges: readonly ItemEdge[];
  /** The item that shows a node, by node id. */
  readonly itemOf: ReadonlyMap<string, GraphItem>;
}

/** Key of the first `depth` names of a scope. */
const keyOf = (scope: readonly string[], depth: number): string => scope.slice(0, depth).join('/');
export const scopeLabel = (key: string): string => key.replaceAll('/', '.');
export const scopeItemId = (key: string): string => `scope:${key}`;

/** Layers of each scope that is worth folding: of two layers or more, and not the same as the scope around it. */
export function foldableScopes(graph: LayerGraph): Map<string, LayerNode[]> {
  const members = new Map<string, LayerNode[]>();
  for (const node of graph.nodes) {
    for (let depth = 1; depth <= node.scope.length; depth++) {
      const key = keyOf(node.scope, depth);
      const list = members.get(key);
      if (list) list.push(node);
      else members.set(key, [node]);
    }
  }
  for (const [key, nodes] of members) {
    const outer = key.includes('/') ? members.get(key.slice(0, key.lastIndexOf('/'))) : undefined;
    if (nodes.length < 2 || outer?.length === nodes.length || nodes.length === graph.nodes.length) members.delete(key);
  }
  return members;
}

/** Keys of the foldable scopes around a node, from outside to inside. */
export function scopesAround(node: LayerNode, foldable: ReadonlyMap<string, readonly LayerNode[]>): string[] {
  return node.scope.map((_, index) => keyOf(node.scope, index + 1)).filter((key) => foldable.has(key));
}

export function visibleGraph(graph: LayerGraph, expanded: ReadonlySet<string>, foldable = foldableScopes(graph)): VisibleGraph {
  const items = new Map<string, GraphItem>();
  const itemOf = new Map<string, GraphItem>();
  for (const node of graph.nodes) {
    const around = scopesAround(node, foldable);
    const folded = around.findIndex((key) => !expanded.has(key));
    const scope = folded < 0 ? undefined : around[folded];
    const id = scope === undefined ? node.id : scopeItemId(scope);
    let item = items.get(id);
    if (!item) {
      item =
        scope === undefined
          ? { id, label: node.name, nodes: [node], depth: around.length, ...cardSize(node) }
          : { id, label: scopeLabel(scope), scope, nodes: foldable.get(scope)!, depth: folded, ...cardSize({ quantizable: scope }) };
      items.set(id, item);
    }
    itemOf.set(node.id, item);
  }
  const edges = new Map<string, ItemEdge>();
  for (const edge of graph.edges) {
    const from = itemOf.get(edge.from);
    const to = itemOf.get(edge.to);
    if (from && to && from !== to) edges.set(`${from.id}\n${to.id}`, { from: from.id, to: to.id });
  }
  return { items: [...items.values()], edges: [...edges.values()], itemOf };
}

/** Scopes unfolded at first: level after level, as long as all of it stays easy to take in. */
export function startingScopes(graph: LayerGraph): string[] {
  const foldable = foldableScopes(graph);
  let expanded: string[] = [];
  for (;;) {
    const { items } = visibleGraph(graph, new Set(expanded), foldable);
    const wider = [...expanded, ...items.flatMap((item) => item.scope ?? [])];
    if (wider.length === expanded.length) return expanded;
    if (visibleGraph(graph, new Set(wider), foldable).items.length > STARTING_ITEMS) return expanded;
    expanded = wider;
  }
}
