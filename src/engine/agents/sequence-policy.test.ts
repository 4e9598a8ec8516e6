import { describe, expect, test } from 'vitest';
import { Random } from '../random';
import type { Observation } from './agent';
import { SequencePolicyAgent } from './sequence-policy';
import { loadTensorBackend } from './tensor-backend';
import { describeAgent } from './testing/conformance';

const backend = await loadTensorBackend('js');
const OPTIONS = { hidden: 16 };

describeAgent(
  'N2N’s removal policy, in both directions',
  ({ observationSize, steps, sequence }, random) =>
    new SequencePolicyAgent(backend, observationSize, [0, 1], steps, { kind: 'both', sequence }, random, OPTIONS),
  { binary: true, patience: 2 },
);

describeAgent(
  'N2N’s shrinkage policy, forwards',
  ({ observationSize, steps }, random) =>
    new SequencePolicyAgent(backend, observationSize, [0, 0.25, 0.5, 0.75, 1], steps, { kind: 'forwards' }, random, OPTIONS),
  { patience: 4 },
);

describe('a policy over a sequence', () => {
  const sequence: Observation[] = [[0], [1]];
  const bounds = { low: 0, high: 1 };
  const make = (kind: 'both' | 'forwards', actions = [0, 1]) =>
    new SequencePolicyAgent(backend, 1, actions, 2, kind === 'both' ? { kind, sequence } : { kind }, new Random(4), {
      ...OPTIONS,
      samples: 8,
    });
  const play = (agent: SequencePolicyAgent, reward: (actions: readonly number[]) => number): readonly number[] => {
    const steps = sequence.map((observation) => ({ observation, bounds }));
    const actions = steps.map((step) => agent.act(step).value);
    steps.forEach((step, t) => {
      const next = steps[t + 1];
      const outcome = { accuracy: reward(actions), flops: 1, measures: {} };
      agent.observe(
        { ...step, action: actions[t], sample: actions[t], logProbability: 0, outcome, next, done: !next, actor: 0 },
        (o) => o.accuracy,
      );
    });
    agent.endRound();
    return actions;
  };

  test('forwards, the second choice may depend on the first: opposite choices are learned', () => {
    const agent = make('forwards');
    for (let i = 0; i < 400; i++) play(agent, ([a, b]) => (a !== b ? 1 : 0));
    const late = Array.from({ length: 40 }, () => play(agent, ([a, b]) => (a !== b ? 1 : 0)));
    expect(late.filter(([a, b]) => a !== b).length).toBeGreaterThan(34);
  });

  test('choices outside of the bounds are never drawn', () => {
    const agent = make('both', [0, 0.25, 0.5, 0.75, 1]);
    const drawn = new Set(
      Array.from({ length: 60 }, (_, i) => agent.act({ observation: sequence[i % 2], bounds: { low: 0.2, high: 0.6 } }).value),
    );
    expect([...drawn].sort()).toEqual([0.25, 0.5]);
  });

  test('at the beginning every choice is nearly as likely', () => {
    const { logProbability } = make('both').act({ observation: [0], bounds });
    expect(Math.exp(logProbability)).toBeCloseTo(0.5, 2);
  });
});
