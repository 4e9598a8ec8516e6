import { describe, expect, it } from 'vitest';
import { bounded, fitted, MARGIN, overview, READABLE, revealing, zoomed } from './camera';

const window = { width: 800, height: 600 };
const tall = { width: 200, height: 20_000 };
const small = { width: 200, height: 100 };

describe('fitting', () => {
  it('centres a graph that is smaller than the window', () => {
    const { zoom, x } = fitted(small, window);
    expect(x + (small.width * zoom) / 2).toBeCloseTo(window.width / 2);
  });
  it('shows the upper part of a tall one, to be read', () => {
    const { zoom, y } = fitted(tall, window);
    expect(zoom).toBeGreaterThanOrEqual(READABLE);
    expect(y).toBe(MARGIN);
  });
  it('shows the whole of a tall one in the overview', () => {
    const { zoom, y } = overview({ width: 200, height: 2000 }, window);
    expect(y + 2000 * zoom).toBeLessThanOrEqual(window.height);
  });
});

it('zooming keeps the place under the pointer', () => {
  const before = { zoom: 1, x: 30, y: -40 };
  const after = zoomed(before, 1.5, 300, 200);
  const place = ({ zoom, x, y }: typeof before): number[] => [(300 - x) / zoom, (200 - y) / zoom];
  expect(after.zoom).toBeCloseTo(1.5);
  expect(place(after)[0]).toBeCloseTo(place(before)[0]);
  expect(place(after)[1]).toBeCloseTo(place(before)[1]);
});

describe('revealing', () => {
  const box = { x: 10, y: 5000, width: 100, height: 40 };
  it('brings a card just into the window', () => {
    const { zoom, y } = revealing({ zoom: 1, x: 50, y: 0 }, box, window);
    expect((box.y + box.height) * zoom + y).toBe(window.height - MARGIN);
  });
  it('moves nothing where it is in the window', () => {
    const camera = { zoom: 1, x: 50, y: -4900 };
    expect(revealing(camera, box, window)).toEqual(camera);
  });
  it('zooms in where it could not be read', () =>
    expect(revealing({ zoom: 0.1, x: 0, y: 0 }, box, window).zoom).toBeGreaterThanOrEqual(READABLE));
});

it('a corner of the graph stays in the window', () => {
  const { x, y } = bounded({ zoom: 1, x: 5000, y: -50_000 }, small, window);
  expect(x).toBeLessThan(window.width);
  expect(y + small.height).toBeGreaterThan(0);
});
