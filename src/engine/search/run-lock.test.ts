import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UserError } from '../errors';
import { isHeld, RunLock } from './run-lock';
import { readRunSnapshot } from './snapshot';

let folder: string;
let path: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'espalier-lock-'));
  path = join(folder, 'run.lock');
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Another process, that lives until it is ended. */
async function otherProcess(): Promise<{ pid: number; end(): Promise<void> }> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  children.push(child);
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  await new Promise((done) => child.once('spawn', done));
  return {
    pid: child.pid!,
    end: () => {
      child.kill('SIGKILL');
      return ended;
    },
  };
}

const since = '2026-01-01T00:00:00.000Z';

describe('the lock of a run folder', () => {
  it('is a file while it is held, and gone afterwards', () => {
    const lock = RunLock.take(path);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid });
    lock.release();
    expect(readdirSync(folder)).toEqual([]);
    RunLock.take(path).release();
  });

  it('is refused to a second run in the same process, too', () => {
    const lock = RunLock.take(path);
    expect(() => RunLock.take(path)).toThrow(new RegExp(`being worked on by process ${process.pid}, since `));
    lock.release();
    expect(existsSync(path)).toBe(false);
  });

  it('names the process that holds it, and is taken over when that was killed', async () => {
    const other = await otherProcess();
    writeFileSync(path, JSON.stringify({ pid: other.pid, since }));
    let refused: unknown;
    try {
      RunLock.take(path);
    } catch (e) {
      refused = e;
    }
    expect(refused).toBeInstanceOf(UserError);
    expect((refused as UserError).message).toBe(`${folder} is being worked on by process ${other.pid}, since ${since}`);
    await other.end();
    RunLock.take(path);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ pid: process.pid });
    expect(readdirSync(folder)).toEqual(['run.lock']);
  });

  it('tells those who only look whether somebody works on the run', async () => {
    expect(isHeld(path)).toBe(false);
    const other = await otherProcess();
    writeFileSync(path, JSON.stringify({ pid: other.pid, since }));
    expect(isHeld(path)).toBe(true);
    // A run in another process is neither interrupted nor to be resumed.
    const header = {
      type: 'header',
      format: 1,
      id: 'r',
      config: {},
      model: { path: 'net.onnx', sha256: '' },
      versions: {},
      startedAt: since,
    };
    writeFileSync(join(folder, 'journal.jsonl'), `${JSON.stringify(header)}\n`);
    expect(readRunSnapshot(folder)!.summary).toMatchObject({
      elsewhere: true,
      resumable: false,
      reason: 'another process is working on it',
    });
    await other.end();
    expect(isHeld(path)).toBe(false);
    const { elsewhere, resumable, status } = readRunSnapshot(folder)!.summary;
    expect({ elsewhere, resumable, status }).toEqual({ elsewhere: undefined, resumable: true, status: 'interrupted' });
  });

  it.runIf(process.platform === 'linux')('is taken over where its number belongs to a later process now', () => {
    writeFileSync(path, JSON.stringify({ pid: process.pid, started: 'an earlier start:1', since }));
    RunLock.take(path).release();
    expect(existsSync(path)).toBe(false);
  });

  it.each(['', '{"pid":', 'null', '{"pid":"7"}'])('is taken over where its content is %j, left by a process that was killed', (content) => {
    writeFileSync(path, content);
    RunLock.take(path).release();
    expect(existsSync(path)).toBe(false);
  });

  it('is not removed by one whose lock it no longer is', () => {
    const lock = RunLock.take(path);
    const others = JSON.stringify({ pid: 1, since });
    writeFileSync(path, others);
    lock.release();
    expect(readFileSync(path, 'utf8')).toBe(others);
  });

  it('says which folder cannot be written', () => {
    expect(() => RunLock.take(join(folder, 'none', 'run.lock'))).toThrow(/^cannot write .*run\.lock/);
  });
});
