import { expect, it } from 'vitest';
import type { Outcome } from '../agents/agent';
import { PpoAgent } from '../agents/ppo';
import { RandomAgent } from '../agents/random-agent';
import { loadTensorBackend } from '../agents/tensor-backend';
import { BudgetChain, IdentityBandit } from '../agents/testing/known-answer';
import { Random } from '../random';
import { type Credit, runEpisodes } from './episodes';

it('an event stops a search whose every step is answered at once', async () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('enough')), 5);
  let ended = 0;
  const running = runEpisodes({
    agent: new RandomAgent(new Random(1)),
    environments: [new IdentityBandit(new Random(2))],
    episodes: 50_000,
    reward: ({ accuracy }) => accuracy,
    credit: 'step',
    onRound: ({ episodes }) => {
      ended = episodes;
    },
    signal: controller.signal,
  });
  await expect(running).rejects.toThrow('enough');
  expect(ended).toBeGreaterThan(0);
  expect(ended).toBeLessThan(50_000);
});

it.each<Credit>(['step', 'episode', 'episode-chain'])(
  'credited by %s, an episode around the best policy takes each of its actions in turn, for several actors',
  async (credit) => {
    const environments = [new BudgetChain(new Random(4)), new BudgetChain(new Random(4))];
    const { observationSize, steps } = environments[0];
    const decisions = [];
    let step = await environments[0].reset();
    for (let i = 0; i < steps; i++) {
      // Shares of the range that are all different.
      const action = step.bounds.low + ((i + 1) / (steps + 2)) * (step.bounds.high - step.bounds.low);
      decisions.push({ step, action });
      step = (await environments[0].step(action)).next ?? step;
    }
    const outcome: Outcome = { accuracy: 2, flops: 1, measures: {} };
    const agent = new PpoAgent(await loadTensorBackend('js'), observationSize, new Random(5), {
      noise: { start: 1e-4, decay: 1, floor: 1e-4 },
      aroundBest: 1,
      changedShare: 0,
      initialPolicies: [{ decisions, outcome }],
    });
    const acted: number[][] = [[], []];
    const act = agent.act.bind(agent);
    agent.act = (s, options) => {
      const action = act(s, options);
      acted[options!.actor!].push((action.value - s.bounds.low) / (s.bounds.high - s.bounds.low));
      return action;
    };
    await runEpisodes({ agent, environments, episodes: 2, reward: (o) => o.accuracy, credit });
    for (const fractions of acted) {
      expect(fractions.length).toBe(steps);
      fractions.forEach((f, i) => {
        expect(f).toBeCloseTo((i + 1) / (steps + 2), 3);
      });
    }
  },
);
