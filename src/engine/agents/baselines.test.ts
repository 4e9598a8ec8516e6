import { expect, test } from 'vitest';
import { Random } from '../random';
import { RandomAgent } from './random-agent';
import { describeAgent } from './testing/conformance';
import { IdentityBandit } from './testing/known-answer';
import { runEpisode } from './testing/rollout';
import { UniformAgent } from './uniform-agent';

describeAgent('random search', (_, random) => new RandomAgent(random), { learns: false });
describeAgent('uniform ratio', () => new UniformAgent(0.5), { learns: false });

test('random search repeats its best episode when asked to act without noise', async () => {
  const environment = new IdentityBandit(new Random(1));
  const agent = new RandomAgent(new Random(2));
  let best: readonly number[] = [];
  let bestTotal = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < 20; i++) {
    const { actions, rewards } = await runEpisode(agent, environment, environment.reward);
    const total = rewards.reduce((sum, r) => sum + r, 0);
    if (total > bestTotal) [best, bestTotal] = [actions, total];
  }
  for (const _ of [1, 2]) {
    const again = await runEpisode(agent, environment, environment.reward, { deterministic: true });
    expect(again.actions).toEqual(best);
  }
});

test('the uniform agent cuts its ratio to the bounds', () => {
  const agent = new UniformAgent(0.5);
  expect(agent.act({ observation: [], bounds: { low: 0, high: 0.3 } }).value).toBe(0.3);
  expect(agent.act({ observation: [], bounds: { low: 0, high: 1 } }).value).toBe(0.5);
});
