/** What every method that deletes rows keeps to, on a problem that takes no time: the row form of methods.test.ts. */
import { describe, expect, test } from 'vitest';
import { METHOD_NAMES } from '../../protocol/config';
import { rowMaskDefinition } from '../search/lottery-mdp-stage';
import { type RowLayer, RowMaskEnvironment } from '../search/row-mask-environment';
import { searchStage } from '../search/search-stage';
import { findMethod } from './registry';
import { type Play, type PlayOptions, playStage } from './testing/play';

/** Rows of three layers in blocks of a hundred weights, what each weight costs, and what is lost as they go: loss = sensitivity · share². */
const LAYERS = [
  { name: 'a', rows: 40, weightsPerRow: 20, rowsPerBlock: 5, blocks: 7, macs: 4, sensitivity: 0.5 },
  { name: 'b', rows: 60, weightsPerRow: 10, rowsPerBlock: 10, blocks: 5, macs: 1, sensitivity: 0.1 },
  { name: 'c', rows: 100, weightsPerRow: 4, rowsPerBlock: 25, blocks: 3, macs: 2, sensitivity: 0.3 },
] as const;
const STEPS = 9;
const ACCURACY = 0.95;

const layers: RowLayer[] = LAYERS.map(({ name, rows, weightsPerRow, rowsPerBlock, blocks }) => ({
  name,
  weight: `${name}.weight`,
  axis: 0,
  order: Uint32Array.from({ length: rows }, (_, i) => i),
  weightsPerRow,
  rowsPerBlock,
  blocks,
}));
const weights = LAYERS.map((l) => l.rows * l.weightsPerRow);
const total = weights.reduce((a, w) => a + w, 0);
const accuracyOf = (deleted: readonly number[]): number =>
  LAYERS.reduce((sum, l, i) => sum - l.sensitivity * ((deleted[i] * l.rowsPerBlock) / l.rows) ** 2, ACCURACY);

/** The best that any mask of so many blocks reaches. */
const BEST = Math.max(
  ...Array.from({ length: 8 }, (_, a) => Array.from({ length: 6 }, (_, b) => [a, b, STEPS - a - b]))
    .flat()
    .filter(([, , c]) => c >= 0 && c <= 3)
    .map(accuracyOf),
);

const costOf = (sparsity: Readonly<Record<string, number>> = {}) => {
  const left = (each: (layer: (typeof LAYERS)[number]) => number): number =>
    LAYERS.reduce((sum, l, i) => sum + each(l) * weights[i] * (1 - (sparsity[l.name] ?? 0)), 0);
  const macs = LAYERS.reduce((sum, l, i) => sum + l.macs * weights[i], 0);
  return { macs, effectiveMacs: left((l) => l.macs), params: total, effectiveParams: left(() => 1), weightBytes: 4 * total };
};

const METHODS = METHOD_NAMES.filter((name) => findMethod(name).space === 'rows');

const play = (name: (typeof METHODS)[number], options: PlayOptions = {}): Promise<Play> =>
  playStage(
    name,
    {
      input: { search: { episodes: 60, actors: 2 } },
      original: { accuracy: ACCURACY, flops: total, params: total, bytes: 4 * total, sparsity: 0 },
      run: (context, count) =>
        searchStage(
          context,
          rowMaskDefinition({
            config: context.config,
            layers,
            steps: STEPS,
            weights,
            cost: ({ sparsity }) => costOf(sparsity),
            macs: context.config.goal.flops,
            measure: async (deleted) => {
              count(deleted);
              return Math.max(0, accuracyOf(deleted));
            },
            keep: async () => {},
          }),
        ),
    },
    options,
  );

test('there are methods of this kind', () => {
  expect(METHODS).toContain('lottery-mdp');
});

describe.each(METHODS)('%s', (name) => {
  const once = play(name);

  test('the same seed gives the same search, another seed another', async () => {
    const [a, b] = [await once, await play(name)];
    expect(b.measured).toEqual(a.measured);
    expect(b.result).toEqual(a.result);
    expect((await play(name, { input: { seed: 2, search: { episodes: 60, actors: 2 } } })).measured).not.toEqual(a.measured);
  });

  test('killed midway and resumed, it ends as if left alone', async () => {
    const whole = await once;
    const again = await play(name, { killAt: Math.ceil(whole.measured.length / 2) });
    expect(again.result).toEqual(whole.result);
  });

  test('masks are those allowed: no block twice, no layer to nothing, as many weights as were to go', async () => {
    for (const { policy, partial } of (await once).candidates) {
      const shares = layers.map((l) => policy.sparsity?.[l.name] ?? 0);
      shares.forEach((share, i) => {
        const blocks = (share * LAYERS[i].rows) / LAYERS[i].rowsPerBlock;
        expect(blocks).toBeCloseTo(Math.round(blocks), 9);
        expect(blocks).toBeLessThanOrEqual(LAYERS[i].blocks);
        expect(share).toBeLessThan(1);
      });
      if (!partial) expect(shares.reduce((sum, s, i) => sum + s * weights[i], 0)).toBeCloseTo(100 * STEPS, 6);
    }
  });

  test('never more scorings than allowed', async () => {
    const { result } = await play(name, { input: { search: { episodes: 60, actors: 2, scorings: 50 } } });
    expect(result.scorings).toBeLessThanOrEqual(50);
    expect(result.best).toBeDefined();
  });

  test('of the masks within the goal the best is taken, however good others are', async () => {
    const unbounded = (await once).result.best!;
    const flops = unbounded.cost.effectiveMacs - 50;
    const { result, candidates } = await play(name, { input: { goal: { flops }, search: { episodes: 60, actors: 2 } } });
    const within = candidates.filter((c) => !c.partial && c.cost.effectiveMacs <= flops);
    expect(within.length).toBeGreaterThan(1);
    expect(result.best!.cost.effectiveMacs).toBeLessThanOrEqual(flops);
    expect(result.best!.accuracy).toBe(Math.max(...within.map((c) => c.accuracy)));
    expect(result.best!.accuracy).toBeLessThan(unbounded.accuracy);
  });

  test('the file of the weights to rewind to is no number of the agent’s', async () => {
    const search = { episodes: 2, actors: 1 };
    const { result } = await play(name, { options: { initial: 'weights.onnx', alpha: 0.5 }, input: { search } });
    expect(result.best).toBeDefined();
  });

  test('it finds the best mask there is', async () => {
    const { result, measured, config } = await once;
    // A mask is measured once, or once by each actor that meets it at the same moment.
    const times = new Map<string, number>();
    for (const m of measured) times.set(String(m), (times.get(String(m)) ?? 0) + 1);
    expect(Math.max(...times.values())).toBeLessThanOrEqual(config.search.actors);
    expect(result.best!.accuracy).toBeCloseTo(BEST, 9);
  });

  test('what was learnt is the best mask’s way: the last episodes reach nearly what the best does', async () => {
    const { played } = await once;
    const late = played
      .slice(-10)
      .map((p) => accuracyOf(layers.map((l) => Math.round(((p.sparsity?.[l.name] ?? 0) * l.order.length) / l.rowsPerBlock))));
    const early = played
      .slice(0, 10)
      .map((p) => accuracyOf(layers.map((l) => Math.round(((p.sparsity?.[l.name] ?? 0) * l.order.length) / l.rowsPerBlock))));
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    expect(mean(late)).toBeGreaterThan(mean(early));
    expect(mean(late)).toBeGreaterThan(BEST - 0.02);
  });
});

describe('the environment', () => {
  const make = () =>
    new RowMaskEnvironment({
      layers: [
        { name: 'a', blocks: 1 },
        { name: 'b', blocks: 3 },
        { name: 'c', blocks: 2 },
      ],
      steps: 5,
      evaluate: async (deleted) => ({ accuracy: 1 - deleted[1] / 10, flops: 1, measures: {} }),
    });

  test('an action deletes the next block of its layer, or of the nearest that has one', async () => {
    const environment = make();
    expect(await environment.reset()).toEqual({ observation: [0, 0, 0], bounds: { low: 0, high: 1 } });
    const first = await environment.step(0);
    expect(first).toMatchObject({ executed: 0, done: false, next: { observation: [1, 0, 0], bounds: { low: 0.5, high: 1 } } });
    // Layer a has no block left: its neighbour gives one.
    expect(await environment.step(0)).toMatchObject({ executed: 0.5, outcome: { accuracy: 0.9 } });
    await environment.step(1);
    expect(await environment.step(1)).toMatchObject({ executed: 1, next: { bounds: { low: 0.5, high: 0.5 } } });
    expect(await environment.step(1)).toMatchObject({ executed: 0.5, done: true, next: undefined });
  });

  test('more steps than blocks are refused', () => {
    expect(() => new RowMaskEnvironment({ layers: [{ name: 'a', blocks: 2 }], steps: 3, evaluate: make().step as never })).toThrow(
      'only 2 blocks',
    );
  });
});
