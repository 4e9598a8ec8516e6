import { expect, it } from 'vitest';
import type { Candidate } from '../../protocol/policy';
import { accuracyRange, frontOf, frontsChart } from './fronts-chart';

const candidate = (id: string, accuracy: number, macs: number, weightBytes: number): Candidate => ({
  id,
  stage: 'prune',
  policy: { ratios: {}, bits: {} },
  accuracy,
  images: 100,
  cost: { macs, effectiveMacs: macs, params: 1, effectiveParams: 1, weightBytes },
  reward: 0,
  episode: 0,
  origin: 'ppo',
  partial: false,
});
const original = { accuracy: 0.9, cost: { macs: 1000, weightBytes: 400 } };
const words = { accuracy: 'accuracy', macs: 'MACs', bytes: 'bytes', original: 'original', chosen: 'filled: result' };

it('a front is the candidates of the front and the result, as shares of the original', () => {
  const front = frontOf(
    'run',
    original,
    [candidate('a', 0.8, 500, 100), candidate('b', 0.5, 900, 300), candidate('c', 0.85, 600, 80)],
    ['a'],
    'c',
  );
  expect(front.points).toEqual([
    { accuracy: 0.8, macs: 0.5, bytes: 0.25, chosen: false },
    { accuracy: 0.85, macs: 0.6, bytes: 0.2, chosen: true },
  ]);
});

it('the axis goes from a round step to a round step, and is never so narrow that noise looks large', () => {
  expect(accuracyRange([0.871, 0.905]).map((v) => Number(v.toFixed(4)))).toEqual([0.86, 0.92]);
  expect(accuracyRange([0.9, 0.901]).map((v) => Number(v.toFixed(4)))).toEqual([0.88, 0.92]);
  expect(accuracyRange([1, 1]).map((v) => Number(v.toFixed(4)))).toEqual([0.96, 1]);
});

it('every point stands at its place in both charts, each run in another colour, dash and mark', () => {
  const runs = ['one', 'two <b>'].map((label, i) =>
    frontOf(label, original, [candidate('a', 0.84, 500, 200), candidate('b', 0.88, 1000, 400 - 100 * i)], ['a', 'b'], 'a'),
  );
  const svg = frontsChart(runs, words);
  // The axis goes from 82 to 92 %: 84 % stands a fifth above its foot, 88 % three fifths.
  const at = (left: number): string => `${(left + 165).toFixed(1)},210.0`;
  expect(svg).toContain(`points="${at(48)} 378.0,118.0"`);
  expect(svg).toContain(`points="${at(448)} 778.0,118.0"`);
  const colors = new Set([...svg.matchAll(/<polyline [^>]*stroke="(#\w+)"/g)].map(([, color]) => color));
  expect(colors.size).toBe(2);
  expect([...svg.matchAll(/<polyline [^>]*stroke-dasharray/g)]).toHaveLength(2);
  expect(svg).toContain('two &#60;b&#62;');
  expect(svg).not.toMatch(/NaN|Infinity|<b>/);
});
