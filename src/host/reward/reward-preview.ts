/** A reward as a picture: accuracy from left to right, FLOPs from bottom to top, the better the darker; the run's candidates as points. */
import { type RewardContext, rewardValues } from '../../protocol/reward/rescore';
import { compileReward } from '../../protocol/reward/reward';

const COLUMNS = 24;
const ROWS = 14;
const CELL = 12;
const LEFT = 34;
const BOTTOM = 18;

export interface PreviewPoint {
  readonly accuracy: number;
  /** Multiply-accumulates. */
  readonly flops: number;
}

export interface PreviewOptions {
  readonly context: RewardContext;
  readonly points: readonly PreviewPoint[];
  /** For rewards that read the range of FLOPs. */
  readonly flopsHigh: number;
  readonly flopsLow: number;
}

export interface RewardGrid {
  /** Row by row from the most FLOPs to none; null where the formula has no value. */
  readonly values: ReadonlyArray<ReadonlyArray<number | null>>;
  /** Share of the original's accuracy range shown: from and to. */
  readonly accuracy: readonly [from: number, to: number];
}

/** A context to look at a reward with before any run: a network of 90 %, 100 M MACs and 1 M parameters. */
export const EXAMPLE_CONTEXT: RewardContext = {
  original: { accuracy: 0.9, flops: 100e6, params: 1e6, bytes: 4e6, latency: 10, sparsity: 0, channels: 1000 },
  budget: 50e6,
  lambda: 1,
  targetSparsity: 0.8,
  dropBound: 0.01,
};

/**
 * Values of a reward over accuracy × FLOPs. Everything else that a formula may read is set as if it fell with the FLOPs:
 * parameters, bytes, latency and channels in proportion, sparsity as what is gone.
 * @returns undefined where the formula cannot be read
 */
export function rewardGrid(
  reward: string,
  constants: Readonly<Record<string, number>>,
  { context, flopsHigh, flopsLow }: PreviewOptions,
): RewardGrid | undefined {
  const { reward: compiled } = compileReward(reward, constants);
  if (!compiled) return undefined;
  const { original } = context;
  // Around the original, where the choice is made: far below it every reward is poor.
  const from = Math.max(0, original.accuracy - 0.2);
  const to = Math.min(1, original.accuracy + 0.02);
  const values = Array.from({ length: ROWS }, (_row, row) => {
    const share = 1 - (row + 0.5) / ROWS;
    return Array.from({ length: COLUMNS }, (_column, column) => {
      const accuracy = from + ((to - from) * (column + 0.5)) / COLUMNS;
      const result = compiled.evaluate(
        rewardValues(
          {
            accuracy,
            flops: original.flops * share,
            params: original.params * share,
            bytes: original.bytes * share,
            latency: (original.latency ?? 10) * share,
            sparsity: 1 - share,
            channels: (original.channels ?? 1000) * share,
          },
          { ...context, original: { latency: 10, channels: 1000, ...original } },
          { flopsHigh, flopsLow, episode: 0, layer: 0 },
        ),
      );
      return result.problem ? null : result.value;
    });
  });
  return { values, accuracy: [from, to] };
}

/** The grid as SVG text. Grey on transparent, so that it reads on light and dark alike; the corner numbers say which end is which. */
export function previewSvg(grid: RewardGrid, { context, points }: Pick<PreviewOptions, 'context' | 'points'>): string {
  const all = grid.values.flat().filter((value): value is number => value !== null);
  const low = Math.min(...all);
  const high = Math.max(...all);
  const width = LEFT + COLUMNS * CELL + 6;
  const height = ROWS * CELL + BOTTOM;
  const cells = grid.values.flatMap((row, y) =>
    row.map((value, x) => {
      if (value === null) return '';
      const depth = high > low ? (value - low) / (high - low) : 0.5;
      return `<rect x="${LEFT + x * CELL}" y="${y * CELL}" width="${CELL}" height="${CELL}" fill="#3794ff" fill-opacity="${(0.06 + 0.84 * depth).toFixed(2)}"/>`;
    }),
  );
  const [from, to] = grid.accuracy;
  const marks = points.map(({ accuracy, flops }) => {
    const x = LEFT + Math.min(Math.max((accuracy - from) / (to - from), 0), 1) * COLUMNS * CELL;
    const y = ROWS * CELL * (1 - Math.min(flops / context.original.flops, 1));
    return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="3" fill="#ffffff" stroke="#000000"/>`;
  });
  const label = (x: number, y: number, anchor: string, text: string): string =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}" font-family="sans-serif" font-size="10" fill="#888888">${text}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">`,
    ...cells,
    ...marks,
    label(LEFT - 3, 9, 'end', '100 %'),
    label(LEFT - 3, (ROWS * CELL) / 2 + 4, 'end', 'FLOPs'),
    label(LEFT - 3, ROWS * CELL, 'end', '0 %'),
    label(LEFT, height - 5, 'start', `${(from * 100).toFixed(0)} %`),
    label(LEFT + (COLUMNS * CELL) / 2, height - 5, 'middle', 'accuracy'),
    label(LEFT + COLUMNS * CELL, height - 5, 'end', `${(to * 100).toFixed(0)} %`),
    '</svg>',
  ].join('');
}
