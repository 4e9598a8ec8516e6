import { describe, expect, it } from 'vitest';
import type { Candidate, ModelCost } from '../../protocol/policy';
import type { RunSummary } from '../../protocol/run-summary';
import { achievementText, bytesText, changeText, countText, pointsText, secondsText, signed } from './run-text';

const cost = (macs: number, weightBytes: number): ModelCost => ({
  macs,
  effectiveMacs: macs,
  params: 10,
  effectiveParams: 10,
  weightBytes,
});

const candidate = (stage: Candidate['stage'], accuracy: number, macs: number, bytes: number): Candidate => ({
  id: 'c1',
  stage,
  policy: { ratios: {}, bits: {} },
  accuracy,
  images: 100,
  cost: cost(macs, bytes),
  reward: 1,
  episode: 0,
  origin: 'ppo',
  partial: false,
});

const run = (best?: Candidate): RunSummary => ({
  id: 'r',
  name: 'net',
  folder: '/r',
  modelPath: '/net.onnx',
  method: 'two-stage-ppo',
  status: 'finished',
  startedAt: '2026-01-01T00:00:00Z',
  secondsElapsed: 1,
  episode: 1,
  episodes: 1,
  original: { accuracy: 0.9, cost: cost(1000, 400) },
  ...(best ? { best } : {}),
  resumable: false,
});

describe('figures', () => {
  it.each([
    [-0.04, 1, '±0.0'],
    [-0.2, 1, '−0.2'],
    [3, 0, '+3'],
  ])('signed %d', (value, digits, text) => expect(signed(value, digits)).toBe(text));
  it.each([
    [999, '999'],
    [1200, '1.2 k'],
    [41_000_000, '41 M'],
    [2.5e9, '2.5 G'],
  ])('count %d', (value, text) => expect(countText(value)).toBe(text));
  it('bytes', () => expect(bytesText(1_700_000)).toBe('1.7 MB'));
  it.each([
    [42, '42 s'],
    [300, '5 min'],
    [4800, '1 h 20 min'],
  ])('%d seconds', (value, text) => expect(secondsText(value)).toBe(text));
  it('changes', () => {
    expect(changeText(100, 29)).toBe('−71 %');
    expect(changeText(0, 29)).toBe('–');
    expect(pointsText(0.9, 0.898)).toBe('−0.2 pt');
  });
});

describe('what a run achieved', () => {
  it('pruning: MACs and points', () => expect(achievementText(run(candidate('prune', 0.898, 290, 116)))).toBe('−71 % MACs, −0.2 pt'));
  it('quantisation: bytes and points', () =>
    expect(achievementText(run(candidate('quantize', 0.9, 1000, 100)))).toBe('−75 % bytes, ±0.0 pt'));
  it('both', () => expect(achievementText(run(candidate('final', 0.91, 290, 40)))).toBe('−71 % MACs, −90 % bytes, +1.0 pt'));
  it('the result against the original measured as it was, not as the search saw it', () =>
    expect(achievementText(run({ ...candidate('final', 0.91, 290, 40), original: { accuracy: 0.92, cost: cost(1000, 400) } }))).toBe(
      '−71 % MACs, −90 % bytes, −1.0 pt',
    ));
  it('nothing yet', () => expect(achievementText(run())).toBeUndefined());
});
