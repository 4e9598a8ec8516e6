/** Every method in the registry is held to the same contract, on a pruning problem that takes no time. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Config, type ConfigInput, configSchema, METHOD_NAMES } from '../../protocol/config';
import { Random } from '../random';
import { keptChannels } from '../search/width-stage';
import { cacpTargets } from './cacp';
import type { AgentContext, Method } from './method';
import { findMethod, methods } from './registry';
import { withMethodSettings } from './settings';
import { groups, macsOf, type Played, play } from './testing/width-problem';
import { createEpisodicPpo } from './two-stage-ppo';

const WHOLE = macsOf(groups.map((g) => g.choices.channels));
const shareOf = (policy: Played['candidates'][number]['policy']): number => macsOf(keptChannels(policy, groups)) / WHOLE;
const complete = ({ candidates }: Played) => candidates.filter((c) => !c.partial);

/** Methods that try many policies and choose. */
const SEARCHES: ReadonlySet<string> = new Set([
  'two-stage-ppo',
  'episodic-ppo',
  'amc',
  'cacp',
  'conditional-ppo',
  'crl',
  'random-search',
  'evolutionary',
  'greedy',
]);

test('a config may name every method there is, and no other', () => {
  expect(methods.map((m) => m.name).sort()).toEqual([...METHOD_NAMES].sort());
});

/** Where the methods of each kind are held to what they keep; `bit-methods.test.ts` is for all of them, in stage 2. */
const SUITES: Readonly<Record<NonNullable<Method['space']>, string>> = {
  widths: 'methods.test.ts',
  weights: 'mask-methods.test.ts',
  filters: 'filter-methods.test.ts',
  student: 'student-methods.test.ts',
  rows: 'row-methods.test.ts',
  tickets: '../../../test/runs/tickets.test.ts',
  codes: '../../../test/runs/tickets.test.ts',
};

test.each(methods.map((m) => [m.name, m.space ?? 'widths'] as const))('%s has a suite of its kind: %s', (name, space) => {
  const suite = readFileSync(join(__dirname, SUITES[space]), 'utf8');
  // By its kind, or where a kind takes whole runs, by name.
  expect(suite).toMatch(new RegExp(`=== '${space}'|describe\\('${name}'`));
});

/** Methods that decide widths; those that decide something else have suites of their own beside this one. */
const WIDTHS = METHOD_NAMES.filter((name) => (findMethod(name).space ?? 'widths') === 'widths');

describe.each(WIDTHS)('%s', (name) => {
  const method = findMethod(name);
  const once = play(name);

  test('the same seed gives the same search, another seed another where anything is drawn', async () => {
    const [a, b] = [await once, await play(name)];
    expect(b.measured).toEqual(a.measured);
    expect(b.result).toEqual(a.result);
    const other = await play(name, { input: { seed: 2 } });
    const drawn = SEARCHES.has(name) && name !== 'greedy';
    if (drawn || name === 'random-ratios') expect(other.measured).not.toEqual(a.measured);
    else expect(other.measured).toEqual(a.measured);
  });

  test('killed midway and resumed, it ends as if left alone', async () => {
    const whole = await once;
    const again = await play(name, { killAt: Math.ceil(whole.measured.length / 2) });
    expect(again.result).toEqual(whole.result);
    // Partial policies that did not enter the front are not journalled, so a resumed run has none of them.
    const figures = (played: Played) => complete(played).map((c) => [c.id, c.accuracy, c.reward]);
    expect(figures(again)).toEqual(figures(whole));
  });

  test('no group is pruned to nothing, and widths are those allowed', async () => {
    for (const { policy } of (await once).candidates) {
      for (const [i, kept] of keptChannels(policy, groups).entries()) expect(groups[i].choices.widths).toContain(kept);
    }
  });

  test('the result keeps the budget; bounded methods never leave it', async () => {
    const played = await once;
    expect(shareOf(played.result.best!.policy)).toBeLessThanOrEqual(0.5 + 1e-9);
    if (method.bounds === 'free') return;
    const limits = method.targets?.(played.config) ?? [0.5];
    for (const { policy } of complete(played)) {
      // Within one of the targets, and at most 3 % of the original and one width below it.
      const share = shareOf(policy);
      expect(limits.some((limit) => share <= limit + 1e-9 && share > limit - 0.1)).toBe(true);
    }
  });

  test('never more scorings than allowed, and an episode is one where it is credited as a whole', async () => {
    const { result, measured } = await once;
    // What is proposed again is not measured again, and counts once.
    expect(result.scorings).toBe(new Set(measured.map((m) => JSON.stringify(m))).size);
    if (method.credit !== 'step') expect(result.completePolicies).toBe(result.scorings);
    const { result: limited } = await play(name, { input: { search: { episodes: 60, actors: 2, scorings: 25 } } });
    expect(limited.scorings).toBeLessThanOrEqual(25);
    expect(limited.best).toBeDefined();
    // Not even one whole policy, where every step is scored; greedy says how many it needs.
    if (name === 'greedy') return;
    const few = await play(name, { input: { search: { episodes: 60, actors: 2, scorings: groups.length - 1 } } });
    expect(few.result.scorings).toBeLessThanOrEqual(groups.length - 1);
    expect(shareOf(few.result.best!.policy)).toBeLessThanOrEqual(0.5 + 1e-9);
  });

  if (['episodic-ppo', 'conditional-ppo', 'crl', 'random-search'].includes(name)) {
    test('goes on to policies that it has not tried, as long as there are scorings', async () => {
      const { result } = await play(name, { input: { search: { episodes: 90, actors: 2, scorings: 30 } } });
      expect(result.scorings).toBeGreaterThanOrEqual(29);
    });
  }

  // One policy alone is none that a search found.
  if (SEARCHES.has(name)) {
    test('finds a better policy than the uniform one', async () => {
      const uniform = await play('uniform');
      expect((await once).result.best!.accuracy).toBeGreaterThan(uniform.result.best!.accuracy + 0.01);
    });
  }
});

test('a reward that names the episode goes on counting after a resume', async () => {
  const input: Partial<ConfigInput> = { goal: { flops: 0.5 }, reward: 'accuracy * (1 + episode)', search: { episodes: 12, actors: 2 } };
  const rewards = (played: Played) => new Map(complete(played).map((c) => [c.id, c.reward]));
  const whole = rewards(await play('random-search', { input }));
  const again = rewards(await play('random-search', { input, killAt: 7 }));
  expect(again).toEqual(whole);
});

describe('what is particular', () => {
  test('cacp serves each target within one search, and gives the goal’s as the result', async () => {
    const { targets, result, candidates, config } = await play('cacp', {
      input: { goal: { flops: 0.5 }, method: { name: 'cacp', options: { targets: '0.4,0.7', hidden: 16, minibatch: 8 } } },
    });
    expect(cacpTargets(config)).toEqual([0.4, 0.5, 0.7]);
    expect(targets.map((t) => t.share)).toEqual([0.4, 0.5, 0.7]);
    for (const { share, candidate } of targets) expect(shareOf(candidate.policy)).toBeLessThanOrEqual(share + 1e-9);
    expect(targets[0].candidate.accuracy).toBeLessThan(targets[2].candidate.accuracy);
    expect(result.best!.id).toBe(targets[1].candidate.id);
    expect(candidates.filter((c) => !c.partial).length).toBeLessThanOrEqual(60);
  });

  test('episodic PPO scores the uniform policy and two that change with depth first', async () => {
    const { candidates } = await play('episodic-ppo');
    const [uniform, early, late] = candidates.map(({ policy }) => groups.map((g) => policy.ratios[g.id]));
    expect(uniform).toEqual(Object.values((await play('uniform')).result.best!.policy.ratios));
    expect(early[0]).toBeGreaterThan(early[early.length - 1] + 0.1);
    expect(late[late.length - 1]).toBeGreaterThan(late[0] + 0.1);
    for (const { policy } of candidates.slice(0, 3)) expect(shareOf(policy)).toBeLessThanOrEqual(0.5 + 1e-9);
  });

  test('conditional PPO begins with the uniform policy of each target, and serves each within one search', async () => {
    const { targets, result, candidates } = await play('conditional-ppo', {
      input: { goal: { flops: 0.5 }, method: { name: 'conditional-ppo', options: { targets: '0.4,0.7' } } },
    });
    expect(targets.map((t) => t.share)).toEqual([0.4, 0.5, 0.7]);
    // The goal's target comes first.
    for (const [i, t] of [1, 0, 2].entries()) {
      const { share, candidate } = targets[t];
      const uniform = await play('uniform', { input: { goal: { flops: share } } });
      expect(candidates[i].policy).toEqual(uniform.result.best!.policy);
      expect(candidate.accuracy).toBeGreaterThan(candidates[i].accuracy);
    }
    expect(result.best!.id).toBe(targets[1].candidate.id);
  });

  test.each([1, 2])('conditional PPO with %s scorings keeps the goal', async (scorings) => {
    const { result } = await play('conditional-ppo', {
      input: { goal: { flops: 0.5 }, search: { episodes: 60, actors: 2, scorings }, method: { name: 'conditional-ppo' } },
    });
    expect(result.scorings).toBe(scorings);
    expect(shareOf(result.best!.policy)).toBeLessThanOrEqual(0.5 + 1e-9);
  });

  test('cacp without a goal takes the middle target; a target that is no share is refused', () => {
    const config = (options: Record<string, string>): Config =>
      ({ ...withMethodSettingsOf('cacp', {}), method: { name: 'cacp', options }, goal: {} }) as Config;
    expect(withMethodSettings(config({})).goal.flops).toBe(0.5);
    expect(() => cacpTargets(config({ targets: '0.3,50' }))).toThrow("targets '0.3,50' must be shares");
  });

  test('greedy spends its probes on single layers, then acts out one policy', async () => {
    const { measured } = await play('greedy');
    const cut = measured.map((d) => d.filter(([id, kept]) => kept < groups.find((g) => g.id === id)!.choices.channels).length);
    const probes = cut.findIndex((n) => n > 1);
    expect(cut.slice(0, probes).every((n) => n <= 1)).toBe(true);
    expect(probes).toBeGreaterThanOrEqual(1 + groups.length);
    expect(new Set(measured.slice(probes).map((d) => JSON.stringify(d))).size).toBe(1);
    // What hurts least (the fourth and second group) goes first; the most sensitive (the first) stays widest.
    const ratios = measured.at(-1)!.map(([, kept], i) => 1 - kept / groups[i].choices.channels);
    expect(ratios[3]).toBeGreaterThan(0.5);
    expect(ratios[0]).toBe(Math.min(...ratios));
  });

  test('greedy says how many episodes it needs', async () => {
    await expect(play('greedy', { input: { search: { episodes: 4, actors: 2 } } })).rejects.toThrow('needs 8 episodes, and 4 are allowed');
  });

  test('crl and greedy ask for a budget', async () => {
    await expect(play('crl', { input: { goal: {} } })).rejects.toThrow('no cost to keep within a budget');
    await expect(play('greedy', { input: { goal: {} } })).rejects.toThrow('no budget to meet');
  });

  test('crl scores the uniform policy first, which keeps the budget without being bounded by it', async () => {
    const { measured } = await play('crl');
    expect(macsOf(measured[0].map(([, kept]) => kept)) / WHOLE).toBeLessThanOrEqual(0.5);
  });

  test('crl keeps to milliseconds, which only measuring tells', async () => {
    const latency = 1 + (0.5 * WHOLE) / 100;
    const { result, candidates } = await play('crl', { input: { goal: { latency }, search: { episodes: 40, actors: 2 } } });
    expect(result.best!.latency![0].median).toBeLessThanOrEqual(latency);
    const within = candidates.filter((c) => !c.partial && c.latency![0].median <= latency);
    expect(result.best!.accuracy).toBe(Math.max(...within.map((c) => c.accuracy)));
    // It is a limit that some policies miss, and no bound.
    expect(candidates.some((c) => !c.partial && c.latency![0].median > latency)).toBe(true);
  });

  test('episodic-ppo’s own values stand where the config has the general ones, and no other', () => {
    const optionsOf = (agent: ConfigInput['agent']) => {
      const { agent: settings } = configSchema.parse({ model: 'm.onnx', agent });
      const random = new Random(1);
      const problem = { levels: [] };
      const plan = { initialPolicies: [], episodes: 100, steps: 5, problem };
      const rest = { backend: undefined as never, observationSize: 3, random, options: {}, ...plan };
      return createEpisodicPpo({ ...rest, settings } as unknown as AgentContext).options;
    };
    expect(optionsOf({})).toMatchObject({ gamma: 1, actorLearningRate: 1e-3, tau: 0.02, noise: { start: 0.35, floor: 0.15 } });
    expect(optionsOf({ tau: 0.1, noise: { start: 0.2 } })).toMatchObject({
      gamma: 1,
      actorLearningRate: 1e-3,
      tau: 0.1,
      noise: { start: 0.2, decay: 0.95 },
    });
  });

  test('crl’s price brings policies towards the budget, which nothing else does', async () => {
    // Without what keeps episodes near a good policy whatever the price is.
    const lateShare = async (options: Record<string, number>): Promise<number> => {
      const { played } = await play('crl', {
        input: { search: { episodes: 150, actors: 2 }, method: { name: 'crl', options: { ...options, aroundBest: 0 } } },
      });
      const late = played.slice(-40).map(shareOf);
      return late.reduce((sum, s) => sum + s, 0) / late.length;
    };
    const free = await lateShare({ lambda: 0, lambdaRate: 0 });
    const priced = await lateShare({});
    expect(free).toBeGreaterThan(0.6);
    expect(priced).toBeLessThan(free - 0.05);
    expect(Math.abs(priced - 0.5)).toBeLessThan(0.15);
  });
});

describe('settings that belong to a method', () => {
  test('masking within rollouts is for methods that choose widths', () => {
    const config = (name: string, enabled = true) =>
      configSchema.parse({ model: 'm.onnx', method: name, pruning: { variational: { enabled, rolloutSteps: 3 } } });
    expect(() => withMethodSettings(config('purl'))).toThrow('rolloutSteps: purl does not choose widths');
    for (const fine of [config('episodic-ppo'), config('purl', false)]) expect(() => withMethodSettings(fine)).not.toThrow();
  });

  test('take the place of defaults, not of what the config says', () => {
    const amc = withMethodSettingsOf('amc', {});
    expect(amc.pruning).toMatchObject({ selection: 'l1', refit: false });
    expect(amc.reward.prune).toBe('accuracy');
    expect(withMethodSettingsOf('amc', { goal: {} }).reward.prune).toBe('amc-flops');
    // A limit on bytes bounds the bits of stage 2; where there is none, the widths.
    expect(withMethodSettingsOf('amc', { goal: { bytes: 0.1 } }).reward.prune).toBe('amc-flops');
    expect(withMethodSettingsOf('amc', { goal: { bytes: 0.1 }, stages: { prune: true, quantize: false } }).reward.prune).toBe('accuracy');
    expect(withMethodSettingsOf('amc', { pruning: { selection: 'lasso' } }).pruning.selection).toBe('lasso');
    expect(withMethodSettingsOf('amc', { reward: 'purl' }).reward.prune).toBe('purl');
    expect(withMethodSettingsOf('two-stage-ppo', {})).toEqual(withMethodSettingsOf('two-stage-ppo', {}));
    expect(withMethodSettingsOf('two-stage-ppo', {}).pruning.selection).toBe('backward-elimination');
  });

  test('"pruner": "config" leaves the pruner alone; a criterion is the method itself', () => {
    const amc = withMethodSettingsOf('amc', { method: { name: 'amc', options: { pruner: 'config' } } });
    expect(amc.pruning).toMatchObject({ selection: 'backward-elimination', refit: true });
    expect(withMethodSettingsOf('fpgm', { pruning: { selection: 'lasso' } }).pruning.selection).toBe('fpgm');
  });

  test('an option that the method does not have is refused, with those it has', () => {
    const of = (name: Config['method']['name'], options: Config['method']['options']) =>
      withMethodSettingsOf(name, { method: { name, options } });
    expect(() => of('amc', { warmup: 3 })).toThrow('method.options.warmup: amc has no such option');
    expect(() => of('uniform', { targets: '0.3' })).toThrow('method.options.targets: uniform has no such option');
    for (const name of METHOD_NAMES) expect(() => of(name, { odd: true })).toThrow(`${name} has no such option`);
    expect(of('cacp', { targets: '0.3', tau: 0.1, pruner: 'config' }).method.options).toMatchObject({ tau: 0.1 });
  });

  test('an option of another type than its default is refused', async () => {
    await expect(play('two-stage-ppo', { options: { clip: 'no' } })).rejects.toThrow('method.options.clip is "no", which is not a boolean');
  });

  test('applied twice they change nothing', () => {
    for (const name of METHOD_NAMES) {
      const config = withMethodSettingsOf(name, {});
      expect(withMethodSettings(config)).toEqual(config);
    }
  });
});

function withMethodSettingsOf(name: Config['method']['name'], input: Partial<ConfigInput>): Config {
  return withMethodSettings(configSchema.parse({ model: 'm.onnx', method: name, goal: { flops: 0.5 }, ...input }));
}
