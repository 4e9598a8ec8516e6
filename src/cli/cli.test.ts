/** The command as people run it: a bundle in a process of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lenet5 } from '../engine/architectures/lenet5';
import { modelBytes } from '../engine/onnx/file';
import { Random } from '../engine/random';

const folder = mkdtempSync(join(tmpdir(), 'espalier-cli-'));
const cli = resolve(__dirname, '../../dist/test-cli/cli.js');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): { child: ChildProcess; outcome: Promise<Outcome> } {
  const child = spawn(process.execPath, [cli, ...args], { cwd: folder, env: { ...process.env, ESPALIER_DATA: '', ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (d) => {
    stdout += d;
  });
  child.stderr.on('data', (d) => {
    stderr += d;
  });
  return { child, outcome: new Promise((done) => child.on('close', (code) => done({ code, stdout, stderr }))) };
}

const run = (...args: string[]): Promise<Outcome> => start(args).outcome;
const write = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return name;
};

beforeAll(() => {
  // A bundle of its own: the checkout's may be older than the sources.
  const root = resolve(__dirname, '../..');
  execFileSync(
    process.execPath,
    ['esbuild.mjs', '--quiet', '--only=cli,actor-thread,augment-thread,sensitivity-thread', '--outdir=dist/test-cli'],
    {
      cwd: root,
    },
  );
  const model = modelBytes(lenet5.build({ classes: 10, random: new Random(1) }));
  write('net.onnx', model);
  write('truncated.onnx', model.subarray(0, model.length >> 1));
  const corrupted = model.slice();
  for (let i = 0; i < 400; i += 3) corrupted[i] ^= 0xa5;
  write('corrupted.onnx', corrupted);
  write('text.onnx', 'This is no model, but a text that somebody saved under the wrong name.\n');
  write('empty.onnx', '');
  write('field.espalier.json', '{\n  "model": "net.onnx",\n  "serch": { "episodes": 3 },\n  "seed": -1\n}\n');
  write('formula.espalier.json', '{\n  "model": "net.onnx",\n  "reward": "accuracy - flopz / flops0"\n}\n');
  write('broken.espalier.json', '{ "model": "net.onnx", ');
  write('cifar.espalier.json', '{ "model": "net.onnx", "data": { "name": "cifar10" } }');
  write('shape.espalier.json', '{ "model": "net.onnx", "data": { "files": { "inputs": "wide.npy" } } }');
  write('wide.npy', npy([4, 3, 8, 8]));
}, 60_000);

/** A float32 .npy file of zeros. */
function npy(shape: readonly number[]): Uint8Array {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`;
  const padded = `${header.padEnd(117)}\n`;
  const bytes = new Uint8Array(10 + padded.length + 4 * shape.reduce((a, b) => a * b, 1));
  bytes.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, padded.length & 255, padded.length >> 8]);
  bytes.set(new TextEncoder().encode(padded), 10);
  return bytes;
}

describe('what people get wrong', () => {
  it.each([
    ['a missing file', ['compress', 'nowhere.onnx'], 1, /^espalier: nowhere\.onnx: no such file\n/],
    ['a truncated model', ['inspect', 'truncated.onnx'], 1, /^espalier: truncated\.onnx: .+/],
    ['a truncated model in a run', ['compress', 'truncated.onnx', '--data', 'digits'], 1, /truncated\.onnx: .+/],
    ['a corrupted model', ['inspect', 'corrupted.onnx'], 1, /^espalier: corrupted\.onnx: .+/],
    ['a text instead of a model', ['compress', 'text.onnx', '--data', 'digits'], 1, /text\.onnx: .+/],
    ['an empty file', ['compress', 'empty.onnx', '--data', 'digits'], 1, /empty\.onnx: the file is empty/],
    [
      'wrong fields',
      ['compress', 'field.espalier.json'],
      1,
      /^field\.espalier\.json:3:4: unknown field 'serch'.*\nfield\.espalier\.json:4:11: 'seed' must be at least 0, not -1\n$/,
    ],
    [
      'a wrong formula',
      ['compress', 'formula.espalier.json'],
      1,
      /^formula\.espalier\.json:3:25: 'reward': unknown name 'flopz' \(did you mean flops\?\)\n$/,
    ],
    ['broken JSON', ['compress', 'broken.espalier.json'], 1, /^broken\.espalier\.json:1:\d+: .*'}' is missing/m],
    ['no data', ['compress', 'net.onnx'], 1, /^espalier: no data was named .*\[1, 28, 28\]/],
    [
      'missing data',
      ['compress', 'cifar.espalier.json'],
      1,
      /^espalier: The data set cifar10 was asked for, but no data folder is known\.\n {2}Pass --data DIR/,
    ],
    [
      'data that does not fit',
      ['compress', 'shape.espalier.json'],
      1,
      /shape \[3, 8, 8\], but the model's input 'input' takes \[1, 28, 28\]/,
    ],
    ['a wrong goal', ['compress', 'net.onnx', '--goal', 'flop=0.5'], 1, /^espalier: --goal: there is no goal 'flop'/],
    [
      'a wrong option value',
      ['compress', 'net.onnx', '--data', 'digits', '--set', 'search.episodes=0'],
      1,
      /'search\.episodes' must be at least 1, not 0/,
    ],
    ['an unknown method', ['compress', 'net.onnx', '--data', 'digits', '--method', 'magic'], 1, /'method' must be/],
    ['no run folder', ['resume', 'nowhere'], 1, /^espalier: nowhere is not a run folder/],
    ['an unknown command', ['comprss'], 2, /unknown command 'comprss'/],
    ['a missing argument', ['compress'], 2, /missing required argument/],
  ] as const)('%s', async (_, args, code, message) => {
    const before = readdirSync(folder).sort();
    const outcome = await run(...args);
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stderr).not.toMatch(/\n\s+at /);
    expect(outcome.code).toBe(code);
    expect(outcome.stdout).toBe('');
    expect(readdirSync(folder).sort()).toEqual(before);
  });

  it('is one JSON object with --json', async () => {
    const { stdout, code } = await run('compress', 'formula.espalier.json', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'error', kind: 'config', problems: [{ line: 3, column: 25, suggestion: 'flops' }] });
  });
});

describe('commands', () => {
  it('lists exit codes in its help', async () => {
    const { stdout, code } = await run('--help');
    expect(code).toBe(0);
    for (const n of ['0', '1', '2', '3', '70', '130', '141']) expect(stdout).toMatch(new RegExp(`^ {2}${n} `, 'm'));
  });

  // Windows tells writers to a closed pipe in other ways.
  it.skipIf(process.platform === 'win32')('ends quietly when its reader has gone', async () => {
    const { child, outcome } = start(['methods', '--json']);
    child.stdout!.destroy();
    expect(await outcome).toEqual({ code: 141, stdout: '', stderr: '' });
  });

  it('inspects a model', async () => {
    const { stdout, code } = await run('inspect', 'net.onnx', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      params: 61706,
      macs: 416520,
      groups: expect.arrayContaining([expect.objectContaining({ id: 'fc1' })]),
    });
  });

  it('stops cleanly, says how to go on, resumes to the end, and says of a finished run that it is finished', async () => {
    const config = {
      model: 'net.onnx',
      data: { name: 'digits', digits: { train: 400, test: 100 } },
      search: { episodes: 4, actors: 1 },
      recovery: { epochs: 1, batch: 32 },
      quantization: { epochs: 0 },
      output: { folder: 'runs' },
    };
    write('run.espalier.json', JSON.stringify(config));
    const { child, outcome } = start(['compress', 'run.espalier.json', '--json', '--episodes', '40']);
    let stopped = false;
    child.stdout!.on('data', (d: Buffer) => {
      if (!stopped && d.toString().includes('"episode"')) {
        stopped = true;
        child.kill('SIGINT');
      }
    });
    const first = await outcome;
    expect(first.code).toBe(130);
    const [, run1] = /espalier resume (\S+)/.exec(first.stderr) ?? [];
    expect(existsSync(join(run1, 'journal.jsonl'))).toBe(true);

    const listed = await run('runs', 'runs', '--json');
    expect(JSON.parse(listed.stdout)).toMatchObject({ status: 'interrupted', resumable: true, folder: run1 });

    const second = await run('resume', run1, '--json');
    expect([0, 3]).toContain(second.code);
    const lines = second.stdout
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l));
    expect(lines.at(-1)).toMatchObject({ type: 'result', folder: run1 });
    expect(readFileSync(join(run1, 'report.md'), 'utf8')).toContain('before');

    const third = await run('resume', run1);
    expect(third).toMatchObject({ code: 0, stderr: '' });
    expect(third.stdout).toContain('is finished: there is nothing to resume');
  });
});
