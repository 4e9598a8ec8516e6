import { expect, test } from 'vitest';
import { Random } from '../random';
import { EvolutionaryAgent } from './evolutionary-agent';
import { describeAgent } from './testing/conformance';
import { BudgetChain, IdentityBandit } from './testing/known-answer';
import { runEpisode } from './testing/rollout';

describeAgent('evolutionary search', ({ steps }, random) => new EvolutionaryAgent(steps, random, { population: 12 }), { noisy: false });

test('the first policy is the one to start from, cut to the bounds', async () => {
  const environment = new IdentityBandit(new Random(1));
  const agent = new EvolutionaryAgent(environment.steps, new Random(2), { start: 0.4 });
  expect((await runEpisode(agent, environment, environment.reward)).actions).toEqual(Array(environment.steps).fill(0.4));
  expect((await runEpisode(agent, environment, environment.reward)).actions).not.toEqual(Array(environment.steps).fill(0.4));
});

test('a child differs from its parent in some actions, and the population improves', async () => {
  const environment = new BudgetChain(new Random(3));
  const agent = new EvolutionaryAgent(environment.steps, new Random(4), { population: 8, crossover: 0, mutationRate: 0.2 });
  const totals: number[] = [];
  for (let i = 0; i < 120; i++) {
    const { rewards } = await runEpisode(agent, environment, environment.reward);
    totals.push(rewards.reduce((sum, r) => sum + r, 0));
  }
  const mean = (values: number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
  expect(mean(totals.slice(-20))).toBeGreaterThan(mean(totals.slice(0, 8)) + 0.2);
});

test('without noise it repeats the best episode', async () => {
  const environment = new IdentityBandit(new Random(5));
  const agent = new EvolutionaryAgent(environment.steps, new Random(6));
  let best: readonly number[] = [];
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < 30; i++) {
    const { actions } = await runEpisode(agent, environment, environment.reward);
    if (environment.value(actions) > most) [best, most] = [actions, environment.value(actions)];
  }
  for (const _ of [1, 2]) expect((await runEpisode(agent, environment, environment.reward, { deterministic: true })).actions).toEqual(best);
});
