/** What every method that chooses bit-widths keeps, on a problem that takes no time: stage 2 of what methods.test.ts is for stage 1. */
import { describe, expect, test } from 'vitest';
import { type ConfigInput, METHOD_NAMES } from '../../protocol/config';
import type { Policy } from '../../protocol/policy';
import { findMethod, methodOfStage } from './registry';
import { ALLOWED, bitCostOf, bitLayers, CEILING, PRUNED, playBits, REST } from './testing/bit-problem';
import type { Play } from './testing/play';

const complete = ({ candidates }: Play) => candidates.filter((c) => !c.partial);
const bytes = (policy: Policy): number => bitCostOf(policy).weightBytes - REST;

/** Methods that draw, and those that try many policies and choose. */
const SEARCHES = new Set(['two-stage-ppo', 'episodic-ppo', 'amc', 'cacp', 'crl', 'random-search', 'evolutionary', 'greedy']);
const DRAWN = new Set([...SEARCHES, 'random-ratios']);
DRAWN.delete('greedy');

/** Who chooses bits, whatever method is named: Deep Compression has codes instead. */
const DECIDERS = [
  ...new Set(METHOD_NAMES.filter((name) => findMethod(name).space !== 'codes').map((name) => methodOfStage(name, 'quantize').name)),
] as (typeof METHOD_NAMES)[number][];

test('whoever chooses the bits decides them himself', () => {
  for (const name of DECIDERS) expect(methodOfStage(name, 'quantize').name).toBe(name);
});

const searches = new Map<string, Promise<Play>>();
/** One whole search of each, for all tests that only look at it. */
function onceOf(name: (typeof DECIDERS)[number]): Promise<Play> {
  const known = searches.get(name) ?? playBits(name);
  searches.set(name, known);
  return known;
}

const SHORT: Partial<ConfigInput> = { search: { episodes: 14, actors: 2 } };

describe.each(DECIDERS)('%s', (name) => {
  const method = findMethod(name);
  const once = onceOf(name);
  const short = playBits(name, { input: SHORT });

  test('the same seed gives the same search, another seed another where anything is drawn', async () => {
    const [a, b] = [await short, await playBits(name, { input: SHORT })];
    expect(b.measured).toEqual(a.measured);
    expect(b.result).toEqual(a.result);
    const other = await playBits(name, { input: { ...SHORT, seed: 2 } });
    if (DRAWN.has(name)) expect(other.measured).not.toEqual(a.measured);
    else expect(other.measured).toEqual(a.measured);
  });

  test('killed midway and resumed, it ends as if left alone', async () => {
    const whole = await short;
    const again = await playBits(name, { input: SHORT, killAt: Math.ceil(whole.measured.length / 2) });
    expect(again.result).toEqual(whole.result);
    const figures = (played: Play) => complete(played).map((c) => [c.id, c.accuracy, c.reward]);
    expect(figures(again)).toEqual(figures(whole));
  });

  test('every layer has bits that are allowed; what was decided before stays', async () => {
    for (const { policy } of complete(await once)) {
      for (const { name: layer } of bitLayers) expect(ALLOWED).toContain(policy.bits[layer]);
      expect(policy.ratios).toEqual(PRUNED.ratios);
      expect(policy.bits).toMatchObject(PRUNED.bits);
    }
  });

  test('the result keeps the budget; bounded methods never leave it', async () => {
    const played = await once;
    expect(bytes(played.result.best!.policy)).toBeLessThanOrEqual(CEILING);
    if (method.bounds === 'free') return;
    for (const { policy } of complete(played)) expect(bytes(policy)).toBeLessThanOrEqual(CEILING);
  });

  test('never more scorings than allowed', async () => {
    const { result, measured } = await once;
    // What is proposed again is not measured again, and counts once.
    expect(result.scorings).toBe(new Set(measured.map((m) => JSON.stringify(m))).size);
    if (method.credit !== 'step') expect(result.completePolicies).toBe(result.scorings);
    const { result: limited } = await playBits(name, { input: { search: { episodes: 40, actors: 2, scorings: 25 } } });
    expect(limited.scorings).toBeLessThanOrEqual(25);
    expect(limited.best).toBeDefined();
  });
});

test.each(DECIDERS.filter((name) => SEARCHES.has(name)))('%s finds better bits than the same for all', async (name) => {
  const uniform = await playBits('uniform');
  expect(uniform.result.best!.policy.bits).toEqual({ ...PRUNED.bits, ...Object.fromEntries(bitLayers.map((l) => [l.name, 4])) });
  expect((await onceOf(name)).result.best!.accuracy).toBeGreaterThan(uniform.result.best!.accuracy + 0.01);
});
