import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { UserError } from '../../src/engine/errors';
import { loadModel } from '../../src/engine/onnx/file';
import { accuracyOf } from '../../src/engine/runtime/evaluate';
import { prepare } from '../../src/engine/search/prepare';
import { resumeRun, startRun } from '../../src/engine/search/run';
import { trainBaseline } from '../../src/engine/search/train-baseline';
import type { RunEvent } from '../../src/protocol/run-events';
import { eventsOf, onlyRun, outcomeOf } from './fixtures/outcome';
import { shortConfig, workFolder } from './fixtures/short-run';

/** A disk that is full for the files that `refuses` names; it takes some bytes first, as real ones do. */
const disk = vi.hoisted(() => ({ refuses: (_path: string): boolean => false, paths: new Map<number, string>() }));

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const openSync = (...a: Parameters<typeof fs.openSync>): number => {
    const fd = fs.openSync(...a);
    disk.paths.set(fd, String(a[0]));
    return fd;
  };
  const writeSync = (fd: number, buffer: Uint8Array, offset = 0, length = buffer.byteLength): number => {
    if (!disk.refuses(disk.paths.get(fd) ?? '')) return fs.writeSync(fd, buffer, offset, length);
    if (length > 20) fs.writeSync(fd, buffer, offset, 20);
    return fail();
  };
  const fail = (): never => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  };
  return { ...fs, default: { ...fs, openSync, writeSync }, openSync, writeSync };
});

const change = {
  search: { episodes: 2, actors: 1 },
  recovery: { epochs: 1, batch: 64 },
  quantization: { activations: 'float', epochs: 1 },
} as const;

let root: string;
let alone: ReturnType<typeof outcomeOf>;

beforeAll(async () => {
  root = workFolder('full-disk');
  await trainBaseline(shortConfig(), { folder: root });
  alone = outcomeOf((await startRun(shortConfig(change), { folder: freshFolder('alone') })).folder);
}, 60_000);
afterEach(() => {
  disk.refuses = () => false;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function freshFolder(name: string): string {
  const folder = join(root, name);
  mkdirSync(folder);
  copyFileSync(join(root, 'lenet5.onnx'), join(folder, 'lenet5.onnx'));
  return folder;
}

const leftovers = (run: string): string[] =>
  ['.', 'best', 'checkpoint'].flatMap((part) => readdirSync(join(run, part)).filter((n) => n.endsWith('.tmp')));

/** Starts a run on a disk that fills up at some event, and returns its folder and what it said. */
async function fillsUp(
  name: string,
  when: (e: RunEvent) => boolean,
  refuses: (path: string) => boolean,
): Promise<{ run: string; error: unknown }> {
  const folder = freshFolder(name);
  const listener = (e: RunEvent): void => {
    if (when(e)) disk.refuses = refuses;
  };
  const error = await startRun(shortConfig(change), { folder, listener }).then(
    () => undefined,
    (e: unknown) => e,
  );
  disk.refuses = () => false;
  return { run: onlyRun(folder), error };
}

function expectOneSentence(error: unknown, file: RegExp): void {
  expect(error).toBeInstanceOf(UserError);
  const { message, hint } = error as UserError;
  expect(message).toMatch(/^cannot write .*: the disk is full$/);
  expect(message).toMatch(file);
  expect(hint).toBeTruthy();
}

test('full as the journal is appended to: whole lines stay, and the run goes on later', async () => {
  let evaluations = 0;
  const { run, error } = await fillsUp(
    'journal',
    (e) => e.type === 'evaluation' && ++evaluations === 5,
    (path) => path.endsWith('journal.jsonl'),
  );
  expectOneSentence(error, /journal\.jsonl/);
  // Reads every line; throws on half a one.
  expect(eventsOf(run).filter((e) => e.type === 'evaluation')).toHaveLength(5);
  await resumeRun(run, {});
  expect(outcomeOf(run)).toEqual(alone);
});

test('full as the best model is written: the one before stays whole', async () => {
  const { run, error } = await fillsUp(
    'model',
    (e) => e.type === 'phase' && e.phase === 'recover',
    (path) => /model\.onnx\..*tmp$/.test(path),
  );
  expectOneSentence(error, /model\.onnx/);
  expect(eventsOf(run).at(-1)).toMatchObject({ type: 'failed', reason: expect.stringContaining('the disk is full') });
  expect(leftovers(run)).toEqual([]);
  // What was there is the best policy of the search, before anything was trained.
  const best = JSON.parse(readFileSync(join(run, 'best', 'policy.json'), 'utf8'));
  const { data } = await prepare(shortConfig(change), { folder: join(root, 'alone'), threads: 1 });
  expect(await accuracyOf(loadModel(join(run, 'best', 'model.onnx')), data.search, { threads: 1 })).toBe(best.accuracy);
  await resumeRun(run, {});
  expect(outcomeOf(run)).toEqual(alone);
});

test('full as a checkpoint is written', async () => {
  const { run, error } = await fillsUp(
    'checkpoint',
    (e) => e.type === 'phase' && e.phase === 'quantize',
    (path) => path.includes('quantize.json'),
  );
  expectOneSentence(error, /quantize\.json/);
  expect(leftovers(run)).toEqual([]);
  await resumeRun(run, {});
  expect(outcomeOf(run)).toEqual(alone);
});

test('full before there is anything: no empty run is left', async () => {
  const folder = freshFolder('nothing');
  disk.refuses = (path) => path.includes('config.json');
  const error = await startRun(shortConfig(change), { folder }).then(
    () => undefined,
    (e: unknown) => e,
  );
  expectOneSentence(error, /config\.json/);
  expect(readdirSync(join(folder, 'runs'))).toEqual([]);
});
