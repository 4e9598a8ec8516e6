/** Pareto fronts of several methods as one SVG: accuracy against MACs, against weight bytes, and against milliseconds. */
import { colourOf, escaped, PALE, paddedRange, svg, tenth } from '../search/svg';
import type { CellResult } from './cell';

const PANEL = { width: 340, height: 250, left: 52, top: 34, right: 12, bottom: 40 };
const LEGEND_LINE = 18;

interface Series {
  readonly method: string;
  /** x and accuracy, sorted by x. */
  readonly points: ReadonlyArray<readonly [number, number]>;
  readonly joined: boolean;
}

interface Panel {
  readonly title: string;
  readonly axis: string;
  readonly series: readonly Series[];
}

/** @returns an `<svg>` element without styles or links */
export function frontsChart(results: readonly CellResult[]): string {
  const methods = [...new Set(results.map((r) => r.method))];
  const candidates = (x: 'flops' | 'bytes'): Series[] =>
    methods.map((method) => ({
      method,
      joined: true,
      points: best(results.filter((r) => r.method === method).flatMap((r) => r.front.map((p) => [p[x], p.accuracy] as const))),
    }));
  const panels: Panel[] = [
    { title: 'candidates, search samples', axis: 'MACs, share of the original', series: candidates('flops') },
    { title: 'candidates, search samples', axis: 'weight bytes, share of the original', series: candidates('bytes') },
    {
      title: 'final files, report samples',
      axis: 'ms at batch 1',
      series: methods.map((method) => ({
        method,
        joined: false,
        points: results.filter((r) => r.method === method && r.ms1 !== null).map((r) => [r.ms1!, r.accuracy] as const),
      })),
    },
  ];
  const legend = Math.ceil(methods.length / 4) * LEGEND_LINE + 12;
  const [width, height] = [panels.length * PANEL.width, PANEL.height + legend];
  return svg(width, height, `Accuracy against cost, by method: ${methods.join(', ')}`, [
    ...panels.map((panel, i) => `<g transform="translate(${i * PANEL.width} 0)">${drawn(panel, methods)}</g>`),
    ...methods.map((method, i) => {
      const [x, y] = [16 + (i % 4) * (width / 4), PANEL.height + 10 + Math.floor(i / 4) * LEGEND_LINE];
      return `${mark(x, y, i)}<text x="${x + 10}" y="${y + 4}">${escaped(method)}</text>`;
    }),
  ]);
}

/** What no other point is as accurate as at the same x or less. */
function best(points: ReadonlyArray<readonly [number, number]>): Array<readonly [number, number]> {
  const kept: Array<readonly [number, number]> = [];
  for (const p of [...points].sort((a, b) => a[0] - b[0] || b[1] - a[1]))
    if (kept.length === 0 || p[1] > kept[kept.length - 1][1]) kept.push(p);
  return kept;
}

function drawn({ title, axis, series }: Panel, methods: readonly string[]): string {
  const all = series.flatMap((s) => s.points);
  const { width, height, left, top, right, bottom } = PANEL;
  const heading = `<text x="${left}" y="18" font-weight="bold">${title}</text><text x="${left + (width - left - right) / 2}" y="${height - 6}" text-anchor="middle">${axis}</text>`;
  if (all.length === 0) return `${heading}<text x="${left}" y="${height / 2}">nothing was measured</text>`;
  const [x0, x1] = paddedRange(all.map((p) => p[0]));
  const [y0, y1] = paddedRange(all.map((p) => p[1]));
  const x = (v: number): number => tenth(left + ((v - x0) / (x1 - x0)) * (width - left - right));
  const y = (v: number): number => tenth(top + ((y1 - v) / (y1 - y0)) * (height - top - bottom));
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  return [
    heading,
    ...ticks.map((t) => {
      const v = y0 + t * (y1 - y0);
      return `<path d="M${left} ${y(v)}H${width - right}" stroke="${PALE}"/><text x="${left - 6}" y="${y(v) + 4}" text-anchor="end">${(100 * v).toFixed(1)} %</text>`;
    }),
    ...ticks.map((t) => {
      const v = x0 + t * (x1 - x0);
      return `<text x="${x(v)}" y="${height - bottom + 16}" text-anchor="middle">${Number(v.toPrecision(3))}</text>`;
    }),
    ...series.map(({ method, points, joined }) => {
      const index = methods.indexOf(method);
      const line = points.map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${x(px)} ${y(py)}`).join('');
      const path = joined && points.length > 1 ? `<path d="${line}" stroke="${colourOf(index)}" fill="none"/>` : '';
      return path + points.map(([px, py]) => mark(x(px), y(py), index)).join('');
    }),
  ].join('');
}

function mark(x: number, y: number, index: number): string {
  const fill = `fill="${colourOf(index)}"`;
  switch (index % 4) {
    case 0:
      return `<circle cx="${x}" cy="${y}" r="3.5" ${fill}/>`;
    case 1:
      return `<rect x="${x - 3}" y="${y - 3}" width="6" height="6" ${fill}/>`;
    case 2:
      return `<path d="M${x} ${y - 4}l4 7h-8z" ${fill}/>`;
    default:
      return `<path d="M${x} ${y - 4}l4 4l-4 4l-4 -4z" ${fill}/>`;
  }
}
