/** Linear scales and round ticks. */

export interface Scale {
  (value: number): number;
  readonly domain: readonly [number, number];
}

/** Maps `domain` to `range`; a domain of one point goes to the middle. */
export function linear(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const span = domain[1] - domain[0];
  const map = (value: number): number =>
    span === 0 ? (range[0] + range[1]) / 2 : range[0] + ((value - domain[0]) / span) * (range[1] - range[0]);
  return Object.assign(map, { domain });
}

/** Round values (1, 2 or 5 times a power of ten) within [low, high], at most about `most`. */
export function ticks(low: number, high: number, most = 5): number[] {
  if (!(high > low)) return [low];
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!;
  const result: number[] = [];
  // Plus 0, so that it is never −0.
  for (let i = Math.ceil(low / step - 1e-9) + 0; i * step <= high + step * 1e-9; i++) result.push(i * step);
  return result;
}

/** Smallest and largest, widened by `margin` of their distance at each end. */
export function extentOf(values: readonly number[], margin = 0.05): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return [0, 1];
  const pad = (high - low) * margin || Math.abs(high) * margin || margin;
  return [low - pad, high + pad];
}

/** Median of each value with those before it, over a window of `width`. */
export function runningMedian(values: readonly number[], width: number): number[] {
  return values.map((_, index) => {
    const window = values.slice(Math.max(0, index - width + 1), index + 1).sort((a, b) => a - b);
    const middle = window.length >> 1;
    return window.length % 2 ? window[middle] : (window[middle - 1] + window[middle]) / 2;
  });
}

/** SVG path through points; null interrupts the line. */
export function linePath(points: ReadonlyArray<readonly [number, number] | null>): string {
  let path = '';
  let open = false;
  for (const point of points) {
    if (point) path += `${open ? 'L' : 'M'}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
    open = point !== null;
  }
  return path;
}
