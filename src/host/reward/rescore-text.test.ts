import { describe, expect, it } from 'vitest';
import type { Candidate } from '../../protocol/policy';
import { rescore } from '../../protocol/reward/rescore';
import { compileReward } from '../../protocol/reward/reward';
import type { RunSummary } from '../../protocol/run-summary';
import { rescoringText, winnerText } from './rescore-text';

const cost = (macs: number) => ({ macs, effectiveMacs: macs, params: macs, effectiveParams: macs, weightBytes: macs });
const candidate = (id: string, accuracy: number, macs: number, reward: number): Candidate => ({
  id,
  stage: 'prune',
  policy: { ratios: {}, bits: {} },
  accuracy,
  images: 10,
  cost: cost(macs),
  reward,
  episode: 0,
  origin: 'ppo',
  partial: false,
});
const run: RunSummary = {
  id: 'r',
  name: 'net',
  folder: '/r',
  modelPath: '/m',
  method: 'uniform',
  status: 'finished',
  startedAt: '',
  secondsElapsed: 0,
  episode: 2,
  episodes: 2,
  original: { accuracy: 0.9, cost: cost(1000) },
  resumable: false,
};
const candidates = [candidate('accurate', 0.9, 900, 0.9), candidate('small', 0.8, 300, 0.8)];
const context = { original: { accuracy: 0.9, flops: 1000, params: 1000, bytes: 1000, sparsity: 0 } };
const ranked = (formula: string) => rescore(candidates, compileReward(formula).reward!, context);

describe('the winner', () => {
  it('changes with the reward', () =>
    expect(winnerText(run, ranked('accuracy - flops / flops0'), candidates)).toBe(
      'small would have won (it was number 2): −70 % MACs, −10.0 pt',
    ));
  it('may stay', () => expect(winnerText(run, ranked('accuracy'), candidates)).toBe('accurate stays first: −10 % MACs, ±0.0 pt'));
  it('is nobody where no reward has a value', () => expect(winnerText(run, ranked('1 / (flops - flops)'), candidates)).toBeUndefined());
});

it('the table ranks, and says what failed', () => {
  const text = rescoringText(run, 'f', ranked('1 / (flops - 900)'), candidates);
  expect(text).toContain('| 1 | 1 | small |');
  expect(text).toMatch(/1 candidates have no value under this reward: .+\./);
});
