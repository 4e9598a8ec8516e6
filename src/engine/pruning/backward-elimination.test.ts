import { describe, expect, test } from 'vitest';
import { Random } from '../random';
import { type EliminationProblem, eliminateChannels } from './backward-elimination';
import { RidgeSystem } from './least-squares';

/** Random data with correlated columns: rows, blocks of `size` columns a channel and `extra` columns in no block. */
function problem(random: Random, channels: number, size: number, outputs: number, extra = 0, rows = 60) {
  const columns = channels * size + extra;
  const mix = Float64Array.from({ length: columns * columns }, () => random.normal() / 2);
  const x = new Float64Array(rows * columns);
  const y = new Float64Array(rows * outputs);
  const weights = Float64Array.from({ length: columns * outputs }, () => random.normal() * random.uniform());
  for (let r = 0; r < rows; r++) {
    const raw = Float64Array.from({ length: columns }, () => random.normal());
    for (let i = 0; i < columns; i++)
      for (let k = 0; k < columns; k++) x[r * columns + i] += raw[k] * (mix[k * columns + i] + (i === k ? 1 : 0));
    for (let j = 0; j < outputs; j++) {
      for (let i = 0; i < columns; i++) y[r * outputs + j] += x[r * columns + i] * weights[i * outputs + j];
      y[r * outputs + j] += random.normal() / 5;
    }
  }
  const gram = new Float64Array(columns * columns);
  const cross = new Float64Array(columns * outputs);
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < columns; i++) {
      for (let k = 0; k < columns; k++) gram[i * columns + k] += x[r * columns + i] * x[r * columns + k];
      for (let j = 0; j < outputs; j++) cross[i * outputs + j] += x[r * columns + i] * y[r * outputs + j];
    }
  }
  const order = random.permutation(columns);
  const blocks = Array.from({ length: channels }, (_, c) => Array.from(order.subarray(c * size, (c + 1) * size)));
  return { gram, columns, cross, outputs, blocks };
}

/** Least-squares objective of some channels, up to ‖Y‖²: −Σ_j weight_j·⟨w_j, b_j⟩ at the ridge solution. */
function objective(p: EliminationProblem, channels: readonly number[], ridge: number): number {
  const taken = new Set(p.blocks.flatMap((b, c) => (channels.includes(c) ? [] : Array.from(b))));
  const columns = Array.from({ length: p.columns }, (_, i) => i).filter((i) => !taken.has(i));
  // The ridge is a fraction of the whole matrix's mean diagonal, so it is added beforehand.
  let mean = 0;
  for (let i = 0; i < p.columns; i++) mean += p.gram[i * p.columns + i] / p.columns;
  const g = p.gram.slice();
  for (let i = 0; i < p.columns; i++) g[i * p.columns + i] += ridge * mean;
  const w = new RidgeSystem(g, p.columns, columns, 0).solve(p.cross, p.outputs);
  let s = 0;
  columns.forEach((c, i) => {
    for (let j = 0; j < p.outputs; j++) s -= (p.outputWeights?.[j] ?? 1) * w[i * p.outputs + j] * p.cross[c * p.outputs + j];
  });
  return s;
}

/** The same greedy choice, every refit done from scratch. */
function bruteForce(problems: readonly EliminationProblem[], keep: number, ridge: number): { kept: number[]; increases: number[] } {
  let alive = problems[0].blocks.map((_, c) => c);
  const increases: number[] = [];
  while (alive.length > keep) {
    const now = problems.reduce((s, p) => s + objective(p, alive, ridge), 0);
    const costs = alive.map((c) => {
      const rest = alive.filter((a) => a !== c);
      return problems.reduce((s, p) => s + objective(p, rest, ridge), 0) - now;
    });
    const best = costs.indexOf(Math.min(...costs));
    increases.push(costs[best]);
    alive = alive.filter((_, i) => i !== best);
  }
  return { kept: alive, increases };
}

describe.each([
  { size: 1, extra: 0 },
  { size: 2, extra: 1 },
  { size: 4, extra: 0 },
  { size: 9, extra: 3 },
])('blocks of $size columns, $extra beside them', ({ size, extra }) => {
  test.each([1, 2, 3])('the choice and the error of each step are those of refitting from scratch (seed %i)', (seed) => {
    const p = problem(new Random(seed), 6, size, 3, extra, 90);
    const found = eliminateChannels([p], 2, 1e-3);
    const wanted = bruteForce([p], 2, 1e-3);
    expect(found.kept).toEqual(wanted.kept);
    expect([...found.kept, ...found.removed].sort()).toEqual([0, 1, 2, 3, 4, 5]);
    found.increases.forEach((v, i) => {
      expect(v / wanted.increases[i]).toBeCloseTo(1, 6);
    });
  });
});

test('the weights left are the least-squares solution over the columns left', () => {
  const p = problem(new Random(9), 5, 3, 2, 2);
  const { kept, weights } = eliminateChannels([p], 3, 1e-9);
  const gone = new Set(p.blocks.flatMap((b, c) => (kept.includes(c) ? [] : b)));
  const columns = Array.from({ length: p.columns }, (_, i) => i).filter((i) => !gone.has(i));
  const wanted = new RidgeSystem(p.gram, p.columns, columns, 1e-9).solve(p.cross, 2);
  columns.forEach((c, i) => {
    for (let j = 0; j < 2; j++) expect(weights[0][c * 2 + j]).toBeCloseTo(wanted[i * 2 + j], 5);
  });
  for (const c of gone) expect([weights[0][c * 2], weights[0][c * 2 + 1]]).toEqual([0, 0]);
});

test('errors of several layers are added, by their output weights', () => {
  const random = new Random(4);
  const first = problem(random, 5, 2, 3);
  const second = { ...problem(random, 5, 4, 2), outputWeights: [3, 0.5] };
  const found = eliminateChannels([first, second], 2, 1e-3);
  expect(found.kept).toEqual(bruteForce([first, second], 2, 1e-3).kept);
});

test('a channel that another one repeats goes first', () => {
  const p = problem(new Random(2), 4, 1, 2);
  // Channel 3 := 2 × channel 1, in the Gram matrix and the cross products.
  const [a] = p.blocks[1];
  const [b] = p.blocks[3];
  for (let j = 0; j < 2; j++) p.cross[b * 2 + j] = 2 * p.cross[a * 2 + j];
  for (let i = 0; i < 4; i++) p.gram[b * 4 + i] = 2 * p.gram[a * 4 + i];
  for (let i = 0; i < 4; i++) p.gram[i * 4 + b] = 2 * p.gram[i * 4 + a];
  const { removed, increases } = eliminateChannels([p], 3);
  expect([1, 3]).toContain(removed[0]);
  expect(increases[0]).toBeLessThan(1e-2);
});

test('keeping none, or more than there are, is refused', () => {
  const p = problem(new Random(1), 3, 1, 1);
  expect(() => eliminateChannels([p], 0)).toThrow('cannot keep 0 of 3 channels');
  expect(() => eliminateChannels([p], 4)).toThrow('cannot keep 4 of 3 channels');
});
