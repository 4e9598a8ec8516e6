/** What lies behind the cards, as SVG paths: the edges, and from afar rectangles in place of the cards. */
import { edgePath } from './edge-path';
import type { GraphItem, VisibleGraph } from './fold';
import type { Box, PlacedGraph } from './place';

/** The path of an edge, and from where to where it reaches down the graph. */
export interface Route {
  readonly from: string;
  readonly to: string;
  readonly path: string;
  readonly top: number;
  readonly bottom: number;
}

/** Routes of all edges: made once a layout. */
export function routesOf(visible: VisibleGraph, placed: PlacedGraph): Route[] {
  const sorted = [...placed.boxes.values()].sort((a, b) => a.y - b.y);
  return visible.edges.map((edge) => {
    const from = placed.boxes.get(edge.from)!;
    const to = placed.boxes.get(edge.to)!;
    // First box that begins below the source: those before it cannot stand between.
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle].y < from.y + from.height - 1) low = middle + 1;
      else high = middle;
    }
    const between: Box[] = [];
    for (let i = low; i < sorted.length && sorted[i].y < to.y; i++) between.push(sorted[i]);
    return {
      from: edge.from,
      to: edge.to,
      path: edgePath(from, to, between),
      top: Math.min(from.y, to.y),
      bottom: Math.max(from.y + from.height, to.y),
    };
  });
}

/** Those edges that reach into a part of the graph, in one path; and in another those that touch the selected card. */
export function edgePaths(
  routes: readonly Route[],
  top: number,
  bottom: number,
  selected: string | undefined,
): { readonly plain: string; readonly touching: string } {
  let plain = '';
  let touching = '';
  for (const route of routes) {
    if (route.top > bottom || route.bottom < top) continue;
    if (route.from === selected || route.to === selected) touching += route.path;
    else plain += route.path;
  }
  return { plain, touching };
}

/** All cards as rectangles in one path, and what is cut of them in another. @param ratioOf share of an item's channels that is removed */
export function rectanglePaths(
  visible: VisibleGraph,
  placed: PlacedGraph,
  ratioOf: (item: GraphItem) => number,
): { readonly cards: string; readonly cut: string } {
  let cards = '';
  let cut = '';
  for (const item of visible.items) {
    const box = placed.boxes.get(item.id)!;
    cards += `M${box.x} ${box.y}h${box.width}v${box.height}h${-box.width}z`;
    const ratio = ratioOf(item);
    if (ratio > 0) cut += `M${box.x} ${box.y}h${box.width * ratio}v${box.height}h${-box.width * ratio}z`;
  }
  return { cards, cut };
}
