import { expect, it } from 'vitest';
import { RandomAgent } from '../agents/random-agent';
import { IdentityBandit } from '../agents/testing/known-answer';
import { Random } from '../random';
import { runEpisodes } from './episodes';

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
