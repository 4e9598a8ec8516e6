import { expect, it } from 'vitest';
import type { RunSummary } from '../../protocol/run-summary';
import { compareRuns } from './compare-runs';
import { snapshotOf } from './testing/snapshot';

const cost = { macs: 1000, effectiveMacs: 1000, params: 50, effectiveParams: 50, weightBytes: 200 };
const base: RunSummary = {
  id: 'a1',
  name: 'net',
  folder: '/r/a1',
  modelPath: '/net.onnx',
  method: 'two-stage-ppo',
  status: 'finished',
  startedAt: '2026-01-01T00:00:00Z',
  secondsElapsed: 61,
  episode: 4,
  episodes: 4,
  original: { accuracy: 0.9, cost },
  resumable: false,
};

it('puts runs side by side, with what each figure was measured on', () => {
  const best = {
    id: 'c',
    stage: 'final' as const,
    policy: { ratios: {}, bits: {} },
    accuracy: 0.88,
    images: 500,
    cost: { ...cost, macs: 400, fileBytes: 120, brotliBytes: 80 },
    latency: [{ batch: 1, median: 1.5, low: 1.4, high: 1.7, runs: 50 }],
    reward: 0.5,
    episode: 3,
    origin: 'ppo',
    partial: false,
  };
  const text = compareRuns([
    { ...snapshotOf({ ...base, seed: 3, best, goalMet: true }), candidates: [best], front: ['c'] },
    snapshotOf({ ...base, id: 'b2', status: 'failed', reason: 'no | data' }),
  ]);
  const rows = Object.fromEntries(
    text
      .split('\n')
      .filter((l) => l.startsWith('| '))
      .map((l) => [l.split(' | ')[0].slice(2), l]),
  );
  expect(rows['Accuracy']).toBe('| Accuracy | 88.0 % (−2.0 pt, n = 500) | – |');
  expect(rows['MACs']).toBe('| MACs | 400 (−60 %) | – |');
  expect(rows['Size']).toBe('| Size | 80 B (−60 %) | – |');
  expect(rows['Latency']).toContain('1.50 ms (batch 1, 1.40 to 1.70, n = 50)');
  expect(rows['Status']).toBe('| Status | finished | failed: no \\| data |');
  expect(rows['Seed']).toBe('| Seed | 3 | – |');
  expect(rows['Weight bytes']).toBe('| Weight bytes | 200 B (±0 %) | – |');
  expect(text).toContain('| net (a1) | net (b2) |');
  // The run that scored something is on the chart, and only that.
  expect(text).toContain('![Pareto fronts of 1 runs; the table has their figures.](data:image/svg+xml;base64,');
  expect(text).not.toContain('> ');
});

it('says what keeps runs from being compared', () => {
  const text = compareRuns([snapshotOf(base), snapshotOf({ ...base, modelPath: '/other.onnx' })]);
  expect(text).toContain('> These runs began with different models');
});

it('a run that a person stopped is paused, not interrupted', () => {
  const text = compareRuns([snapshotOf({ ...base, status: 'interrupted', paused: true, reason: 'stopped by the user' })]);
  expect(text).toContain('| Status | paused: stopped by the user |');
});
