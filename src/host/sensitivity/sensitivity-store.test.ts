import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import * as vscode from 'vscode';
import type { LayerGraph, Sensitivity } from '../../protocol/layer-graph';
import type { SensitivityParams } from '../../protocol/worker-messages';
import type { WorkerClient } from '../worker-client';
import { SensitivityStore } from './sensitivity-store';

const folder = mkdtempSync(join(tmpdir(), 'espalier-sensitivity-'));
const modelPath = join(folder, 'net.onnx');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Hash of the model file, and of what the worker's cache holds measurements of. */
let sha256: string;
let measured: string[];
let inspections: number;
let told: Sensitivity[];
let sensitivityChanged: vscode.EventEmitter<Sensitivity>;

const sensitivityOf = (hash: string, done: number): Sensitivity => ({
  modelPath,
  sha256: hash,
  baseline: 0.9,
  images: 100,
  measure: 'accuracy',
  groups: [],
  layers: [],
  done,
  total: 2,
  seconds: 1,
});

function write(content: string): void {
  writeFileSync(modelPath, content);
  sha256 = content;
}

async function scannedStore(): Promise<SensitivityStore> {
  const worker = {
    onSensitivityChanged: sensitivityChanged.event,
    withProgress: <T>(_report: unknown, body: (token: string) => Promise<T>) => body('token'),
    request: async (name: string, params: SensitivityParams): Promise<LayerGraph | Sensitivity> => {
      if (name === 'inspectModel') {
        inspections++;
        return { modelPath, sha256, nodes: [], groups: [] } as unknown as LayerGraph;
      }
      if (!params.cachedOnly) measured.push(sha256);
      return sensitivityOf(sha256, measured.includes(sha256) ? 2 : 0);
    },
  } as unknown as WorkerClient;
  const kept = new Map<string, unknown>();
  const memory: vscode.Memento = {
    keys: () => [...kept.keys()],
    get: <T>(key: string, fallback?: T) => (kept.get(key) ?? fallback) as T,
    update: async (key, value) => void kept.set(key, value),
  };
  const store = new SensitivityStore(worker, memory);
  store.onDidChange((sensitivity) => told.push(sensitivity));
  await store.scan({ modelPath }, () => undefined);
  return store;
}

beforeEach(() => {
  measured = [];
  told = [];
  inspections = 0;
  sensitivityChanged = new vscode.EventEmitter();
  write('the first');
});

it('what was measured is shown until the file holds another model', async () => {
  const store = await scannedStore();
  expect((await store.cached(modelPath, undefined))?.sensitivity.sha256).toBe('the first');
  expect(inspections).toBe(1);
  write('the second, retrained');
  expect(await store.cached(modelPath, undefined)).toBeUndefined();
  expect(store.of(modelPath)).toBeUndefined();
  // The worker's cache goes by content, so the first comes back with it.
  write('the first');
  expect((await store.cached(modelPath, undefined))?.sensitivity.sha256).toBe('the first');
});

it('a file that was written anew with the same content keeps its measurements', async () => {
  const store = await scannedStore();
  write('the 1st');
  sha256 = 'the first';
  measured = [];
  expect((await store.cached(modelPath, undefined))?.sensitivity.sha256).toBe('the first');
});

it('points of a scan that began with another content are not taken for the model', async () => {
  const store = await scannedStore();
  write('the second, retrained');
  await store.cached(modelPath, undefined);
  told = [];
  sensitivityChanged.fire(sensitivityOf('the first', 1));
  expect(told).toEqual([]);
  expect(store.of(modelPath)).toBeUndefined();
});
