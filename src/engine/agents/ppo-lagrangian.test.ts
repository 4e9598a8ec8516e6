import { expect, test } from 'vitest';
import { Random } from '../random';
import type { Environment, Outcome, Transition } from './agent';
import { PpoAgent } from './ppo';
import { PpoLagrangianAgent, RELATIVE_COST } from './ppo-lagrangian';
import { PPO_IMPROVED } from './ppo-options';
import { loadTensorBackend } from './tensor-backend';
import { describeAgent } from './testing/conformance';

const backend = await loadTensorBackend('js');

const make = ({ observationSize }: Pick<Environment, 'observationSize'>, random: Random, options = {}) =>
  new PpoLagrangianAgent(
    new PpoAgent(backend, observationSize, random, { ...PPO_IMPROVED, hidden: 12, minibatch: 12, learningStarts: 8, warmUp: 0 }),
    options,
  );

const outcome = (accuracy: number, cost: number): Outcome => ({ accuracy, flops: 1, measures: { [RELATIVE_COST]: cost } });

const transition = (actor: number, of: Outcome): Transition => ({
  observation: [0, 0],
  bounds: { low: 0, high: 1 },
  action: 0.5,
  sample: 0.5,
  logProbability: 0,
  outcome: of,
  next: undefined,
  done: true,
  actor,
});

// The known-answer environments have no cost; there the agent is PPO, which has its own suite.
describeAgent(
  'PPO-Lagrangian',
  (environment, random) => {
    const agent = make(environment, random);
    const { observe } = agent;
    agent.observe = (t, reward) =>
      observe.call(agent, { ...t, outcome: { ...t.outcome, measures: { [RELATIVE_COST]: 2 * t.outcome.flops } } }, reward);
    return agent;
  },
  { learns: false },
);

test('λ ← max(0, λ + η(mean cost/budget − 1)) after each round, over the actors’ last outcomes', () => {
  const agent = make({ observationSize: 2 }, new Random(1), { lambda: 0.5, lambdaRate: 0.2 });
  agent.observe(transition(0, outcome(0.9, 9)), (o) => o.accuracy);
  agent.observe(transition(0, outcome(0.9, 1.5)), (o) => o.accuracy);
  agent.observe(transition(1, outcome(0.8, 2.5)), (o) => o.accuracy);
  agent.endRound((o) => o.accuracy);
  expect(agent.price).toBeCloseTo(0.5 + 0.2 * 1, 12);
  agent.observe(transition(0, outcome(0.8, 0)), (o) => o.accuracy);
  for (let i = 0; i < 4; i++) {
    agent.observe(transition(0, outcome(0.8, 0)), (o) => o.accuracy);
    agent.endRound((o) => o.accuracy);
  }
  expect(agent.price).toBe(0);
});

test('the reward is what is left after the price of the excess', () => {
  const rewards: number[] = [];
  const ppo = new PpoAgent(backend, 2, new Random(1));
  ppo.observe = (t, reward) => {
    rewards.push(reward(t.outcome));
    return undefined;
  };
  const agent = new PpoLagrangianAgent(ppo, { lambda: 2 });
  agent.observe(transition(0, outcome(0.9, 1.25)), (o) => o.accuracy);
  agent.observe(transition(0, outcome(0.9, 0.5)), (o) => o.accuracy);
  expect(rewards[0]).toBeCloseTo(0.9 - 0.5, 12);
  expect(rewards[1]).toBeCloseTo(0.9 + 1, 12);
});

test('without a cost there is nothing to keep to', () => {
  const agent = make({ observationSize: 2 }, new Random(1));
  const bare = { accuracy: 0.5, flops: 1, measures: {} };
  expect(() => agent.observe(transition(0, bare), (o) => o.accuracy)).toThrow('no cost to keep within a budget');
});
