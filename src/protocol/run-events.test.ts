import { describe, expect, it } from 'vitest';
import { configSchema } from './config';
import { type Candidate, candidateSchema, policySchema } from './policy';
import { JOURNAL_FORMAT, jsonFigure, type RunEvent, readJournalLine, runEventSchema } from './run-events';
import { type RunSnapshot, runSnapshotSchema } from './run-summary';

const candidate: Candidate = {
  id: 'c1',
  stage: 'prune',
  policy: { ratios: { conv1: 0.5 }, bits: { conv1: 4, fc: 32 } },
  accuracy: 0.9,
  images: 1000,
  cost: { macs: 10, effectiveMacs: 8, params: 6, effectiveParams: 5, weightBytes: 24, channels: 3 },
  latency: [{ batch: 1, median: 0.5, low: 0.4, high: 0.6, runs: 20 }],
  reward: 1.2,
  episode: 3,
  origin: 'ppo',
  partial: false,
};
const machine = { cpu: 'a CPU', cores: 2, memoryBytes: 1e9, platform: 'linux', architecture: 'x64' };
const policy = candidate.policy;
const diagnostics = { criticLoss: 0.1, actorLoss: null, approxKl: 0, clipFraction: 0.2, explainedVariance: null, entropy: 1, qMean: 2 };

const events: RunEvent[] = [
  {
    type: 'header',
    seconds: 0,
    format: JOURNAL_FORMAT,
    id: 'r1',
    config: configSchema.parse({ model: 'm.onnx' }),
    model: { path: 'm.onnx', sha256: 'ab' },
    seed: 1,
    versions: { node: '20' },
    backend: 'cpu',
    machine,
    startedAt: '2026-01-01T00:00:00Z',
  },
  { type: 'phase', seconds: 1, phase: 'prune' },
  { type: 'measurement', key: 'k', result: { accuracy: 0.5, nested: [1, null] } },
  { type: 'update', seconds: 2, episode: 0, step: 1, diagnostics },
  { type: 'episode', seconds: 3, episode: 0, actor: 0, reward: 1, accuracy: 0.9, flops: 10, policy, candidate: 'c1' },
  { type: 'candidate', seconds: 3, candidate },
  { type: 'front', seconds: 3, candidates: ['c1'] },
  {
    type: 'progress',
    seconds: 3,
    progress: { phase: 'prune', episode: 1, episodes: 10, best: null, secondsElapsed: 3, secondsLeft: null },
  },
  { type: 'interrupted', seconds: 4, reason: 'stopped' },
  { type: 'failed', seconds: 4, reason: 'the disk is full', hint: 'free some space' },
  { type: 'finished', seconds: 5, candidate: 'c1', goalMet: true, reason: 'complete', files: ['best/m.onnx'] },
];

describe('journal lines', () => {
  it.each(events.map((e) => [e.type, e] as const))('%s survives writing and reading', (_, e) => {
    expect(readJournalLine(JSON.stringify(e))).toEqual(e);
  });

  it('a line that was cut off, or is of another kind, is none', () => {
    const line = JSON.stringify(events[5]);
    expect(readJournalLine(line.slice(0, -3))).toBeUndefined();
    expect(readJournalLine('{"type":"unheard-of"}')).toBeUndefined();
    expect(readJournalLine('')).toBeUndefined();
  });

  it('figures without a value are null, because JSON has no NaN', () => {
    expect([jsonFigure(1.5), jsonFigure(Number.NaN), jsonFigure(Number.POSITIVE_INFINITY)]).toEqual([1.5, null, null]);
    expect(runEventSchema.safeParse({ ...events[3], diagnostics: { ...diagnostics, qMean: Number.NaN } }).success).toBe(false);
  });
});

describe('policies and candidates', () => {
  it.each([
    [{ ratios: { a: 1 }, bits: {} }],
    [{ ratios: { a: -0.1 }, bits: {} }],
    [{ ratios: {}, bits: { a: 0 } }],
    [{ ratios: {}, bits: { a: 12 } }],
    [{ ratios: {}, bits: { a: 2.5 } }],
    [{ ratios: {} }],
  ])('refuses the policy %o', (bad) => expect(policySchema.safeParse(bad).success).toBe(false));

  it('refuses an accuracy in percent', () => expect(candidateSchema.safeParse({ ...candidate, accuracy: 90 }).success).toBe(false));
});

it('a snapshot is plain JSON', () => {
  const snapshot: RunSnapshot = {
    revision: 4,
    summary: {
      id: 'r1',
      name: 'm',
      folder: '.espalier/runs/r1',
      modelPath: 'm.onnx',
      method: 'two-stage-ppo',
      status: 'running',
      startedAt: '2026-01-01T00:00:00Z',
      secondsElapsed: 3,
      episode: 1,
      episodes: 10,
      resumable: true,
    },
    progress: null,
    machine,
    measures0: null,
    current: policy,
    candidates: [candidate],
    front: ['c1'],
    episodes: [{ stage: 'prune', episode: 0, reward: 1, accuracy: 0.9, flops: 10, policy }],
    diagnostics: [{ episode: 0, step: 1, figures: diagnostics }],
    warnings: [],
  };
  expect(runSnapshotSchema.parse(JSON.parse(JSON.stringify(snapshot)))).toEqual(snapshot);
});
