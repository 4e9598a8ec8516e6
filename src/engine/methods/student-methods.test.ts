/** What every method that takes layers out and narrows the rest keeps, on a problem that takes no time. */
import { describe, expect, test } from 'vitest';
import { METHOD_NAMES } from '../../protocol/config';
import { keptChannels } from '../search/width-stage';
import { findMethod } from './registry';
import type { Play } from './testing/play';
import { needless, playStudents, studentCost, studentGroups } from './testing/student-problem';

const complete = ({ candidates }: Play) => candidates.filter((c) => !c.partial);
const WHOLE = studentCost({ ratios: {}, bits: {} }).params;

describe.each(METHOD_NAMES.filter((name) => findMethod(name).space === 'student'))('%s', (name) => {
  const options = { hidden: 12 };
  const once = playStudents(name, { options });

  test('the same seed gives the same search, another seed another', async () => {
    const [a, b] = [await once, await playStudents(name, { options })];
    expect(b.measured).toEqual(a.measured);
    expect(b.result).toEqual(a.result);
    const other = await playStudents(name, { options, input: { seed: 2 } });
    expect(other.measured).not.toEqual(a.measured);
  });

  test.each([0.2, 0.7])('killed %f of the way and resumed, it ends as if left alone', async (share) => {
    const whole = await once;
    const again = await playStudents(name, { options, killAt: Math.ceil(share * whole.measured.length) });
    expect(again.result).toEqual(whole.result);
    const figures = (played: Play) => complete(played).map((c) => [c.id, c.accuracy, c.reward]);
    expect(figures(again)).toEqual(figures(whole));
  });

  test('parts are taken out first; what is narrowed after it has that network', async () => {
    const { played, result } = await once;
    const narrowing = played.findIndex((p) => Object.keys(p.ratios).length > 0);
    expect(narrowing).toBeGreaterThan(0);
    for (const p of played.slice(0, narrowing)) expect(p.ratios).toEqual({});
    for (const p of played.slice(narrowing)) expect(p.removed).toEqual(result.best!.policy.removed);
  });

  test('no group is narrowed to nothing', async () => {
    for (const { policy } of complete(await once))
      for (const [i, kept] of keptChannels(policy, studentGroups).entries()) expect(studentGroups[i].choices.widths).toContain(kept);
  });

  test('takes out what is not needed, and narrows the group that matters less', async () => {
    const { policy, accuracy } = (await once).result.best!;
    expect([...(policy.removed ?? [])].sort()).toEqual(needless);
    expect(policy.ratios['g0']).toBeGreaterThan(policy.ratios['g1']);
    expect(accuracy).toBeGreaterThan(0.8);
  });

  test('a budget is kept', async () => {
    const { result } = await playStudents(name, { options, input: { goal: { params: 0.2 } } });
    expect(studentCost(result.best!.policy).params).toBeLessThanOrEqual(0.2 * WHOLE);
  });

  test('never more scorings than allowed, over both searches', async () => {
    const { result } = await playStudents(name, { options, input: { search: { episodes: 160, actors: 2, scorings: 25 } } });
    expect(result.scorings).toBeLessThanOrEqual(25);
    expect(result.best).toBeDefined();
  });
});
