import { expect, it } from 'vitest';
import * as vscode from 'vscode';
import type { Candidate } from '../../protocol/policy';
import type { RunSnapshot, RunSummary } from '../../protocol/run-summary';
import type { WorkerClient, WorkerExit } from '../worker-client';
import { RunStore } from './run-store';
import { snapshotOf } from './testing/snapshot';

const summary = (id: string, startedAt: string, more: Partial<RunSummary> = {}): RunSummary => ({
  id,
  name: 'net',
  folder: `/runs/${id}`,
  modelPath: '/net.onnx',
  configPath: '/net.espalier.json',
  method: 'random',
  status: 'finished',
  startedAt,
  secondsElapsed: 1,
  episode: 0,
  episodes: 1,
  resumable: false,
  ...more,
});

const scored = (id: string): Candidate => ({
  id,
  stage: 'prune',
  episode: 0,
  origin: 'agent',
  partial: false,
  policy: { ratios: {}, bits: {} },
  accuracy: 0.9,
  images: 100,
  reward: 1,
  cost: { macs: 1, effectiveMacs: 1, params: 1, effectiveParams: 1, weightBytes: 4 },
});

/** A store with these runs, as a worker tells of them. */
function storeOf(...runs: RunSummary[]): RunStore {
  const runChanged = new vscode.EventEmitter<RunSnapshot>();
  const exited = new vscode.EventEmitter<WorkerExit>();
  const worker = { onRunChanged: runChanged.event, onDidExit: exited.event } as unknown as WorkerClient;
  const memory: vscode.Memento = { keys: () => [], get: <T>(_key: string, fallback?: T) => fallback as T, update: async () => undefined };
  const store = new RunStore(worker, memory);
  for (const run of runs) runChanged.fire(snapshotOf(run));
  return store;
}

it('the last run is the newest that scored something', () => {
  const store = storeOf(
    summary('first', '2026-01-01T00:00:00Z', { best: scored('a') }),
    summary('second', '2026-01-02T00:00:00Z', { best: scored('b') }),
    summary('failed', '2026-01-03T00:00:00Z', { status: 'failed' }),
    summary('running', '2026-01-04T00:00:00Z', { status: 'running' }),
    summary('of-another', '2026-01-05T00:00:00Z', { best: scored('c'), configPath: '/b.espalier.json', modelPath: '/b.onnx' }),
  );
  expect(store.lastRun({ config: '/net.espalier.json' })?.id).toBe('second');
  expect(store.lastRun({ model: '/b.onnx' })?.id).toBe('of-another');
  expect(storeOf(summary('failed', '2026-01-03T00:00:00Z')).lastRun({ model: '/net.onnx' })).toBeUndefined();
});
