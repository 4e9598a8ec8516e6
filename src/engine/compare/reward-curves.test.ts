import { expect, test } from 'vitest';
import type { RunEvent } from '../../protocol/run-events';
import { bandOf, episodeRewards, lastQuarterMean, type RewardRun, rewardCurves, trailingMean } from './reward-curves';
import { comparedWithSingle, scoringsUntil } from './scorings-until';

const episode = (number: number, reward: number): RunEvent => ({ type: 'episode', episode: number, reward }) as unknown as RunEvent;

test('an episode that a resumed run played again counts once, and those of stage 2 do not count', () => {
  const events = [
    { type: 'phase', phase: 'prune' } as RunEvent,
    episode(0, 0.1),
    episode(1, 0.2),
    { type: 'resumed' } as RunEvent,
    episode(1, 0.3),
    episode(2, 0.4),
    { type: 'phase', phase: 'quantize' } as RunEvent,
    episode(0, 0.9),
  ];
  expect(episodeRewards(events)).toEqual([0.1, 0.3, 0.4]);
});

test('trailing means, the last quarter and the band over seeds', () => {
  expect(trailingMean([2, 4, 6, 8], 2)).toEqual([2, 3, 5, 7]);
  expect(trailingMean([2, 4], 1)).toEqual([2, 4]);
  expect(lastQuarterMean([0, 0, 0, 0, 0, 1, 2, 3])).toBe(2.5);
  // Of five episodes the last two: a quarter is rounded up.
  expect(lastQuarterMean([0, 0, 0, 4, 8])).toBe(6);
  expect(
    bandOf([
      [1, 2, 3],
      [3, 6],
    ]),
  ).toEqual([
    { mean: 2, low: 1, high: 3 },
    { mean: 4, low: 2, high: 6 },
  ]);
  expect(bandOf([])).toEqual([]);
});

test('the figure draws a line for each variant in each panel, and a band where one is asked for', () => {
  const run = (variant: string, seed: number, rewards: number[]): RewardRun => ({ variant, seed, rewards });
  const runs = [run('PPO', 1, [0, 1]), run('PPO', 2, [0.5, 0.5]), run('a < b', 1, [1, 0])];
  const panels = [
    { title: 'both', variants: ['PPO', 'a < b'], banded: true },
    { title: 'one', variants: ['PPO', 'absent'], banded: false },
  ];
  const svg = rewardCurves(runs, panels, 1, 'measured here');
  expect(svg.match(/fill-opacity/g)).toHaveLength(2);
  // Two lines, one line, and two of the legend.
  expect(svg.match(/stroke-width="1.6"/g)).toHaveLength(5);
  expect(svg).toContain('a &lt; b');
  expect(svg).not.toContain('absent');
  // From 0 to 1 with 6 % of room: 50 + (1.06 − v)/1.12 · 206 pixels from the top; PPO's mean goes from 0.25 to 0.75.
  expect(svg).toContain('M58 199L466 107');
  expect(rewardCurves([], panels, 1, '')).toContain('nothing was measured');
});

test('scorings until an accuracy is reached', () => {
  const curve = [
    [1, 0.5],
    [4, 0.7],
    [9, 0.8],
  ] as const;
  expect(scoringsUntil(curve, 0.5)).toBe(1);
  expect(scoringsUntil(curve, 0.6)).toBe(4);
  expect(scoringsUntil(curve, 0.1 + 0.7)).toBe(9);
  expect(scoringsUntil(curve, 0.81)).toBeNull();
  expect(scoringsUntil([], 0)).toBeNull();
});

test('a shared search is held against the sum of the single ones, each until it is within the margin of its own last accuracy', () => {
  const first = {
    shared: [
      [3, 0.6],
      [8, 0.79],
    ] as const,
    single: [
      [2, 0.7],
      [10, 0.796],
      [30, 0.8],
    ] as const,
  };
  const second = { shared: [[5, 0.9]] as const, single: [[20, 0.9]] as const };
  // 0.795 is not reached by 0.79: the margin is half a point.
  expect(comparedWithSingle([first, second], 0.005)).toEqual({ shared: null, single: 30, ratio: null });
  expect(comparedWithSingle([first, second], 0.01)).toEqual({ shared: 8, single: 30, ratio: 3.75 });
});
