import { expect, test } from 'vitest';
import type { Candidate } from '../../protocol/policy';
import { withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { fill, twoLayers } from '../training/testing/networks';
import { finalistsOf, meanDivergence, Reference } from './finalists';

const candidate = (id: string, accuracy: number, change: Partial<Candidate> = {}): Candidate => ({
  id,
  stage: 'prune',
  policy: { ratios: {}, bits: {} },
  accuracy,
  images: 10,
  cost: { macs: 1, effectiveMacs: 1, params: 1, effectiveParams: 1, weightBytes: 4 },
  reward: 0,
  episode: 0,
  origin: 'test',
  partial: false,
  ...change,
});

test('finalists are complete candidates of the stage within the goal, the most accurate first', () => {
  const all = [
    candidate('good', 0.8),
    candidate('half', 0.99, { partial: true }),
    candidate('bits', 0.98, { stage: 'quantize' }),
    candidate('over', 0.97),
    candidate('large', 0.9, { cost: { macs: 1, effectiveMacs: 1, params: 2, effectiveParams: 2, weightBytes: 8 } }),
    candidate('late', 0.9, { episode: 7 }),
    candidate('early', 0.9, { episode: 3 }),
    candidate('poor', 0.2),
  ];
  const ids = (count: number): string[] => finalistsOf(all, count, (c) => c.id !== 'over').map((c) => c.id);
  expect(ids(4)).toEqual(['early', 'late', 'large', 'good']);
  expect(ids(20)).toEqual(['early', 'late', 'large', 'good', 'poor']);
});

test('the divergence is that of the formula, for scores of any size', () => {
  const softmax = (row: readonly number[]): number[] => {
    const sum = row.reduce((a, x) => a + Math.exp(x), 0);
    return row.map((x) => Math.exp(x) / sum);
  };
  const [p, q] = [
    [
      [1, 0, -1],
      [0.2, 2, 0.5],
    ],
    [
      [0.5, 0.5, -2],
      [1, 1, 1],
    ],
  ];
  const terms = p.flatMap((row, r) => softmax(row).map((share, c) => share * Math.log(share / softmax(q[r])[c])));
  const wanted = terms.reduce((a, x) => a + x, 0) / 2;
  expect(meanDivergence(Float32Array.from(p.flat()), Float32Array.from(q.flat()), 3)).toBeCloseTo(wanted, 6);
  // The same scores moved far from 0, where exp would overflow.
  const moved = (rows: readonly number[][]): Float32Array => Float32Array.from(rows.flat(), (x) => x + 2 ** 10);
  expect(meanDivergence(moved(p), moved(q), 3)).toBeCloseTo(wanted, 3);
  expect(() => meanDivergence(new Float32Array(6), new Float32Array(3), 3)).toThrow(/3 scores are compared with 6/);
});

test('a model diverges from itself by nothing, and the more its weights are changed the further', async () => {
  const model = twoLayers(5, 6, 3);
  const reference = await Reference.of(model, { shape: [5], inputs: fill(200, 3, 1), count: 40 }, { threads: 1 });
  expect(await reference.divergence(model)).toBe(0);
  const scaled = (by: number) => {
    const weight = model.graph.initializers.get('last.weight')!;
    const changed = Tensor.float32(
      weight.name,
      weight.dims,
      weight.floats().map((w) => w * by),
    );
    return withGraph(model, { initializers: new Map(model.graph.initializers).set(weight.name, changed) });
  };
  const [near, far] = [await reference.divergence(scaled(1.5)), await reference.divergence(scaled(4))];
  expect(near).toBeGreaterThan(0);
  expect(far).toBeGreaterThan(near);
});
