/** Places of visible cards: the worker's, drawn together where folding leaves room. */
import type { LayerGraph } from '../../../src/protocol/layer-graph';
import type { GraphItem, ItemEdge, VisibleGraph } from './fold';

export interface Box {
  x: number;
  y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedGraph {
  readonly boxes: ReadonlyMap<string, Box>;
  readonly width: number;
  readonly height: number;
}

/** Room that stays between cards where folding has emptied it, in pixels. */
const ROW_GAP = 30;
const COLUMN_GAP = 48;

/** Places of all visible items, or undefined where the worker has laid nothing out. */
export function placeItems(graph: LayerGraph, visible: VisibleGraph): PlacedGraph | undefined {
  const { layout } = graph;
  if (!layout || graph.nodes.some((node) => !layout.nodes[node.id])) return undefined;
  const boxes = new Map<string, Box>();
  let folded = false;
  for (const item of visible.items) {
    const places = item.nodes.map((node) => layout.nodes[node.id]);
    if (item.scope === undefined) {
      boxes.set(item.id, { ...places[0] });
      continue;
    }
    folded = true;
    const left = Math.min(...places.map((p) => p.x));
    const right = Math.max(...places.map((p) => p.x + p.width));
    const top = Math.min(...places.map((p) => p.y));
    const bottom = Math.max(...places.map((p) => p.y + p.height));
    const { width, height } = item;
    boxes.set(item.id, { x: (left + right - width) / 2, y: (top + bottom - height) / 2, width, height });
  }
  if (folded) {
    closeGaps(boxes, 'y', 'height', ROW_GAP);
    const rows = rowsOf(boxes);
    straighten(boxes, rows, visible.items, visible.edges);
    separate(boxes, rows);
    closeGaps(boxes, 'x', 'width', COLUMN_GAP);
  }
  return { boxes, ...extent(boxes) };
}

/** Takes emptiness wider than `gap` out of one axis; the order along it stays. */
function closeGaps(boxes: ReadonlyMap<string, Box>, at: 'x' | 'y', size: 'width' | 'height', gap: number): void {
  const sorted = [...boxes.values()].sort((a, b) => a[at] - b[at]);
  let end = sorted[0]?.[at] ?? 0;
  let shift = -end;
  for (const box of sorted) {
    if (box[at] > end + gap) shift -= box[at] - end - gap;
    end = Math.max(end, box[at] + box[size]);
    box[at] += shift;
  }
}

/** Boxes that share some height, from top to bottom. */
function rowsOf(boxes: ReadonlyMap<string, Box>): Box[][] {
  const rows: Box[][] = [];
  let bottom = Number.NEGATIVE_INFINITY;
  for (const box of [...boxes.values()].sort((a, b) => a.y - b.y)) {
    if (box.y >= bottom) rows.push([]);
    rows[rows.length - 1].push(box);
    bottom = Math.max(bottom, box.y + box.height);
  }
  return rows;
}

/** A card alone in its row stands under the only one it reads from, so that a chain of folded blocks is a straight line. */
function straighten(
  boxes: ReadonlyMap<string, Box>,
  rows: readonly Box[][],
  items: readonly GraphItem[],
  edges: readonly ItemEdge[],
): void {
  const alone = new Set(rows.filter((row) => row.length === 1).map((row) => row[0]));
  const sources = new Map<string, string[]>();
  for (const edge of edges) sources.set(edge.to, [...(sources.get(edge.to) ?? []), edge.from]);
  for (const item of items) {
    const box = boxes.get(item.id)!;
    const above = sources.get(item.id) ?? [];
    const source = above.length > 0 ? boxes.get(above[above.length - 1]) : undefined;
    if (source && alone.has(box) && alone.has(source)) box.x = source.x + (source.width - box.width) / 2;
  }
}

/** Pushes cards of one row apart that overlap. */
function separate(boxes: ReadonlyMap<string, Box>, rows: readonly Box[][]): void {
  if (boxes.size === 0) return;
  for (const row of rows) {
    row.sort((a, b) => a.x - b.x);
    for (let i = 1; i < row.length; i++) {
      // Cards of a row may stand above one another without overlapping.
      for (let j = 0; j < i; j++) {
        const [a, b] = [row[j], row[i]];
        const above = a.y + a.height <= b.y || b.y + b.height <= a.y;
        if (!above && b.x < a.x + a.width + 16) b.x = a.x + a.width + 16;
      }
    }
  }
}

function extent(boxes: ReadonlyMap<string, Box>): { width: number; height: number } {
  let width = 0;
  let height = 0;
  for (const box of boxes.values()) {
    width = Math.max(width, box.x + box.width);
    height = Math.max(height, box.y + box.height);
  }
  return { width, height };
}
