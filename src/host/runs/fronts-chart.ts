/** Pareto fronts of several runs on one chart, as SVG text for a Markdown preview. Each run has a colour, a dash and a mark of its own: colour alone says nothing. */
import type { Candidate } from '../../protocol/policy';

const WIDTH = 330;
const HEIGHT = 230;
const LEFT = 48;
const TOP = 26;
const BOTTOM = 40;
const GAP = 22;
/** For half of the last label. */
const RIGHT = 24;
const LEGEND_LINE = 18;

/** Mid tones that read on light and on dark, since a Markdown image cannot ask for the theme. */
const COLORS = ['#3794ff', '#e8912d', '#2ea567', '#b180d7', '#e05561', '#1fa8b8', '#a08b1d', '#8a8a8a'] as const;
const DASHES = ['', '6 3', '2 3', '8 3 2 3'] as const;
const GREY = '#888888';

export interface RunFront {
  readonly label: string;
  /** Accuracy before compression, 0 to 1. */
  readonly accuracy: number;
  /** Candidates of the front; costs are shares of the original, 0 to 1. */
  readonly points: readonly FrontPoint[];
}

export interface FrontPoint {
  readonly accuracy: number;
  readonly macs: number;
  readonly bytes: number;
  /** True for the run's result. */
  readonly chosen: boolean;
}

export interface ChartWords {
  readonly accuracy: string;
  readonly macs: string;
  readonly bytes: string;
  readonly original: string;
  readonly chosen: string;
}

/** A front as shares of what the run began with. Where nothing better is known the best candidate stands alone. */
export function frontOf(
  label: string,
  original: { readonly accuracy: number; readonly cost: { readonly macs: number; readonly weightBytes: number } },
  candidates: readonly Candidate[],
  front: readonly string[],
  best: string | undefined,
): RunFront {
  const on = new Set(best === undefined ? front : [...front, best]);
  const points = candidates
    .filter((candidate) => on.has(candidate.id))
    .map((candidate) => ({
      accuracy: candidate.accuracy,
      macs: candidate.cost.macs / (original.cost.macs || 1),
      bytes: candidate.cost.weightBytes / (original.cost.weightBytes || 1),
      chosen: candidate.id === best,
    }));
  return { label, accuracy: original.accuracy, points };
}

const escapeXml = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** From a round step below the lowest to a round step above the highest, at least four points of accuracy apart. */
export function accuracyRange(values: readonly number[]): readonly [low: number, high: number] {
  const step = 0.02;
  const low = Math.max(0, Math.floor(Math.min(...values) / step - 1e-9) * step);
  const high = Math.min(1, Math.ceil(Math.max(...values) / step + 1e-9) * step);
  return high - low < 2 * step ? [Math.max(0, high - 2 * step), high] : [low, high];
}

/** One of four shapes around a point. */
function mark(shape: number, x: number, y: number, size: number, color: string, filled: boolean): string {
  const look = `fill="${filled ? color : 'none'}" stroke="${color}" stroke-width="1.5"`;
  switch (shape % 4) {
    case 0:
      return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${size}" ${look}/>`;
    case 1:
      return `<rect x="${(x - size).toFixed(1)}" y="${(y - size).toFixed(1)}" width="${2 * size}" height="${2 * size}" ${look}/>`;
    case 2:
      return `<path d="M${x.toFixed(1)} ${(y - size - 1).toFixed(1)}l${size + 1} ${2 * size}h-${2 * size + 2}z" ${look}/>`;
    default:
      return `<path d="M${x.toFixed(1)} ${(y - size - 1).toFixed(1)}l${size + 1} ${size + 1}l-${size + 1} ${size + 1}l-${size + 1} -${size + 1}z" ${look}/>`;
  }
}

/** Two charts beside one another, accuracy over MACs and over weight bytes, and the legend below. */
export function frontsChart(runs: readonly RunFront[], words: ChartWords): string {
  const [low, high] = accuracyRange(runs.flatMap((run) => [run.accuracy, ...run.points.map(({ accuracy }) => accuracy)]));
  const x = (left: number, share: number): number => left + Math.min(Math.max(share, 0), 1) * WIDTH;
  const y = (accuracy: number): number => TOP + HEIGHT * (1 - (accuracy - low) / (high - low));
  const text = (at: number, height: number, anchor: string, words_: string): string =>
    `<text x="${at}" y="${height}" text-anchor="${anchor}" font-family="sans-serif" font-size="11" fill="${GREY}">${escapeXml(words_)}</text>`;
  const chart = (left: number, name: string, cost: (point: FrontPoint) => number): string => {
    const grid = [0, 0.25, 0.5, 0.75, 1].map(
      (share) =>
        `<line x1="${x(left, share)}" y1="${TOP}" x2="${x(left, share)}" y2="${TOP + HEIGHT}" stroke="${GREY}" stroke-opacity="0.25"/>${text(x(left, share), TOP + HEIGHT + 15, 'middle', `${share * 100} %`)}`,
    );
    const levels = [low, (low + high) / 2, high].map(
      (accuracy) =>
        `<line x1="${left}" y1="${y(accuracy).toFixed(1)}" x2="${left + WIDTH}" y2="${y(accuracy).toFixed(1)}" stroke="${GREY}" stroke-opacity="0.25"/>${text(left - 6, Math.round(y(accuracy)) + 4, 'end', `${(accuracy * 100).toFixed(0)} %`)}`,
    );
    const lines = runs.map((run, place) => {
      const color = COLORS[place % COLORS.length];
      const dash = DASHES[Math.floor(place / COLORS.length + place) % DASHES.length];
      const sorted = [...run.points].sort((a, b) => cost(a) - cost(b));
      const at = sorted.map((point) => `${x(left, cost(point)).toFixed(1)},${y(point.accuracy).toFixed(1)}`);
      return [
        at.length > 1
          ? `<polyline points="${at.join(' ')}" fill="none" stroke="${color}" stroke-width="1.5"${dash ? ` stroke-dasharray="${dash}"` : ''}/>`
          : '',
        mark(place, x(left, 1), y(run.accuracy), 3, GREY, false),
        ...sorted.map((point) => mark(place, x(left, cost(point)), y(point.accuracy), point.chosen ? 5 : 3, color, point.chosen)),
      ].join('');
    });
    return [...grid, ...levels, ...lines, text(left + WIDTH / 2, TOP + HEIGHT + 32, 'middle', name)].join('');
  };
  const bottom = TOP + HEIGHT + BOTTOM;
  const legend = runs.map(({ label }, place) => {
    const line = bottom + 16 + place * LEGEND_LINE;
    return `${mark(place, LEFT + 6, line - 4, 4, COLORS[place % COLORS.length], true)}${text(LEFT + 20, line, 'start', label)}`;
  });
  const notes = text(LEFT, bottom + 16 + runs.length * LEGEND_LINE, 'start', `${words.chosen} · ${words.original}`);
  const width = 2 * (LEFT + WIDTH) + GAP + RIGHT;
  const height = bottom + 24 + runs.length * LEGEND_LINE;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    text(LEFT - 40, 14, 'start', words.accuracy),
    chart(LEFT, words.macs, ({ macs }) => macs),
    chart(2 * LEFT + WIDTH + GAP, words.bytes, ({ bytes }) => bytes),
    ...legend,
    notes,
    '</svg>',
  ].join('');
}
