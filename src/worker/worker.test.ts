/** The worker as the extension runs it: forked, over JSON-RPC. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CancellationTokenSource,
  createMessageConnection,
  IPCMessageReader,
  IPCMessageWriter,
  type MessageConnection,
} from 'vscode-jsonrpc/node';
import { version } from '../../package.json';
import { lenet5 } from '../engine/architectures/lenet5';
import { saveModel } from '../engine/onnx/file';
import { Random } from '../engine/random';
import { readRunSnapshot } from '../engine/search/snapshot';
import { METHOD_NAMES } from '../protocol/config';
import { layerGraphSchema, type Sensitivity } from '../protocol/layer-graph';
import { type RunSnapshot, runSnapshotSchema } from '../protocol/run-summary';
import * as messages from '../protocol/worker-messages';

const folder = mkdtempSync(join(tmpdir(), 'espalier-worker-'));
const modelPath = join(folder, 'net.onnx');
const text = (episodes: number): string =>
  JSON.stringify({
    model: 'net.onnx',
    data: { name: 'digits', digits: { train: 300, test: 100 } },
    search: { episodes, actors: 1 },
    recovery: { epochs: 0 },
    quantization: { epochs: 0 },
    output: { folder: 'runs' },
    threads: 1,
  });

let child: ChildProcess;
let connection: MessageConnection;
const snapshots: RunSnapshot[] = [];

async function until(folderOfRun: string, done: (s: RunSnapshot) => boolean): Promise<RunSnapshot> {
  for (;;) {
    const found = snapshots.find((s) => s.summary.folder === folderOfRun && done(s));
    if (found) return found;
    await new Promise((r) => setTimeout(r, 50));
  }
}

beforeAll(async () => {
  const root = resolve(__dirname, '../..');
  execFileSync(
    process.execPath,
    [
      'esbuild.mjs',
      '--quiet',
      '--only=worker,definition-thread,actor-thread,augment-thread,sensitivity-thread',
      '--outdir=dist/test-worker',
    ],
    { cwd: root },
  );
  saveModel(lenet5.build({ classes: 10, random: new Random(1) }), modelPath);
  child = fork(join(root, 'dist/test-worker/worker.js'), { cwd: folder, env: { ...process.env, ESPALIER_DATA: '' } });
  connection = createMessageConnection(new IPCMessageReader(child), new IPCMessageWriter(child));
  connection.onNotification(messages.runChanged, (s) => void snapshots.push(s));
  connection.listen();
  const result = await connection.sendRequest(messages.initialize, {
    version,
    workspaceFolders: [folder],
    trusted: true,
    logLevel: 'info',
  });
  expect(result).toMatchObject({ version, machine: { cores: expect.any(Number) } });
}, 60_000);

afterAll(() => {
  connection?.dispose();
  child?.kill();
  rmSync(folder, { recursive: true, force: true });
});

const begin = async (episodes: number): Promise<string> => {
  const result = await connection.sendRequest(messages.startRun, { configText: text(episodes), folder });
  if (!result.started) throw new Error(result.message);
  return result.folder;
};

describe('the worker', () => {
  it('shows a model with its layout', async () => {
    const graph = await connection.sendRequest(messages.inspectModel, { path: modelPath, layout: true });
    expect(() => layerGraphSchema.parse(graph)).not.toThrow();
    const { nodes } = graph.layout!;
    expect(Object.keys(nodes)).toHaveLength(graph.nodes.length);
    expect(nodes['conv2'].y).toBeGreaterThan(nodes['conv1'].y + nodes['conv1'].height - 1);
  });

  it('answers errors that people can act on as such', async () => {
    const failing = connection.sendRequest(messages.inspectModel, { path: join(folder, 'nowhere.onnx') });
    await expect(failing).rejects.toMatchObject({ code: messages.USER_ERROR_CODE, message: expect.stringContaining('no such file') });
  });

  it('imports a model that a module builds with TensorFlow.js, and gives its errors', async () => {
    const file = join(folder, 'net.cjs');
    const tfjs = JSON.stringify(resolve(__dirname, '../../node_modules/@tensorflow'));
    writeFileSync(
      file,
      `require(${tfjs} + '/tfjs-backend-cpu'); const tf = require(${tfjs} + '/tfjs-layers');
       exports.build = (units) => tf.sequential({ layers: [tf.layers.dense({ name: 'head', units, inputShape: [3] })] });`,
    );
    const to = join(folder, 'imported', 'net.onnx');
    const imported = await connection.sendRequest(messages.importDefinition, { file, name: 'build', arguments: '4', to });
    expect(imported).toEqual({ path: to });
    const graph = await connection.sendRequest(messages.inspectModel, { path: to });
    expect(graph.nodes.map((n) => n.name)).toEqual(['head']);
    const failing = connection.sendRequest(messages.importDefinition, { file, name: 'other', arguments: '', to });
    await expect(failing).rejects.toMatchObject({ code: messages.USER_ERROR_CODE, message: `${file} exports no 'other'` });
  });

  it.each([
    ['net.cjs', 'exports.build = () => require("./parts.cjs").net(WIDTH)', 'parts.cjs', 'exports.net = (units) => NET'],
    [
      'net.mjs',
      'import { net } from "./parts.mjs"; export const build = () => net(WIDTH);',
      'parts.mjs',
      'export const net = (units) => NET',
    ],
  ])('imports %s anew after it, or what it imports, was edited', async (name, text, part, partText) => {
    const place = mkdtempSync(join(folder, 'edited-'));
    const tfjs = resolve(__dirname, '../../node_modules/@tensorflow');
    const load = `require(${JSON.stringify(tfjs)} + '/tfjs-backend-cpu'); const tf = require(${JSON.stringify(tfjs)} + '/tfjs-layers');`;
    const required = part.endsWith('.mjs')
      ? `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`
      : '';
    const net = (layer: string): string =>
      partText.replace('NET', `tf.sequential({ layers: [tf.layers.dense({ name: '${layer}', units, inputShape: [3] })] })`);
    const write = (width: number, layer: string): void => {
      writeFileSync(join(place, name), text.replace('WIDTH', String(width)));
      writeFileSync(join(place, part), `${required}${load}${net(layer)}`);
    };
    const to = join(place, 'net.onnx');
    const layers = async (): Promise<unknown> => {
      await connection.sendRequest(messages.importDefinition, { file: join(place, name), name: 'build', arguments: '', to });
      return (await connection.sendRequest(messages.inspectModel, { path: to })).nodes.map((n) => [n.name, n.params]);
    };
    write(4, 'head');
    expect(await layers()).toEqual([['head', 16]]);
    write(5, 'head');
    expect(await layers()).toEqual([['head', 20]]);
    write(5, 'other');
    expect(await layers()).toEqual([['other', 20]]);
  });

  it('ends a module that does not come to an end when it is cancelled', async () => {
    const file = join(folder, 'endless.cjs');
    writeFileSync(file, 'for (;;);');
    const source = new CancellationTokenSource();
    const given = { file, name: 'x', arguments: '', to: join(folder, 'x.onnx') };
    const failing = connection.sendRequest(messages.importDefinition, given, source.token);
    setTimeout(() => source.cancel(), 200);
    await expect(failing).rejects.toMatchObject({ code: -32800 });
  });

  it('says so where a module ends the process that imports it', async () => {
    const file = join(folder, 'ends.cjs');
    writeFileSync(file, 'process.exit(3)');
    const failing = connection.sendRequest(messages.importDefinition, { file, name: 'x', arguments: '', to: join(folder, 'x.onnx') });
    await expect(failing).rejects.toMatchObject({ message: `${file} ended its thread (exit code 3)` });
  });

  it('trains a network from nothing, telling how far it is', async () => {
    const configPath = join(folder, 'train.espalier.json');
    writeFileSync(
      configPath,
      JSON.stringify({
        model: 'trained.onnx',
        data: { name: 'digits', digits: { train: 300, test: 100 } },
        train: { architecture: 'lenet5', epochs: 1, batch: 50 },
      }),
    );
    const reports: messages.ProgressReport[] = [];
    connection.onNotification(messages.progress, (report) => void reports.push(report));
    const trained = await connection.sendRequest(messages.trainModel, { configPath, folder, progressToken: 'training' });
    expect(trained).toMatchObject({ path: join(folder, 'trained.onnx'), accuracy: expect.any(Number) });
    expect(existsSync(trained.path)).toBe(true);
    const fractions = reports.filter(({ token }) => token === 'training').map(({ fraction }) => fraction!);
    expect(fractions.length).toBeGreaterThan(1);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions.at(-1)).toBeLessThanOrEqual(1);
    expect(reports[0].message).toMatch(/^epoch 1 of 1, .* left$/);
  });

  it('looks for data where the settings name them, also once it runs', async () => {
    const refusal = async (dataFolder?: string): Promise<string> => {
      await connection.sendNotification(messages.dataFolderChanged, dataFolder === undefined ? {} : { dataFolder });
      const configText = '{ "model": "net.onnx", "data": { "name": "cifar10" } }';
      const refused = await connection.sendRequest(messages.startRun, { configText, folder });
      return refused.started ? 'started' : refused.message;
    };
    expect(await refusal(join(folder, 'data'))).toBe(`The data folder ${join(folder, 'data')} does not exist.`);
    expect(await refusal()).toContain('no data folder is known');
  });

  it('refuses a run that cannot work, and writes nothing', async () => {
    const wrong = await connection.sendRequest(messages.startRun, { configText: '{ "model": "net.onnx", "sead": 1 }', folder });
    expect(wrong).toMatchObject({ started: false, problems: [{ suggestion: 'seed' }] });
    const data = await connection.sendRequest(messages.startRun, {
      configText: '{ "model": "net.onnx", "data": { "name": "cifar10" } }',
      folder,
    });
    expect(data).toMatchObject({ started: false, message: expect.stringContaining('cifar10') });
    expect(existsSync(join(folder, 'runs'))).toBe(false);
  });

  it('runs one after the other, tells whole snapshots, pauses, resumes, exports and ranks anew', async () => {
    const long = await begin(500);
    const short = await begin(3);
    expect((await until(short, (s) => s.summary.status === 'queued')).summary).toMatchObject({ name: 'net', status: 'queued' });
    await until(long, (s) => s.episodes.length > 0);
    const stopped = await connection.sendRequest(messages.pauseRun, { folder: long });
    expect(stopped).toMatchObject({ status: 'interrupted', reason: 'stopped by the user', paused: true, resumable: true });
    expect(stopped.stopped).toBeUndefined();

    const finished = await until(short, (s) => s.summary.status === 'finished');
    expect(() => runSnapshotSchema.parse(finished)).not.toThrow();
    expect(finished.summary.best?.stage).toBe('final');
    const revisions = snapshots.filter((s) => s.summary.folder === short).map((s) => s.revision);
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
    const listed = await connection.sendRequest(messages.listRuns, { folders: [join(folder, 'runs')] });
    expect(listed.map((r) => r.status).sort()).toEqual(['finished', 'interrupted']);
    // Its end is its end: stopping it changes nothing.
    expect(await connection.sendRequest(messages.stopRun, { folder: short })).toMatchObject({ status: 'finished' });
    expect(await connection.sendRequest(messages.resumeRun, { folder: short })).toMatchObject({
      started: false,
      message: expect.stringContaining('is finished'),
    });

    const rescored = await connection.sendRequest(messages.rescoreRun, {
      folder: short,
      stage: 'prune',
      reward: 'accuracy - flops / flops0',
      constants: {},
    });
    if ('problems' in rescored) throw new Error(rescored.problems[0].message);
    expect(rescored.rescoring.ranked.length).toBeGreaterThan(0);
    expect(
      await connection.sendRequest(messages.rescoreRun, { folder: short, stage: 'prune', reward: 'acuracy', constants: {} }),
    ).toMatchObject({
      problems: [{ suggestion: 'accuracy' }],
    });

    for (const stage of ['prune', 'quantize', 'final']) {
      const candidate = finished.candidates.find((c) => c.stage === stage)!;
      const to = join(folder, `${stage}.onnx`);
      const exported = await connection.sendRequest(messages.exportCandidate, {
        folder: short,
        candidate: candidate.id,
        to,
        format: 'onnx',
      });
      expect(exported).toMatchObject({ files: [to], fileBytes: expect.any(Number), images: 100 });
    }

    const resumed = await connection.sendRequest(messages.resumeRun, { folder: long });
    expect(resumed).toMatchObject({ started: true, folder: long });
    const before = stopped.episode;
    await until(long, (s) => s.summary.status === 'running' && s.summary.episode > before);
    expect(await connection.sendRequest(messages.pauseRun, { folder: long })).toMatchObject({ paused: true });
  }, 120_000);

  it('stops for good, with the best so far to be exported, and can still be resumed', async () => {
    const long = await begin(500);
    await until(long, (s) => s.episodes.length > 0);
    const behind = await begin(500);
    // One that waits need not wait to be stopped.
    const given = { status: 'interrupted', reason: 'ended by the user', stopped: true, resumable: true };
    expect(await connection.sendRequest(messages.stopRun, { folder: behind })).toMatchObject(given);
    expect(await connection.sendRequest(messages.readRun, { folder: long })).toMatchObject({ summary: { status: 'running' } });
    expect(await connection.sendRequest(messages.stopRun, { folder: long })).toMatchObject({ ...given, best: { id: expect.any(String) } });
    for (const run of [long, behind]) expect(readRunSnapshot(run)!.summary).toMatchObject({ ...given, paused: undefined, name: 'net' });
    const { best } = readRunSnapshot(long)!.summary;
    const to = join(folder, 'best-so-far.onnx');
    expect(await connection.sendRequest(messages.exportCandidate, { folder: long, candidate: best!.id, to, format: 'onnx' })).toMatchObject(
      { files: [to] },
    );
    // One that is paused is ended too; one that is finished stays so.
    await connection.sendRequest(messages.resumeRun, { folder: behind });
    await until(behind, (s) => s.episodes.length > 0);
    expect(await connection.sendRequest(messages.pauseRun, { folder: behind })).toMatchObject({ paused: true });
    expect(await connection.sendRequest(messages.stopRun, { folder: behind })).toMatchObject(given);
    expect(readRunSnapshot(behind)!.summary).toMatchObject(given);
  }, 120_000);

  it('lists the methods that a config may name', async () => {
    const listed = await connection.sendRequest(messages.listMethods, {});
    expect(listed.map(({ name }) => name)).toEqual(METHOD_NAMES);
    for (const { title, description, source } of listed) for (const text of [title, description, source]) expect(text).not.toBe('');
  });

  it('scans sensitivity, can be cancelled, and answers at once from what is kept', async () => {
    const configPath = join(folder, 'net.espalier.json');
    writeFileSync(configPath, text(3));
    const seen: Sensitivity[] = [];
    connection.onNotification(messages.sensitivityChanged, (s) => void seen.push(s));
    const source = new CancellationTokenSource();
    const cancelled = connection.sendRequest(messages.sensitivity, { modelPath, configPath }, source.token);
    while (seen.length === 0) await new Promise((r) => setTimeout(r, 20));
    source.cancel();
    await expect(cancelled).rejects.toMatchObject({ code: -32800 });
    const partial = await connection.sendRequest(messages.sensitivity, { modelPath, configPath, cachedOnly: true });
    expect(partial.groups.length).toBeGreaterThan(0);
    const whole = await connection.sendRequest(messages.sensitivity, { modelPath, configPath });
    expect(whole.done).toBe(whole.total);
    expect(whole.groups[0].points).toMatchObject(partial.groups[0].points.map(({ channels, accuracy }) => ({ channels, accuracy })));
    expect(readdirSync(join(folder, '.espalier', 'sensitivity'))).toHaveLength(1);
    const { report, image } = await connection.sendRequest(messages.sensitivityReport, { modelPath, configPath });
    expect(report).toBe(join(folder, '.espalier', 'sensitivity', 'net', 'sensitivity.md'));
    // Every group has its row, and its figures are those of the scan.
    const [first] = whole.groups[0].points;
    const row = readFileSync(report, 'utf8')
      .split('\n')
      .find((line) => line.startsWith(`| ${whole.groups[0].group} |`));
    expect(row).toContain(`${(100 * first.accuracy).toFixed(1)} (${first.channels})`);
    expect(readFileSync(image, 'utf8')).toMatch(/^<svg/);
    writeFileSync(join(folder, 'other.onnx'), readFileSync(join(folder, 'imported', 'net.onnx')));
    await expect(connection.sendRequest(messages.sensitivityReport, { modelPath: join(folder, 'other.onnx') })).rejects.toMatchObject({
      code: messages.USER_ERROR_CODE,
      message: expect.stringContaining('has not been measured yet'),
    });
  });

  it('puts its runs in order when the window is gone, and says what became of them', async () => {
    const running = await begin(500);
    await until(running, (s) => s.episodes.length > 0);
    const queued = await begin(500);
    const gone = once(child, 'exit');
    child.disconnect();
    expect(await gone).toEqual([0, null]);
    expect(readRunSnapshot(running)!.summary).toMatchObject({
      status: 'interrupted',
      reason: 'the window was closed or reloaded',
      paused: undefined,
      resumable: true,
    });
    // Nothing of it is lost either: its config says what it is.
    expect(readRunSnapshot(queued)!.summary).toMatchObject({
      name: 'net',
      method: 'two-stage-ppo',
      status: 'interrupted',
      reason: 'it had not begun yet',
      episodes: 500,
      resumable: true,
    });
  }, 30_000);
});
