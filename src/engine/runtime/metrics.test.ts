import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../ops/builder';
import { endsInSigmoid, firstTruth, type Metric, scoreOf, type Truth, thresholdOf } from './metrics';

const truth = (metric: Truth['metric'], width: number, values: readonly number[], threshold = 0.5): Truth => ({
  metric,
  threshold,
  outputs: [{ name: 'y', width, values: Float32Array.from(values) }],
});
const score = (t: Truth, values: readonly number[]): number =>
  scoreOf(t, new Map([['y', { width: t.outputs[0].width, values: Float32Array.from(values) }]]));

describe('several labels a sample', () => {
  // Rows: sample; columns: label.
  const y = [1, 0, 1, 0, 1, 0];
  const given = [0.9, 0.8, 0.7, 0.2, 0.4, 0.1];

  it('exact matches count samples with every label right', () => {
    // Sample 0: says 1 1 1 (wrong), sample 1: says 0 0 0, truth 0 1 0 (wrong).
    expect(score(truth('exact-match', 3, y), given)).toBe(0);
    expect(score(truth('exact-match', 3, y), [0.9, 0.1, 0.7, 0.2, 0.4, 0.1])).toBe(0.5);
    expect(score(truth('exact-match', 3, y), y)).toBe(1);
  });

  it('F1 of all labels together: 2·TP / (2·TP + FP + FN)', () => {
    // TP 2 (sample 0: labels 0 and 2), FP 1, FN 1.
    expect(score(truth('f1', 3, y), given)).toBeCloseTo(4 / 6, 12);
    expect(score(truth('f1', 1, [0, 0]), [0.1, 0.2])).toBe(1);
    expect(score(truth('f1', 1, [0, 0]), [0.9, 0.2])).toBe(0);
  });

  it('raw scores say yes above 0', () => {
    expect(score(truth('f1', 1, [1, 0], 0), [0.2, -0.2])).toBe(1);
  });

  it('average precision: Σ (Rₖ − Rₖ₋₁)·Pₖ, the mean over labels that occur', () => {
    // One label; by score: 1, 0, 1, 0. Precision at the positives: 1 and 2/3.
    expect(score(truth('map', 1, [1, 0, 1, 0]), [0.9, 0.8, 0.7, 0.1])).toBeCloseTo((1 + 2 / 3) / 2, 12);
    // Ties come at once: both positives among four equal scores.
    expect(score(truth('map', 1, [1, 0, 1, 0]), [0.5, 0.5, 0.5, 0.5])).toBeCloseTo(0.5, 12);
    // A second label that is ranked perfectly, and a third that no sample has.
    expect(score(truth('map', 3, [1, 0, 0, 0, 1, 0]), [0.1, 0.2, 0, 0.9, 0.8, 0])).toBeCloseTo((0.5 + 1) / 2, 12);
  });
});

describe('values', () => {
  it('R²: 1 − MSE / variance, at least 0', () => {
    const y = [1, 2, 3, 4];
    // Errors 0, 1, 0, 1 → 2; Σ(y − 2.5)² = 5.
    expect(score(truth('mse', 1, y), [1, 3, 3, 5])).toBeCloseTo(1 - 2 / 5, 12);
    expect(score(truth('mse', 1, y), y)).toBe(1);
    expect(score(truth('mse', 1, y), [2.5, 2.5, 2.5, 2.5])).toBe(0);
    expect(score(truth('mse', 1, y), [9, 9, 9, 9])).toBe(0);
    expect(score(truth('mse', 1, y), [1, 2, 3, Number.NaN])).toBe(0);
  });

  it('absolute distances stand beside those from the median', () => {
    // Σ|e| = 2; median 2.5: Σ|y − 2.5| = 4.
    expect(score(truth('mae', 1, [1, 2, 3, 4]), [1, 3, 3, 5])).toBeCloseTo(0.5, 12);
  });

  it('each value counts alike, whatever its unit; one that never changes is met or missed', () => {
    // Column 0: perfect. Column 1 (a thousand times larger): its mean.
    expect(score(truth('mse', 2, [1, 1000, 2, 3000]), [1, 2000, 2, 2000])).toBeCloseTo(0.5, 12);
    expect(score(truth('mse', 1, [7, 7]), [7, 7])).toBe(1);
    expect(score(truth('mse', 1, [7, 7]), [7, 8])).toBe(0);
  });
});

describe('agreement of outputs', () => {
  it('is the share of the variation that is kept, the mean over outputs', () => {
    const both: Truth = {
      metric: 'outputs',
      threshold: 0,
      outputs: [
        // Spread: column 0: 2, column 1: 0; error 0.5² = 0.25.
        { name: 'boxes', width: 2, values: Float32Array.of(1, 5, 3, 5) },
        { name: 'classes', width: 1, values: Float32Array.of(4, 7), whole: true },
      ],
    };
    const answers = new Map([
      ['boxes', { width: 2, values: Float32Array.of(1, 5, 3, 5.5) }],
      ['classes', { width: 1, values: Float32Array.of(4, 8) }],
    ]);
    expect(scoreOf(both, answers)).toBeCloseTo((1 - 0.25 / 2 + 0.5) / 2, 12);
    expect(firstTruth(both, 1).outputs.map((o) => [...o.values])).toEqual([[1, 5], [4]]);
    expect(() => scoreOf(both, new Map())).toThrow(/'boxes' has no values where 4 belong/);
  });

  it('every score lies in [0, 1] and is 1 for the truth itself', () => {
    let seed = 1;
    const draw = (): number => {
      seed = (seed * 48271) % 2147483647;
      return seed / 2147483647;
    };
    for (const metric of ['exact-match', 'f1', 'map', 'mse', 'mae', 'outputs'] as Array<Exclude<Metric, 'top-1'>>) {
      for (let k = 0; k < 20; k++) {
        const y = Array.from({ length: 12 }, () => (draw() > 0.5 ? 1 : 0));
        const s = score(truth(metric, 3, y), Array.from({ length: 12 }, draw));
        expect(s).toBeGreaterThanOrEqual(0);
        expect(s).toBeLessThanOrEqual(1);
        expect(score(truth(metric, 3, y), y)).toBe(1);
      }
    }
  });
});

it('an output behind a sigmoid is a probability, any other a raw score', () => {
  const make = (last: 'Sigmoid' | 'Relu'): ReturnType<GraphBuilder['build']> => {
    const b = new GraphBuilder(17);
    const x = b.input('x', ['N', 2, 1]);
    b.output(b.op('Flatten', [b.op(last, [x])]));
    return b.build('m');
  };
  const [yes, no] = [make('Sigmoid'), make('Relu')];
  expect([endsInSigmoid(yes, yes.graph.outputs[0].name), thresholdOf(yes, yes.graph.outputs[0].name)]).toEqual([true, 0.5]);
  expect([endsInSigmoid(no, no.graph.outputs[0].name), thresholdOf(no, no.graph.outputs[0].name)]).toEqual([false, 0]);
});
