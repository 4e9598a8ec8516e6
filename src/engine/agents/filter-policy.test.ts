import { describe, expect, test } from 'vitest';
import { Random } from '../random';
import type { Transition } from './agent';
import { FilterPolicyAgent } from './filter-policy';
import { describeAgent } from './testing/conformance';

describeAgent(
  'RLP’s filter policy',
  ({ observationSize }, random) => new FilterPolicyAgent(observationSize, random, { hidden: 16, learningRate: 3e-2 }),
  { binary: true },
);

const bounds = { low: 0, high: 1 };
const decision = (observation: readonly number[], action: number, accuracy: number, done: boolean, limits = bounds): Transition => ({
  observation,
  bounds: limits,
  action,
  sample: action,
  logProbability: 0,
  outcome: { accuracy, flops: 1, measures: {} },
  next: done ? undefined : { observation, bounds },
  done,
  actor: 0,
});

describe('REINFORCE', () => {
  const make = (options = {}) => new FilterPolicyAgent(2, new Random(1), { samples: 2, hidden: 8, ...options });

  test('begins with the probability of staying that it is told', () => {
    for (const p of make({ initialKeep: 0.7 }).keepProbabilities([
      [0, 1],
      [1, 0],
    ]))
      expect(p).toBeCloseTo(0.7, 2);
  });

  test('what was rewarded above the baseline becomes likelier, what was below less likely', () => {
    const agent = make({ initialKeep: 0.5 });
    const before = agent.keepProbabilities([[0, 1]])[0];
    for (let i = 0; i < 40; i++) {
      agent.observe(decision([0, 1], 1, 0.9, true), (o) => o.accuracy);
      agent.observe(decision([0, 1], 0, 0.1, true), (o) => o.accuracy);
    }
    expect(agent.keepProbabilities([[0, 1]])[0]).toBeLessThan(before - 0.1);
  });

  test('equal rewards teach nothing, whatever their sign', () => {
    for (const reward of [5, -5]) {
      const agent = make();
      const before = agent.keepProbabilities([[0, 1]]);
      for (let i = 0; i < 4; i++) agent.observe(decision([0, 1], i % 2, 0.5, true), () => reward);
      expect(agent.keepProbabilities([[0, 1]])).toEqual(before);
    }
  });

  test('decisions that the bounds made are not credited', () => {
    const agent = make();
    const before = agent.keepProbabilities([[0, 1]]);
    for (let i = 0; i < 4; i++) agent.observe(decision([0, 1], 0, i / 4, true, { low: 0, high: 0 }), (o) => o.accuracy);
    expect(agent.keepProbabilities([[0, 1]])).toEqual(before);
  });

  test('the step is the gradient of (R − b)·log π by finite differences', () => {
    // Adam's first step moves every parameter by the learning rate against the sign of its gradient.
    const rate = 1e-4;
    const agent = make({ initialKeep: 0.6, learningRate: rate });
    const states = [
      [0.2, 0.9],
      [0.8, 0.1],
    ] as const;
    const draws = [
      { actions: [0, 1], reward: 1 },
      { actions: [1, 1], reward: 0 },
    ];
    const mlp = (agent as unknown as { network: { parameters: Float32Array[] } }).network;
    const objective = (): number => {
      const keep = agent.keepProbabilities(states);
      const log = (actions: readonly number[]) => actions.reduce((sum, a, i) => sum + Math.log(a === 1 ? 1 - keep[i] : keep[i]), 0);
      return draws.reduce((sum, d) => sum + (d.reward - 0.5) * log(d.actions), 0);
    };
    const expected = mlp.parameters.map((values) =>
      Array.from(values, (v, i) => {
        values[i] = v + 1e-3;
        const above = objective();
        values[i] = v - 1e-3;
        const below = objective();
        values[i] = v;
        return above - below;
      }),
    );
    const before = mlp.parameters.map((values) => values.slice());
    for (const { actions, reward } of draws)
      states.forEach((s, i) => {
        agent.observe(decision(s, actions[i], reward, i === 1), (o) => o.accuracy);
      });
    let compared = 0;
    mlp.parameters.forEach((values, k) => {
      values.forEach((v, i) => {
        if (Math.abs(expected[k][i]) < 1e-6) return;
        compared++;
        expect(Math.sign(v - before[k][i])).toBe(Math.sign(expected[k][i]));
      });
    });
    expect(compared).toBeGreaterThan(10);
  });
});
