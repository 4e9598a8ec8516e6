import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../../src/engine/random';
import { readJournal } from '../../src/engine/search/journal';
import { isFinished } from '../../src/engine/search/run';
import { trainBaseline } from '../../src/engine/search/train-baseline';
import { bundle } from './fixtures/bundle';
import { candidates, eventsOf, onlyRun, outcomeOf, scoredPolicies } from './fixtures/outcome';
import { shortConfig, shortInput, workFolder } from './fixtures/short-run';

const KILLS = 10;
/** Masks, information dropout and retraining as well: every phase that a run has. */
const input = {
  ...shortInput,
  pruning: { ...shortInput.pruning, variational: { enabled: true, targetSparsity: 0.3, epochs: 1, retrainEpochs: 2 } },
};

let root: string;
let runner: string;
let actor: string;

beforeAll(async () => {
  root = workFolder('killed');
  runner = await bundle('test/runs/fixtures/runner.ts', root, 'runner');
  actor = await bundle('src/engine/search/actor-thread.ts', root, 'actor-thread');
  await trainBaseline(shortConfig(), { folder: root });
}, 60_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A folder with a config and the model. */
function freshFolder(name: string): string {
  const folder = join(root, name);
  mkdirSync(folder);
  copyFileSync(join(root, 'lenet5.onnx'), join(folder, 'lenet5.onnx'));
  writeFileSync(join(folder, 'config.json'), JSON.stringify(input));
  return folder;
}

interface Process {
  readonly child: ChildProcess;
  /** Resolves when the run is under way. */
  readonly running: Promise<void>;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; errors: string }>;
}

/** @param lines the process is killed once it has written so many lines to the journal */
function launch(words: readonly string[], lines = Number.POSITIVE_INFINITY): Process {
  const child = spawn(process.execPath, [runner, ...words, actor], { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr!.on('data', (d) => {
    errors += d;
  });
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null; errors: string }>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, errors })),
  );
  let written = 0;
  const running = new Promise<void>((resolve, reject) => {
    child.stdout!.on('data', (dots: Buffer) => {
      resolve();
      written += dots.length;
      if (written >= lines) child.kill('SIGKILL');
    });
    void ended.then((e) => reject(new Error(`ended before it ran: ${e.code} ${e.errors}`)));
  });
  return { child, running, ended };
}

/** The run of a folder, or the folder itself where none has begun. */
const next = (folder: string): [string, string] => {
  const runs = join(folder, 'runs');
  const begun = existsSync(runs) && readdirSync(runs).some((r) => existsSync(join(runs, r, 'journal.jsonl')));
  return begun ? ['resume', onlyRun(folder)] : ['start', folder];
};

test(`a run killed at ${KILLS} moments and resumed each time ends as one left alone`, async () => {
  const alone = freshFolder('alone');
  const undisturbed = launch(['start', alone]);
  await undisturbed.running;
  const began = performance.now();
  expect(await undisturbed.ended).toMatchObject({ code: 0 });
  const duration = performance.now() - began;
  const expected = onlyRun(alone);
  const wanted = { outcome: outcomeOf(expected), policies: scoredPolicies(expected), candidates: candidates(expected) };

  const random = new Random(20);
  const phases = new Set<string>();
  let withinSearch = 0;
  const finished: string[] = [];
  let folder = freshFolder('killed-1');
  for (let kills = 0; kills < KILLS; ) {
    // By turns after some lines of the journal, most of which the search writes, and after some time, most of which training takes.
    const byLines = kills % 2 === 0;
    const { child, running, ended } = launch(next(folder), byLines ? 4 + random.below(36) : undefined);
    await running;
    const timer = byLines ? undefined : setTimeout(() => child.kill('SIGKILL'), random.uniform() * duration * 0.4);
    const { signal, code, errors } = await ended;
    clearTimeout(timer);
    if (signal === 'SIGKILL') {
      kills++;
      // The journal may end in half a line here.
      const { events } = readJournal(join(onlyRun(folder), 'journal.jsonl'));
      const last = events.findLast((e) => e.type === 'phase');
      const stage = last?.phase;
      const rounds = events.slice(last ? events.lastIndexOf(last) : 0).filter((e) => e.type === 'checkpoint').length;
      if ((stage === 'prune' || stage === 'quantize') && rounds > 0) withinSearch++;
      phases.add(last?.phase ?? 'prepare');
      continue;
    }
    expect({ code, errors }).toMatchObject({ code: 0 });
    finished.push(folder);
    folder = freshFolder(`killed-${finished.length + 1}`);
  }
  const words = next(folder);
  if (words[0] === 'resume' && !isFinished(words[1])) expect(await launch(words).ended).toMatchObject({ code: 0 });
  if (words[0] === 'resume') finished.push(folder);

  // The moments were spread: not all of them in one phase.
  expect(phases.size).toBeGreaterThan(1);
  // Some fell between the rounds of a stage, where the agent's state counts.
  expect(withinSearch).toBeGreaterThan(0);
  for (const f of finished) {
    const run = onlyRun(f);
    expect(outcomeOf(run)).toEqual(wanted.outcome);
    expect(scoredPolicies(run)).toEqual(wanted.policies);
    expect(candidates(run)).toEqual(wanted.candidates);
    expect(eventsOf(run).at(-1)).toMatchObject({ type: 'finished' });
    for (const part of ['.', 'best', 'checkpoint']) expect(readdirSync(join(run, part)).filter((n) => n.endsWith('.tmp'))).toEqual([]);
  }
}, 300_000);
