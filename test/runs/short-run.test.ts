import { appendFileSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadModel } from '../../src/engine/onnx/file';
import { accuracyOf } from '../../src/engine/runtime/evaluate';
import { loadOnnxruntime } from '../../src/engine/runtime/onnxruntime';
import { prepare } from '../../src/engine/search/prepare';
import { isFinished, type RunOptions, type RunResult, resumeRun, startRun } from '../../src/engine/search/run';
import { readRunSnapshot } from '../../src/engine/search/snapshot';
import { trainBaseline } from '../../src/engine/search/train-baseline';
import { type ConfigInput, configSchema } from '../../src/protocol/config';
import { candidateSchema } from '../../src/protocol/policy';
import type { RunEvent } from '../../src/protocol/run-events';
import { bundle } from './fixtures/bundle';
import { candidates, eventsOf, fileHash, onlyRun, outcomeOf, scoredPolicies } from './fixtures/outcome';
import { shortConfig, workFolder } from './fixtures/short-run';

let root: string;
let first: RunResult;
/** Sessions of onnxruntime that were made and not released. */
let sessions = 0;

beforeAll(async () => {
  root = workFolder('short');
  const { InferenceSession } = await loadOnnxruntime();
  const create = InferenceSession.create.bind(InferenceSession) as (...a: unknown[]) => Promise<{ release(): Promise<void> }>;
  InferenceSession.create = (async (...a: unknown[]) => {
    const session = await create(...a);
    sessions++;
    const release = session.release.bind(session);
    session.release = () => {
      sessions--;
      return release();
    };
    return session;
  }) as typeof InferenceSession.create;
  await trainBaseline(shortConfig(), { folder: root });
  first = await run('first');
}, 60_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

function freshFolder(name: string): string {
  const folder = join(root, name);
  mkdirSync(folder);
  copyFileSync(join(root, 'lenet5.onnx'), join(folder, 'lenet5.onnx'));
  return folder;
}

const run = (name: string, change: Partial<ConfigInput> = {}, options: Partial<RunOptions> = {}): Promise<RunResult> =>
  startRun(shortConfig(change), { folder: freshFolder(name), ...options });

test('the folder of a run holds what it should', async () => {
  const { folder } = first;
  const events = eventsOf(folder);
  expect(events[0].type).toBe('header');
  expect(events.at(-1)).toMatchObject({ type: 'finished', candidate: 'final', reason: 'complete' });
  const types = new Set(events.map((e) => e.type));
  for (const t of ['original', 'phase', 'evaluation', 'update', 'episode', 'candidate', 'front', 'checkpoint'] as const)
    expect(types).toContain(t);
  expect(events.flatMap((e) => (e.type === 'phase' ? [e.phase] : []))).toEqual([
    'prune',
    'reconstruct',
    'recover',
    'quantize',
    'recover',
    'export',
    'report',
  ]);
  const { config } = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  expect(configSchema.parse(config).seed).toBe(3);

  const report = readFileSync(join(folder, 'report.md'), 'utf8');
  expect(report).toContain('| parameters, structured | 61,706 |');
  // Eight episodes of four steps at most: what is proposed again counts once.
  const { scorings, completePolicies } = first.scorings.prune;
  expect([scorings, completePolicies].every((n, i) => n > 1 && n <= [32, 8][i])).toBe(true);
  expect(report).toMatch(new RegExp(`prune: ${scorings} scorings on \\d+ samples, ${completePolicies} of them complete policies`));
  for (const layer of first.result.layers) expect(report).toContain(`| ${layer.name} |`);

  // The reported accuracy is that of the file.
  const config2 = shortConfig();
  const { data } = await prepare(config2, { folder: join(root, 'first'), threads: 1 });
  const model = loadModel(join(folder, 'best', 'model.onnx'));
  expect(await accuracyOf(model, data.report, { threads: 1 })).toBe(first.result.after.accuracy);
  expect(candidateSchema.parse(JSON.parse(readFileSync(join(folder, 'best', 'policy.json'), 'utf8')))).toMatchObject({ id: 'final' });
  expect(existsSync(join(folder, 'checkpoint', 'finished.json'))).toBe(true);
  // States of training are of no use once it is over.
  expect(readdirSync(join(folder, 'checkpoint')).filter((n) => n.endsWith('.bin'))).toEqual([]);
  expect(readRunSnapshot(folder)?.summary).toMatchObject({ status: 'finished', best: { id: 'final' } });
});

test('fine-tuning that diverges begins anew at lower rates; where none is low enough the run goes on without it', async () => {
  const { folder, result } = await run('diverging', {
    recovery: { epochs: 1, batch: 64, learningRate: 1e30 },
    quantization: { activations: 'float', epochs: 1, learningRate: 1e30 },
  });
  const warnings = eventsOf(folder).flatMap((e) => (e.type === 'warning' ? [e.message] : []));
  for (const phase of ['fine-tuning', 'straight-through fine-tuning'])
    expect(warnings).toContainEqual(expect.stringMatching(new RegExp(`^${phase} diverged at every learning rate tried`)));
  const restarts = warnings.filter((w) => /^training diverged at step \d+: .*; it begins anew at a quarter of the learning rate$/.test(w));
  expect(restarts).toHaveLength(4);
  expect(result.after.accuracy).toBeGreaterThan(0.1);
  expect(readdirSync(join(folder, 'checkpoint')).filter((n) => n.endsWith('.bin'))).toEqual([]);
});

test('a finished run cannot be resumed, and says so', async () => {
  expect(isFinished(first.folder)).toBe(true);
  const before = fileHash(join(first.folder, 'journal.jsonl'));
  await expect(resumeRun(first.folder, {})).rejects.toThrow(/is finished: there is nothing to resume/);
  expect(fileHash(join(first.folder, 'journal.jsonl'))).toBe(before);
});

test('the same seed gives the same run, in threads as well; another seed another', async () => {
  const actor = await bundle('src/engine/search/actor-thread.ts', root, 'actor-thread');
  const threaded = await run('threads', {}, { threads: { actor } });
  const second = await run('second');
  for (const other of [threaded, second]) {
    expect(outcomeOf(other.folder)).toEqual(outcomeOf(first.folder));
    expect(scoredPolicies(other.folder)).toEqual(scoredPolicies(first.folder));
    expect(candidates(other.folder)).toEqual(candidates(first.folder));
  }
  const another = await run('another', { seed: 4 });
  expect(scoredPolicies(another.folder)).not.toEqual(scoredPolicies(first.folder));
});

test('stopped by the user: what was found is usable, no session is left, and resuming ends as if nothing had been', async () => {
  const before = sessions;
  const controller = new AbortController();
  const seen: number[] = [];
  let evaluations = 0;
  const listener = (e: RunEvent): void => {
    if (e.type === 'checkpoint') seen.push(sessions);
    // In the last episodes of stage 1, and within a round.
    if (e.type === 'evaluation' && ++evaluations === 21) controller.abort(new Error('stop'));
  };
  const folder = freshFolder('stopped');
  await expect(startRun(shortConfig(), { folder, signal: controller.signal, listener })).rejects.toThrow('stop');
  const path = onlyRun(folder);
  expect(sessions).toBe(before);
  // Sessions do not pile up from round to round.
  expect(new Set(seen).size).toBe(1);
  expect(eventsOf(path).at(-1)).toMatchObject({ type: 'interrupted' });
  expect(readRunSnapshot(path)?.summary).toMatchObject({ status: 'interrupted', resumable: true });

  const best = candidateSchema.parse(JSON.parse(readFileSync(join(path, 'best', 'policy.json'), 'utf8')));
  const { data } = await prepare(shortConfig(), { folder, threads: 1 });
  expect(await accuracyOf(loadModel(join(path, 'best', 'model.onnx')), data.search, { threads: 1 })).toBe(best.accuracy);

  // A line cut short by a crash is dropped, and nothing else.
  appendFileSync(join(path, 'journal.jsonl'), '{"type":"evaluation","episode":99,"st');
  await resumeRun(path, {});
  expect(outcomeOf(path)).toEqual(outcomeOf(first.folder));
  expect(scoredPolicies(path)).toEqual(scoredPolicies(first.folder));
  expect(candidates(path)).toEqual(candidates(first.folder));
  expect(eventsOf(path).some((e) => e.type === 'resumed')).toBe(true);
});

test('the last reconstruction says how long it takes yet; stopped in it, a run ends at once and makes it again when resumed', async () => {
  const before = sessions;
  const controller = new AbortController();
  const left: number[] = [];
  const listener = (e: RunEvent): void => {
    if (e.type !== 'progress' || e.progress.phase !== 'reconstruct' || e.progress.secondsLeft === null) return;
    left.push(e.progress.secondsLeft);
    controller.abort(new Error('stop'));
  };
  const folder = freshFolder('stopped-reconstruction');
  await expect(startRun(shortConfig(), { folder, signal: controller.signal, listener })).rejects.toThrow('stop');
  // After the first of several groups.
  expect(left).toHaveLength(1);
  expect(left[0]).toBeGreaterThan(0);
  expect(sessions).toBe(before);
  const path = onlyRun(folder);
  await resumeRun(path, {});
  expect(outcomeOf(path)).toEqual(outcomeOf(first.folder));
});

test('the last reconstruction is taken where it scores worse by less than the margin, and not beyond', async () => {
  // More images at one place of each: the last reconstruction knows less than the search's.
  const poor = (margin: number): ConfigInput['pruning'] => ({
    calibrationImages: 40,
    positions: 20,
    final: { calibrationImages: 41, positions: 1, margin },
  });
  const change = { method: 'uniform', stages: { prune: true, quantize: false }, recovery: { epochs: 0 } } satisfies Partial<ConfigInput>;
  const built = async (name: string, pruning: ConfigInput['pruning']): Promise<string> =>
    fileHash(join((await run(name, { ...change, pruning })).folder, 'best', 'pruned-untrained.onnx'));
  const quick = await built('quick', { calibrationImages: 40, positions: 20, final: { calibrationImages: 40 } });
  expect(await built('strict', poor(0))).toBe(quick);
  expect(await built('lenient', poor(1))).not.toBe(quick);
}, 60_000);

test('of several finalists the one that diverges least from the original is taken', async () => {
  const change = { stages: { prune: true, quantize: false }, recovery: { epochs: 0 } } satisfies Partial<ConfigInput>;
  const { folder, result } = await run('finalists', {
    ...change,
    pruning: { calibrationImages: 20, final: { calibrationImages: 200, finalists: 3 } },
  });
  const divergences = eventsOf(folder).flatMap((e) =>
    e.type === 'measurement' && e.key.startsWith('finalist:') ? [{ id: e.key.split(':')[1], nats: e.result as number }] : [],
  );
  expect(divergences).toHaveLength(3);
  const chosen = divergences.reduce((a, b) => (b.nats < a.nats ? b : a)).id;
  const all = eventsOf(folder).flatMap((e) => (e.type === 'candidate' ? [e.candidate] : []));
  expect(result.candidate.policy.ratios).toEqual(all.find((c) => c.id === chosen)!.policy.ratios);
  const report = readFileSync(join(folder, 'report.md'), 'utf8');
  const rows = report.slice(report.indexOf('### Finalists')).split('\n').slice(4, 7);
  expect(rows.map((row) => row.split(' ')[1])).toEqual([...divergences].sort((a, b) => a.nats - b.nats).map((d) => d.id));
});

test('stopped in fine-tuning: at most one epoch is repeated', async () => {
  const controller = new AbortController();
  let tuning = 0;
  const stop = (e: RunEvent): void => {
    if (e.type === 'phase') tuning = e.phase === 'recover' ? tuning + 1 : tuning;
    // After the first epoch of straight-through fine-tuning.
    if (e.type === 'checkpoint' && tuning === 2) controller.abort(new Error('stop'));
  };
  const folder = freshFolder('stopped-tuning');
  await expect(startRun(shortConfig(), { folder, signal: controller.signal, listener: stop })).rejects.toThrow('stop');
  const path = onlyRun(folder);
  expect(readdirSync(join(path, 'checkpoint'))).toContain('straight-through.bin');
  const after: string[] = [];
  await resumeRun(path, { listener: (e) => after.push(e.type) });
  expect(after.filter((t) => t === 'checkpoint')).toHaveLength(1);
  expect(after).not.toContain('evaluation');
  expect(outcomeOf(path)).toEqual(outcomeOf(first.folder));
});

test('the time limit ends the search with the best so far', async () => {
  const limited = await run('limited', { search: { episodes: 1000, actors: 2, timeLimit: 0.5 } });
  expect(limited.reason).toBe('time-limit');
  const events = eventsOf(limited.folder);
  expect(events.at(-1)).toMatchObject({ type: 'finished', reason: 'time-limit' });
  expect(Object.keys(limited.result.candidate.policy.ratios).length).toBeGreaterThan(0);
  // Even where there was no time for one whole policy, the result keeps the goal.
  expect(limited.goalMet).toBe(true);
  expect(loadModel(join(limited.folder, 'best', 'model.onnx')).graph.nodes.length).toBeGreaterThan(0);
  expect(readFileSync(join(limited.folder, 'report.md'), 'utf8')).toContain('ended by time-limit');
});

test('the limit of scorings is never exceeded', async () => {
  const limited = await run('scorings', {
    method: 'episodic-ppo',
    stages: { prune: true, quantize: false },
    search: { episodes: 50, actors: 2, scorings: 6 },
    recovery: { epochs: 0 },
  });
  expect(limited.reason).toBe('scorings-limit');
  expect(limited.scorings.prune).toMatchObject({ scorings: 6, completePolicies: 6 });
  expect(new Set(eventsOf(limited.folder).flatMap((e) => (e.type === 'evaluation' ? [e.key] : []))).size).toBe(6);
});

test('of a method’s own targets those out of reach are left out, with a warning; one that the config names is an error', async () => {
  const change = {
    goal: { flops: 0.7 },
    layers: { conv1: { skip: true }, conv2: { maxRatio: 0.5 } },
    stages: { prune: true, quantize: false },
    search: { episodes: 4, actors: 2 },
    recovery: { epochs: 0 },
  };
  const left = await run('targets', { ...change, method: 'conditional-ppo' });
  const warnings = eventsOf(left.folder).flatMap((e) => (e.type === 'warning' ? [e.message] : []));
  expect(warnings.filter((w) => /the target of (30|50) % of the FLOPs is left out: .* cannot be reached/.test(w))).toHaveLength(2);
  expect(left.goalMet).toBe(true);
  const named = run('targets-named', { ...change, method: { name: 'conditional-ppo', options: { targets: '0.3,0.7' } } });
  await expect(named).rejects.toThrow(/30\.0 %\) cannot be reached/);
}, 60_000);

test('no session outlives its run', () => {
  expect(sessions).toBe(0);
});

test('straight-through fine-tuning that did harm is not used, and the run says so', async () => {
  const change = { stages: { prune: false, quantize: true }, search: { episodes: 2, actors: 1 } } as const;
  const settings = { activations: 'float', epochs: 1 } as const;
  const untuned = await run('untuned', { ...change, quantization: { ...settings, epochs: 0 } });
  const harmed = await run('harmed', { ...change, quantization: { ...settings, learningRate: 0.3 } });
  const warnings = eventsOf(harmed.folder).flatMap((e) => (e.type === 'warning' ? [e.message] : []));
  expect(warnings.join('\n')).toMatch(/straight-through fine-tuning did harm .* lower quantization\.learningRate/);
  expect(harmed.result.after.accuracy).toBe(untuned.result.after.accuracy);
}, 60_000);
