import { expect, test } from 'vitest';
import { probesOf } from '../agents/probed-losses';
import type { StageProblem } from '../agents/stage-problem';
import { groups, play } from '../methods/testing/width-problem';
import { scanOf } from './scan-opening';
import { keptChannels } from './width-stage';

const problem: StageProblem = {
  levels: [
    [0, 0.5],
    [0, 0.25, 0.5, 0.75],
    [0, 0.2, 0.4, 0.6, 0.8],
  ],
  relativeCost: () => 2,
};

test('a scan takes as many levels as three fifths of the scorings have room for, with the policy that follows', () => {
  // The whole, then 1 + 3 + 4 at four levels, 1 + 3 + 3 at three, 1 + 2 + 2 at two, 1 + 1 + 1 at one.
  const counts = [100, 17, 15, 14, 12, 9, 8].map((scorings) => scanOf(problem, scorings)?.length);
  expect(counts).toEqual([9, 9, 8, 6, 6, 4, undefined]);
});

test('no scan without a budget, or with several', () => {
  expect(scanOf({ levels: problem.levels }, 100)).toBeUndefined();
  expect(scanOf({ ...problem, tasks: [] }, 100)).toBeUndefined();
});

test('each group is scored alone first; the agent starts from the policy that follows, and ends no worse', async () => {
  const input = { goal: { flops: 0.5 }, search: { episodes: 60, actors: 2, scorings: 60 } } as const;
  const scanned = await play('scan-ppo', { input });
  const probes = probesOf({ levels: groups.map((g) => g.choices.widths.map((w) => 1 - w / g.choices.channels)) }, 4);
  // Behind the uniform policy and two others.
  const alone = scanned.played.slice(0, probes.length).map((policy) => keptChannels(policy, groups));
  alone.forEach((kept, i) => {
    const cut = groups.flatMap((g, step) => (kept[step] < g.choices.channels ? [step] : []));
    expect(cut).toEqual(probes[i].step < 0 ? [] : [probes[i].step]);
  });
  const greedy = await play('greedy', { input });
  expect(scanned.result.scorings).toBeLessThanOrEqual(60);
  expect(scanned.result.best!.accuracy).toBeGreaterThanOrEqual(greedy.result.best!.accuracy);
});
