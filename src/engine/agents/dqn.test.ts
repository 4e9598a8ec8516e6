import { describe, expect, test } from 'vitest';
import { Random } from '../random';
import type { Transition } from './agent';
import { DqnAgent } from './dqn';
import { describeAgent } from './testing/conformance';

const TENTHS = Array.from({ length: 11 }, (_, i) => i / 10);

describeAgent('DQN', ({ observationSize, steps }, random) => new DqnAgent(observationSize, TENTHS, steps, random, { gamma: 0.5 }));

describeAgent(
  'DQN around the best policy',
  ({ observationSize, steps }, random) =>
    new DqnAgent(observationSize, TENTHS, steps, random, { gamma: 0.5, aroundBest: 0.5, changedShare: 0.5 }),
);

const outcome = (accuracy: number) => ({ accuracy, flops: 1, measures: {} });
const bounds = { low: 0, high: 1 };
const transition = (action: number, accuracy: number, next?: readonly number[], limits = bounds): Transition => ({
  observation: [0.5],
  bounds,
  action,
  sample: action,
  logProbability: 0,
  outcome: outcome(accuracy),
  next: next && { observation: next, bounds: limits },
  done: next === undefined,
  actor: 0,
});

describe('double Q-learning', () => {
  const FIXED = { epsilonStart: 0, epsilonEnd: 0, learningStarts: 1, minibatch: 16, learningRate: 5e-3, hidden: 16, tau: 0.1 };

  test('two steps that end with a known reward: Q is that reward, discounted once', () => {
    const agent = new DqnAgent(1, [0, 1], 2, new Random(1), { ...FIXED, gamma: 0.5 });
    // From 0.5 on either action leads to 1, where action 0 pays 0 and action 1 pays 0.8.
    for (let i = 0; i < 400; i++) {
      agent.observe(transition(i % 2, 0, [1]), (o) => o.accuracy);
      agent.observe({ ...transition((i >> 1) % 2, (i >> 1) % 2 ? 0.8 : 0), observation: [1] }, (o) => o.accuracy);
    }
    expect(agent.act({ observation: [1], bounds }, { deterministic: true }).value).toBe(1);
    const batches = Array.from({ length: 50 }, () => agent.observe(transition(0, 0, [1]), (o) => o.accuracy)!);
    // Of the transitions half (rising to 53 %) are at 0.5 with Q = 0.5 · 0.8, and those at 1 pay 0 and 0.8 alike: 0.4 on average.
    expect(batches.reduce((sum, b) => sum + b.qMean, 0) / 50).toBeCloseTo(0.4, 1);
    expect(batches.reduce((sum, b) => sum + b.criticLoss, 0) / 50).toBeLessThan(0.02);
  });

  test('what the next step may not do does not enter its value', () => {
    const agent = new DqnAgent(1, [0, 1], 2, new Random(2), { ...FIXED, gamma: 1 });
    // At 1 action 1 would pay 0.8, but bounds allow only action 0 there, which pays 0.1.
    for (let i = 0; i < 500; i++) {
      agent.observe(transition(0, 0, [1], { low: 0, high: 0.4 }), (o) => o.accuracy);
      agent.observe({ ...transition(i % 2, i % 2 ? 0.8 : 0.1), observation: [1] }, (o) => o.accuracy);
    }
    const batches = Array.from({ length: 50 }, () => agent.observe(transition(0, 0, [1], { low: 0, high: 0.4 }), (o) => o.accuracy)!);
    const mean = batches.reduce((sum, b) => sum + b.qMean, 0) / 50;
    // A half (rising to 55 %) at 0.5 with Q = 0.1; the other half on average 0.45: about 0.27. Without the bounds it would be 0.62.
    expect(mean).toBeGreaterThan(0.2);
    expect(mean).toBeLessThan(0.33);
  });

  test('ε falls linearly over the episodes of exploration', () => {
    const agent = new DqnAgent(1, TENTHS, 1, new Random(3), { epsilonStart: 1, epsilonEnd: 0.2, explorationEpisodes: 4 });
    const seen = [agent.epsilon];
    for (let i = 0; i < 5; i++) {
      agent.observe(transition(0, 0), (o) => o.accuracy);
      agent.endRound();
      seen.push(agent.epsilon);
    }
    expect(seen.map((e) => Number(e.toFixed(6)))).toEqual([1, 0.8, 0.6, 0.4, 0.2, 0.2]);
  });

  test('exploring draws every action alike', () => {
    const agent = new DqnAgent(1, TENTHS, 1, new Random(4), { epsilonStart: 1 });
    const counts = new Map<number, number>();
    for (let i = 0; i < 3000; i++) {
      const { value } = agent.act({ observation: [0.5], bounds: { low: 0.2, high: 0.5 } });
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual([0.2, 0.3, 0.4, 0.5]);
    for (const n of counts.values()) expect(Math.abs(n - 750)).toBeLessThan(100);
  });

  test('around the best policy: its own actions, some of them changed a little', () => {
    const make = (changedShare: number): DqnAgent =>
      new DqnAgent(1, TENTHS, 1, new Random(3), {
        aroundBest: 1,
        changedShare,
        initialPolicies: [{ decisions: [{ step: { observation: [0.5], bounds }, action: 0.7 }], outcome: outcome(0.9) }],
      });
    const drawn = (agent: DqnAgent): number[] =>
      Array.from({ length: 400 }, (_, actor) => agent.act({ observation: [0.5], bounds }, { actor }).value);
    expect(new Set(drawn(make(0)))).toEqual(new Set([0.7]));
    const changed = drawn(make(1));
    // Standard deviation 0.15, cut off at 1: the mean of 400 is off by less than 0.05, and nearly all lie within 0.45.
    expect(Math.abs(changed.reduce((a, b) => a + b) / 400 - 0.7)).toBeLessThan(0.05);
    expect(changed.filter((v) => v < 0.25).length).toBeLessThan(8);
    expect(new Set(changed).size).toBeGreaterThan(4);
  });

  test('where no action lies within the bounds, the bounds are kept', () => {
    const agent = new DqnAgent(1, [0, 1], 1, new Random(5));
    expect(agent.act({ observation: [0.5], bounds: { low: 0.6, high: 0.7 } }).value).toBe(0.7);
  });
});
