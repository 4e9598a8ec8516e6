/** The client with processes of its own, which answer as the worker does. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, it, vi } from 'vitest';
import type * as vscode from 'vscode';
import { WorkerClient, type WorkerExit } from './worker-client';

const folder = mkdtempSync(join(tmpdir(), 'espalier-client-'));
const module = join(folder, 'worker.cjs');
// It answers a reading of a run with its own process and data folder. Its end takes a while, as that of runs does.
writeFileSync(
  module,
  `let dataFolder;
   process.on('message', ({ id, method, params }) => {
     const answer = (result) => process.send({ jsonrpc: '2.0', id, result });
     if (method === 'espalier/initialize') {
       console.log('process ' + process.pid);
       dataFolder = params.dataFolder;
       if (params.version === 'refused') process.send({ jsonrpc: '2.0', id, error: { code: -32001, message: 'another version' } });
       else setTimeout(() => answer({ version: params.version, backend: 'none' }), 100);
     } else if (method === 'espalier/dataFolderChanged') dataFolder = params.dataFolder;
     else answer({ pid: process.pid, dataFolder });
   });
   process.on('disconnect', () => setTimeout(() => process.exit(0), 300));`,
);

let client: WorkerClient;
let dataFolder: string | undefined;
let exits: WorkerExit[];
/** Processes that were asked to initialize. */
let begun: number[];

function clientOf(version: string): WorkerClient {
  const line = (text: string): void => {
    const pid = /^worker: process (\d+)$/.exec(text)?.[1];
    if (pid !== undefined) begun.push(Number(pid));
  };
  const log = { info: line, warn: line, error: line } as unknown as vscode.LogOutputChannel;
  const made = new WorkerClient({ module, version, log, dataFolder: () => dataFolder });
  made.onDidExit((exit) => exits.push(exit));
  return made;
}

/** What the process that serves says of itself. */
const ask = async (): Promise<{ pid: number; dataFolder?: string }> =>
  (await client.request('readRun', { folder: '' })) as unknown as { pid: number; dataFolder?: string };

const lives = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

beforeEach(() => {
  dataFolder = undefined;
  exits = [];
  begun = [];
  client = clientOf('1');
});
afterEach(() => client.stop());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('a request while the worker is being stopped goes to the next one, which outlives it', async () => {
  const { pid: first } = await ask();
  const stopped = client.stop();
  const { pid: second } = await ask();
  expect(second).not.toBe(first);
  expect(client.pid).toBe(second);
  await stopped;
  expect(lives(first)).toBe(false);
  expect(client.pid).toBe(second);
  expect((await ask()).pid).toBe(second);
  expect(exits).toEqual([]);
});

it('a request that waited for a worker that was stopped as it started goes to the next one', async () => {
  const waiting = ask();
  const stopped = client.stop();
  const { pid } = await waiting;
  await stopped;
  await vi.waitFor(() => expect(begun).toHaveLength(2));
  expect(pid).toBe(begun[1]);
  expect(lives(begun[0])).toBe(false);
  expect(exits).toEqual([]);
});

it('the end of a worker that nobody stopped is told, also while another is being stopped', async () => {
  await ask();
  const stopped = client.stop();
  const { pid } = await ask();
  process.kill(pid, 'SIGKILL');
  await vi.waitFor(() => expect(exits).toHaveLength(1));
  await stopped;
  expect((await ask()).pid).not.toBe(pid);
});

it('the data folder is told when it changes', async () => {
  dataFolder = '/first';
  expect((await ask()).dataFolder).toBe('/first');
  dataFolder = '/second';
  client.dataFolderChanged();
  expect((await ask()).dataFolder).toBe('/second');
  dataFolder = undefined;
  client.dataFolderChanged();
  expect((await ask()).dataFolder).toBeUndefined();
});

it('a worker that refuses to begin leaves no process behind', async () => {
  client = clientOf('refused');
  for (let tries = 0; tries < 2; tries++) await expect(ask()).rejects.toThrow('another version');
  await vi.waitFor(() => expect(begun).toHaveLength(2));
  await vi.waitFor(() => expect(begun.filter(lives)).toEqual([]), 10_000);
  // Its refusal has been said.
  expect(exits).toEqual([]);
});
