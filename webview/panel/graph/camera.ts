/** Where a person looks at the graph from: zoom, and where the graph's corner stands in the window. All in pixels of the window. */
import type { Box } from './place';

export interface Camera {
  readonly zoom: number;
  readonly x: number;
  readonly y: number;
}

/** Width and height, of the window or of the graph at zoom 1. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Below this, text cannot be read and cards become plain rectangles. */
export const READABLE = 0.4;
const SMALLEST = 0.05;
const LARGEST = 2;
/** Room around the graph. */
export const MARGIN = 24;
/** What of the graph stays in the window however it is moved. */
const CORNER = 80;

/** Zoom at which the whole graph is in the window. */
const fitting = (graph: Size, window: Size): number =>
  Math.min((window.width - 2 * MARGIN) / Math.max(1, graph.width), (window.height - 2 * MARGIN) / Math.max(1, graph.height));

/** Shows the whole graph, or its upper part where the whole could not be read. */
export function fitted(graph: Size, window: Size): Camera {
  const across = (window.width - 2 * MARGIN) / Math.max(1, graph.width);
  const zoom = Math.min(1.1, Math.max(fitting(graph, window), Math.min(0.9, across), SMALLEST));
  return {
    zoom,
    x: Math.max(MARGIN, (window.width - graph.width * zoom) / 2),
    y: Math.max(MARGIN, (window.height - graph.height * zoom) / 3),
  };
}

/** Shows the whole graph, however small. */
export function overview(graph: Size, window: Size): Camera {
  const zoom = Math.min(1.1, Math.max(SMALLEST, fitting(graph, window)));
  return {
    zoom,
    x: (window.width - graph.width * zoom) / 2,
    y: Math.max(MARGIN, (window.height - graph.height * zoom) / 2),
  };
}

/** Zooms by a factor, keeping what stands at (x, y) where it is. */
export function zoomed(camera: Camera, factor: number, x: number, y: number): Camera {
  const zoom = Math.min(LARGEST, Math.max(SMALLEST, camera.zoom * factor));
  const scale = zoom / camera.zoom;
  return { zoom, x: x - (x - camera.x) * scale, y: y - (y - camera.y) * scale };
}

/** Moved as little as brings a card into the window, at a zoom at which it can be read. */
export function revealing(camera: Camera, box: Box, window: Size): Camera {
  const { zoom, x, y } = camera.zoom < READABLE ? { ...camera, zoom: 0.9 } : camera;
  const shift = (at: number, size: number, offset: number, room: number): number => {
    const from = at * zoom + offset;
    const to = from + size * zoom;
    if (from < MARGIN) return offset + MARGIN - from;
    return to > room - MARGIN ? offset + room - MARGIN - to : offset;
  };
  return { zoom, x: shift(box.x, box.width, x, window.width), y: shift(box.y, box.height, y, window.height) };
}

/** The same, but with at least a corner of the graph in the window. */
export function bounded({ zoom, x, y }: Camera, graph: Size, window: Size): Camera {
  const bound = (at: number, size: number, room: number): number => Math.min(room - CORNER, Math.max(CORNER - size * zoom, at));
  return { zoom, x: bound(x, graph.width, window.width), y: bound(y, graph.height, window.height) };
}
