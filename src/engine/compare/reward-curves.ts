/** Reward over episodes, as papers on agents show it: the curve of each variant over its seeds, drawn as one SVG. */
import type { RunEvent } from '../../protocol/run-events';
import { colourOf, escaped, PALE, paddedRange, svg, tenth } from '../search/svg';

/** One search: the reward of each episode's complete policy, from the first episode on. */
export interface RewardRun {
  readonly variant: string;
  readonly seed: number;
  readonly rewards: readonly number[];
}

/** Mean over seeds, and the lowest and highest of them, at one episode. */
export interface BandPoint {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

export interface RewardPanel {
  readonly title: string;
  /** Which variants are drawn, in the order of the legend. */
  readonly variants: readonly string[];
  /** Whether the lowest to the highest seed is shaded. */
  readonly banded: boolean;
}

/**
 * Rewards of the complete policies of stage 1, by episode.
 * A resumed run plays what followed its last checkpoint once more, so an episode counts once.
 */
export function episodeRewards(events: readonly RunEvent[]): number[] {
  const rewards: number[] = [];
  for (const e of events) {
    if (e.type === 'phase' && e.phase !== 'prepare' && e.phase !== 'prune') break;
    if (e.type === 'episode') rewards[e.episode] = e.reward;
  }
  return rewards.filter((r) => r !== undefined);
}

/** Mean of the last quarter of the episodes (at least one). @param rewards at least one */
export function lastQuarterMean(rewards: readonly number[]): number {
  const last = rewards.slice(-Math.ceil(rewards.length / 4));
  return last.reduce((a, b) => a + b, 0) / last.length;
}

/** At each place the mean of the `window` values up to it; of fewer at the beginning. */
export function trailingMean(values: readonly number[], window: number): number[] {
  return values.map((_, i) => {
    const part = values.slice(Math.max(0, i + 1 - window), i + 1);
    return part.reduce((a, b) => a + b, 0) / part.length;
  });
}

/** One point an episode, as far as every run goes. */
export function bandOf(runs: ReadonlyArray<readonly number[]>): BandPoint[] {
  if (runs.length === 0) return [];
  const length = Math.min(...runs.map((r) => r.length));
  return Array.from({ length }, (_, i) => {
    const values = runs.map((r) => r[i]);
    return { mean: values.reduce((a, b) => a + b, 0) / values.length, low: Math.min(...values), high: Math.max(...values) };
  });
}

/** Lines of one colour chart still differ in print. */
const DASHES = ['', '6 3', '2 3', '8 3 2 3', '12 4', '4 2', '1 2', '10 2 2 2 2 2'];
const PANEL = { width: 480, height: 300, left: 58, top: 50, right: 14, bottom: 44 };
const LEGEND_LINE = 18;
const SHARES = [0, 0.25, 0.5, 0.75, 1];

/**
 * @param window episodes of the trailing mean that steadies each seed's curve before seeds are put together
 * @param measuredOn one sentence on what was measured, which stands in the image
 * @returns an `<svg>` element without styles or links; all panels have the same axes
 */
export function rewardCurves(runs: readonly RewardRun[], panels: readonly RewardPanel[], window: number, measuredOn: string): string {
  const names = [...new Set(panels.flatMap((p) => p.variants))].filter((v) => runs.some((r) => r.variant === v));
  const bands = new Map(
    names.map((v) => [v, bandOf(runs.filter((r) => r.variant === v).map((r) => trailingMean(r.rewards, window)))] as const),
  );
  const shown = panels.flatMap((p) =>
    p.variants.flatMap((v) => (bands.get(v) ?? []).flatMap((b) => (p.banded ? [b.low, b.high] : [b.mean]))),
  );
  const [low, high] = paddedRange(shown);
  const axes = { episodes: Math.max(2, ...[...bands.values()].map((b) => b.length)), low, high };
  const width = panels.length * PANEL.width;
  const perLine = 3 * panels.length;
  const height = PANEL.height + Math.ceil(names.length / perLine) * LEGEND_LINE + 12;
  return svg(width, height, `Reward over episodes: ${names.join(', ')}`, [
    `<text x="${PANEL.left}" y="16">${escaped(measuredOn)}</text>`,
    ...panels.map((panel, i) => `<g transform="translate(${i * PANEL.width} 0)">${drawn(panel, bands, names, axes)}</g>`),
    ...names.map((name, i) => {
      const [x, y] = [16 + (i % perLine) * (width / perLine), PANEL.height + 10 + Math.floor(i / perLine) * LEGEND_LINE];
      return `<path d="M${tenth(x)} ${y}h24" ${stroke(i)}/><text x="${tenth(x + 30)}" y="${y + 4}">${escaped(name)}</text>`;
    }),
  ]);
}

interface Axes {
  readonly episodes: number;
  readonly low: number;
  readonly high: number;
}

function drawn(
  { title, variants, banded }: RewardPanel,
  bands: ReadonlyMap<string, readonly BandPoint[]>,
  names: readonly string[],
  { episodes, low, high }: Axes,
): string {
  const { width, height, left, top, right, bottom } = PANEL;
  const x = (index: number): number => tenth(left + (index / (episodes - 1)) * (width - left - right));
  const y = (reward: number): number => tenth(top + ((high - reward) / (high - low)) * (height - top - bottom));
  const line = (points: ReadonlyArray<readonly [number, number]>): string =>
    points.map(([i, v], k) => `${k === 0 ? 'M' : 'L'}${x(i)} ${y(v)}`).join('');
  const present = variants.filter((v) => (bands.get(v) ?? []).length > 0);
  return [
    `<text x="${left}" y="36" font-weight="bold">${escaped(title)}</text>`,
    `<text x="${left + (width - left - right) / 2}" y="${height - 8}" text-anchor="middle">episode</text>`,
    ...(present.length === 0 ? [`<text x="${left}" y="${height / 2}">nothing was measured</text>`] : []),
    ...SHARES.map((s) => {
      const v = low + s * (high - low);
      return `<path d="M${left} ${y(v)}H${width - right}" stroke="${PALE}"/><text x="${left - 6}" y="${y(v) + 4}" text-anchor="end">${v.toFixed(3)}</text>`;
    }),
    ...SHARES.map((s) => {
      const index = Math.round(s * (episodes - 1));
      return `<text x="${x(index)}" y="${height - bottom + 16}" text-anchor="middle">${index + 1}</text>`;
    }),
    ...(banded ? present : []).map((v) => {
      const band = bands.get(v)!;
      const there = band.map((b, i) => [i, b.high] as const);
      const back = band.map((b, i) => [i, b.low] as const).reverse();
      return `<path d="${line([...there, ...back])}Z" fill="${colourOf(names.indexOf(v))}" fill-opacity="0.15"/>`;
    }),
    ...present.map((v) => `<path d="${line(bands.get(v)!.map((b, i) => [i, b.mean] as const))}" ${stroke(names.indexOf(v))}/>`),
  ].join('');
}

function stroke(index: number): string {
  const dash = DASHES[index % DASHES.length];
  return `stroke="${colourOf(index)}" stroke-width="1.6" fill="none"${dash ? ` stroke-dasharray="${dash}"` : ''}`;
}
