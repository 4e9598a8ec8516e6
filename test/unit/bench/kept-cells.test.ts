import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { KeptCells, settingsOf } from '../../../bench/kept-cells';
import type { CellResult } from '../../../src/engine/compare/cell';

const folder = mkdtempSync(join(tmpdir(), 'espalier-kept-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const cell = (method: string, seed: number, accuracy: number): CellResult =>
  ({ method, seed, accuracy, run: '/somewhere/else', scorings: 40 }) as unknown as CellResult;

test('cells are alike where the same was asked for, wherever the model lies and in whatever order', () => {
  const one = settingsOf({ model: '/a/net.onnx', goal: { flops: 0.5, params: 0.9 }, search: { scorings: 40 } });
  expect(settingsOf({ search: { scorings: 40 }, goal: { params: 0.9, flops: 0.5 }, model: 'net.onnx' })).toBe(one);
  expect(settingsOf({ model: '/a/net.onnx', goal: { flops: 0.5, params: 0.9 }, search: { scorings: 41 } })).not.toBe(one);
});

test('what was written is found again, the last of each cell, without the folder of its run', () => {
  const path = join(folder, 'kept', 'cells.jsonl');
  const kept = new KeptCells(path);
  kept.add('net', 's', cell('amc', 1, 0.5));
  kept.add('net', 's', cell('amc', 1, 2 / 3));
  kept.add('net', 's', cell('uniform', 2, 0.25));
  kept.add('net', 'other', cell('amc', 2, 0.9));
  kept.add('net', 's', { method: 'purl', seed: 1, error: 'it does not suit' });
  const again = new KeptCells(path);
  const found = again.of('net', 's', ['amc', 'purl']).map((c) => c.result);
  expect(found).toEqual([
    { method: 'amc', seed: 1, accuracy: 0.666667, run: '', scorings: 40 },
    { method: 'purl', seed: 1, error: 'it does not suit' },
  ]);
  expect(again.of('net', 's', ['cacp'])).toEqual([]);
  expect(readFileSync(path, 'utf8')).not.toContain('somewhere');
});
