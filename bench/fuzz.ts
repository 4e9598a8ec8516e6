/**
 * Damaged model files against the reading half of the engine: `npm run -s bench -- fuzz --count 10000 --seed 1 [--kind h5] [--data DIR] [--out DIR]`.
 * Kinds are onnx (where nothing is said), h5, keras, tfjs, tfjs-graph and saved-model.
 * Every file must be read to the end or be refused with one UserError, within TIME_LIMIT and MEMORY_LIMIT. Anything else (another
 * exception, a crash, a hang) is printed with the seed and the number of the case, and the file is kept.
 * The files that the engine takes are then given to onnxruntime, in a process of its own; its verdict is only counted.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { damageFiles, type ModelFiles } from '../src/engine/formats/testing/damage-files';
import { examineFile } from '../src/engine/formats/testing/examine-file';
import { KINDS, type Kind, wholeModels } from '../src/engine/formats/testing/whole-files';
import { damage } from '../src/engine/graph/testing/damage';
import { examine, type Outcome } from '../src/engine/graph/testing/examine';
import { seedFiles } from '../src/engine/graph/testing/fuzz-seeds';
import { Random } from '../src/engine/random';
import { Session } from '../src/engine/runtime/onnxruntime';
import { AnsweringChild } from './answering-child';
import { type BenchArguments, note, printRow } from './bench';

const TIME_LIMIT = 10_000;
/** MiB of the process that reads, at its highest. */
const MEMORY_LIMIT = 2048;
/** A file of data larger than this would make most of the time copying. */
const LARGEST_FILE = 4 * 2 ** 20;

interface Answer {
  readonly kind: Outcome['kind'];
  readonly message: string;
  /** Highest resident set so far, MiB. */
  readonly memory: number;
  readonly model?: Uint8Array;
}

/** Whole models of a kind, each as its files: for ONNX those built here and the models of the data folder; for Keras and SavedModels the tests' own. */
function wholeFiles(kind: 'onnx' | Kind, data: string | undefined): ModelFiles[] {
  if (kind !== 'onnx') return wholeModels(kind, join('test', 'fixtures', 'formats'));
  const folder = join(data ?? '', 'models');
  const found = data !== undefined && existsSync(folder) ? readdirSync(folder).filter((n) => n.endsWith('.onnx')) : [];
  const files = found.sort().map((n) => new Uint8Array(readFileSync(join(folder, n))));
  return [...seedFiles(new Random(1)), ...files.filter((f) => f.byteLength <= LARGEST_FILE)].map(
    (bytes) => new Map([['model.onnx', bytes]]),
  );
}

function kindOf(args: BenchArguments): 'onnx' | Kind {
  const kind = args.options['kind'] ?? 'onnx';
  if (kind !== 'onnx' && !KINDS.includes(kind as Kind)) throw new Error(`--kind is onnx, ${KINDS.join(', ')}`);
  return kind as 'onnx' | Kind;
}

function damaged(kind: 'onnx' | Kind, models: readonly ModelFiles[], seed: number, index: number): ModelFiles {
  const random = new Random(seed).fork(String(index));
  if (kind !== 'onnx') return damageFiles(models, random);
  const files = models.map((m) => m.get('model.onnx')!);
  return new Map([['model.onnx', damage(files, random)]]);
}

function writeFiles(files: ModelFiles, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
}

/** Whether a damaged model is read or refused; other formats than ONNX are read from files. */
async function outcomeOf(kind: 'onnx' | Kind, files: ModelFiles): Promise<Outcome> {
  const [main] = files.keys();
  if (kind === 'onnx') return examine(files.get(main)!);
  const folder = mkdtempSync(join(tmpdir(), 'espalier-fuzz-'));
  try {
    writeFiles(files, folder);
    return await examineFile(join(folder, main));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What the two kinds of child process do with a message: a number of a case, or a model for onnxruntime. */
function serve(args: BenchArguments): Promise<void> {
  const kind = kindOf(args);
  const models = wholeFiles(kind, args.data);
  const seed = Number(args.options['seed']);
  const answer = (a: Omit<Answer, 'memory'>): void => {
    process.send!({ ...a, memory: process.resourceUsage().maxRSS / 1024 } satisfies Answer);
  };
  process.on('message', async (message: number | Uint8Array) => {
    if (typeof message === 'number') {
      const outcome = await outcomeOf(kind, damaged(kind, models, seed, message));
      if (outcome.kind === 'success') answer({ kind: 'success', message: '', model: outcome.model });
      else answer(outcome);
      return;
    }
    try {
      await (await Session.create(message, { threads: 1 })).release();
      answer({ kind: 'success', message: '' });
    } catch (e) {
      answer({ kind: 'refused', message: (e as Error).message });
    }
  });
  return new Promise((resolve) => process.on('disconnect', resolve));
}

export async function run(args: BenchArguments): Promise<void> {
  if (args.options['child']) return serve(args);
  const count = Number(args.options['count'] ?? 1000);
  const seed = Number(args.options['seed'] ?? 1);
  if (!Number.isInteger(count) || count < 1 || !Number.isInteger(seed)) throw new Error('--count and --seed take whole numbers');
  const out = args.options['out'] ?? join('.espalier', 'fuzz');
  const kind = kindOf(args);
  const child = (): AnsweringChild<number | Uint8Array, Answer> =>
    new AnsweringChild({
      args: ['fuzz', '--child', 'true', '--kind', kind, '--seed', String(seed), ...(args.data ? ['--data', args.data] : [])],
      nodeOptions: [`--max-old-space-size=${MEMORY_LIMIT}`],
      timeLimit: TIME_LIMIT,
      fault: (message): Answer => ({ kind: 'fault', message, memory: 0 }),
      judge: (answer) =>
        answer.memory <= MEMORY_LIMIT
          ? undefined
          : { ...answer, kind: 'fault', message: `took ${answer.memory.toFixed(0)} MiB; ${answer.message}` },
    });
  const [engine, runtime] = [child(), child()];
  const models = wholeFiles(kind, args.data);
  if (models.length === 0) throw new Error(`there is no whole ${kind} file here: run this in the repository`);
  const outcomes: Record<Outcome['kind'], number> = { success: 0, refused: 0, fault: 0 };
  const verdicts: Record<Outcome['kind'], number> = { success: 0, refused: 0, fault: 0 };
  const started = performance.now();
  for (let index = 0; index < count; index++) {
    const answer = await engine.ask(index);
    outcomes[answer.kind]++;
    if (answer.kind === 'fault') {
      const path = join(out, `${kind}-${seed}-${index}`);
      writeFiles(damaged(kind, models, seed, index), path);
      note(`seed ${seed}, case ${index}: ${answer.message}\n  kept as ${path}`);
    } else if (answer.model) {
      verdicts[(await runtime.ask(answer.model)).kind]++;
    }
  }
  engine.stop();
  runtime.stop();
  printRow(args, {
    kind,
    seed,
    files: count,
    read: outcomes.success,
    refused: outcomes.refused,
    faults: outcomes.fault,
    'onnxruntime takes': verdicts.success,
    'onnxruntime refuses': verdicts.refused,
    'onnxruntime dies': verdicts.fault,
    seconds: (performance.now() - started) / 1000,
  });
  if (outcomes.fault > 0) process.exitCode = 1;
}
