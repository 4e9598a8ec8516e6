import { describe, expect, it } from 'vitest';
import type { Candidate } from '../policy';
import { type RewardContext, rescore } from './rescore';
import { type CompiledReward, compileReward } from './reward';

const reward = (text: string): CompiledReward => compileReward(text).reward!;

function candidate(id: string, accuracy: number, macs: number, more: Partial<Candidate> = {}): Candidate {
  return {
    id,
    stage: 'prune',
    policy: { ratios: {}, bits: {} },
    accuracy,
    images: 100,
    cost: { macs, effectiveMacs: macs, params: macs / 2, effectiveParams: macs / 4, weightBytes: macs * 2 },
    reward: accuracy,
    episode: 0,
    origin: 'ppo',
    partial: false,
    ...more,
  };
}

const context: RewardContext = { original: { accuracy: 0.95, flops: 1000, params: 500, bytes: 2000, sparsity: 0 }, budget: 500, lambda: 1 };
const candidates = [candidate('a', 0.9, 800), candidate('b', 0.85, 400), candidate('c', 0.5, 200)];

describe('rescore', () => {
  it('ranks anew, says what the rank was, and touches nothing', () => {
    const frozen = structuredClone(candidates);
    const { ranked, failed, flopsHigh, flopsLow } = rescore(candidates, reward('synthetic'), context);
    expect([flopsHigh, flopsLow]).toEqual([800, 200]);
    // a: 0.9 + 0; b: 0.85 + 1 − 200/600; c: 0.5 + 1
    expect(ranked.map((r) => [r.id, r.rank, r.previousRank])).toEqual([
      ['b', 1, 2],
      ['c', 2, 3],
      ['a', 3, 1],
    ]);
    expect(ranked.map((r) => r.reward)).toEqual([expect.closeTo(1.516667, 6), expect.closeTo(1.5, 6), expect.closeTo(0.9, 6)]);
    expect(failed).toEqual([]);
    expect(candidates).toEqual(frozen);
  });

  it('takes the range of FLOPs over partial candidates too, but ranks complete ones', () => {
    const all = [...candidates, candidate('step', 0.94, 1000, { partial: true })];
    const result = rescore(all, reward('synthetic'), context);
    expect(result.flopsHigh).toBe(1000);
    expect(result.ranked.map((r) => r.id)).not.toContain('step');
    expect(rescore(all, reward('synthetic'), context, { includePartial: true }).ranked.map((r) => r.id)).toContain('step');
  });

  it('reads every measure under its name', () => {
    const measured = candidate('m', 0.9, 400, {
      latency: [
        { batch: 32, median: 9, low: 9, high: 9, runs: 5 },
        { batch: 1, median: 2, low: 1, high: 3, runs: 5 },
      ],
      cost: { macs: 400, effectiveMacs: 300, params: 200, effectiveParams: 100, weightBytes: 800, channels: 12 },
      episode: 7,
    });
    const value = (text: string) => rescore([measured], reward(text), context).ranked[0].reward;
    expect(value('latency')).toBe(2);
    expect(value('channels')).toBe(12);
    // 1 − 100 non-zero weights of 500
    expect(value('sparsity')).toBe(0.8);
    expect(value('bytes / bytes0')).toBe(0.4);
    expect(value('episode')).toBe(7);
    expect(value('targetAccuracy')).toBe(0.95);
    expect(value('crl')).toBeCloseTo(0.9 - (400 / 500 - 1), 12);
  });

  it('lists candidates whose reward has no value, with the reason', () => {
    const timed = candidate('t', 0.9, 800, { latency: [{ batch: 1, median: 2, low: 1, high: 3, runs: 5 }] });
    const { ranked, failed } = rescore([timed, candidates[1]], reward('accuracy - latency'), context);
    expect(ranked.map((r) => r.id)).toEqual(['t']);
    expect(failed).toEqual([{ id: 'b', problem: { message: "'latency' was not measured", range: { start: 11, end: 18 } } }]);
  });

  it('orders equal rewards by accuracy, then FLOPs, then id, whatever the input order', () => {
    const equal = [candidate('z', 0.5, 100), candidate('y', 0.5, 100), candidate('x', 0.5, 50), candidate('w', 0.6, 100)];
    for (const order of [equal, [...equal].reverse()])
      expect(rescore(order, reward('1'), context).ranked.map((r) => r.id)).toEqual(['w', 'x', 'y', 'z']);
  });

  it('has nothing to rank in an empty run', () => {
    expect(rescore([], reward('synthetic'), context)).toEqual({ ranked: [], failed: [], flopsHigh: 1000, flopsLow: 1000 });
  });
});
