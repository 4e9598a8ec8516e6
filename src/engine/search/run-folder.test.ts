import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { RunFolder } from './run-folder';

it.each([
  ['net.onnx', 'net-20260102-030405'],
  ['models/my net.v2.onnx', 'my_net.v2-20260102-030405'],
  ['digits/model.json', 'digits-20260102-030405'],
  ['net.keras', 'net-20260102-030405'],
])('a run of %s lies in %s', (model, name) => {
  const parent = mkdtempSync(join(tmpdir(), 'espalier-folder-'));
  try {
    const now = new Date('2026-01-02T03:04:05Z');
    expect(RunFolder.create(parent, model, now).id).toBe(name);
    expect(basename(RunFolder.create(parent, model, now).path)).toBe(`${name}-2`);
  } finally {
    rmSync(parent, { recursive: true });
  }
});
