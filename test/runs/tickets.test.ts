/** The methods that train in rounds, end to end on generated digits: lottery tickets, the same as an MDP, Deep Compression. */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadTensorBackend } from '../../src/engine/agents/tensor-backend';
import { lenet5 } from '../../src/engine/architectures/lenet5';
import { npyBytes, raw } from '../../src/engine/data/testing/sample-files';
import { quantizableLayers } from '../../src/engine/graph/layers';
import { withMethodSettings } from '../../src/engine/methods/settings';
import { loadModel, modelBytes, saveModel } from '../../src/engine/onnx/file';
import type { Model } from '../../src/engine/onnx/model';
import { saveWithExternalData } from '../../src/engine/onnx/testing/external-data';
import { decodeModel } from '../../src/engine/quantization/deep-compression-file';
import { Random } from '../../src/engine/random';
import { accuracyOf } from '../../src/engine/runtime/evaluate';
import type { DeepCompressionFigures } from '../../src/engine/search/deep-compression-stage';
import { exportCandidate } from '../../src/engine/search/export-candidate';
import { loadMasks } from '../../src/engine/search/mask-file';
import { prepare } from '../../src/engine/search/prepare';
import type { PruneStageResult } from '../../src/engine/search/prune-stage';
import { Recorder } from '../../src/engine/search/recorder';
import { type RunResult, resumeRun, startRun } from '../../src/engine/search/run';
import type { RunContext } from '../../src/engine/search/run-context';
import { RunFolder } from '../../src/engine/search/run-folder';
import { stageOne } from '../../src/engine/search/stage-one';
import { initialModel, type TicketFigures, ticketOptions } from '../../src/engine/search/ticket-training';
import { trainBaseline } from '../../src/engine/search/train-baseline';
import { Trainer } from '../../src/engine/training/trainer';
import { type Config, type ConfigInput, configSchema } from '../../src/protocol/config';
import { workFolder } from './fixtures/short-run';

let root: string;

const config = (name: Config['method']['name'], options: object, change: Partial<ConfigInput> = {}): Config =>
  configSchema.parse({
    model: 'net.onnx',
    data: { name: 'digits', digits: { train: 500, test: 150 }, normalization: { scale: 1 / 255 } },
    train: { architecture: 'lenet5', epochs: 5, learningRate: 0.05, batch: 20 },
    method: { name, options },
    recovery: { epochs: 1, batch: 20, learningRate: 0.02 },
    search: { episodes: 12, actors: 2 },
    stages: { prune: true, quantize: name === 'deep-compression' },
    seed: 3,
    threads: 1,
    ...change,
  });

beforeAll(async () => {
  root = workFolder('tickets');
  await trainBaseline(config('lottery-ticket', {}), { folder: root });
}, 300_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const run = (c: Config): Promise<RunResult> => startRun(c, { folder: root });

interface Place {
  /** Of a run that is resumed; absent: a new one. */
  readonly folder?: string;
  readonly expired?: (journal: string) => boolean;
}

/** Work with what a run has before its first phase. */
async function inRun<T>(given: Config, work: (context: RunContext) => Promise<T>, { folder: of, expired }: Place = {}): Promise<T> {
  const c = withMethodSettings(given);
  const prepared = await prepare(c, { folder: root, threads: 1 });
  const folder = of === undefined ? RunFolder.create(join(root, 'stages'), prepared.modelPath, new Date(0)) : RunFolder.open(of);
  folder.writeJson(folder.config, { config: c, folder: root });
  const recorder = new Recorder(folder.journal);
  try {
    const { costs, data, model } = prepared;
    const accuracy = await accuracyOf(model, data.search, { threads: 1 });
    const original = { accuracy, flops: costs.macs, params: costs.params, bytes: costs.weightBytes, sparsity: 0 };
    const backend = await loadTensorBackend('js');
    const late = (): boolean => expired?.(readFileSync(folder.journal, 'utf8')) ?? false;
    return await work({ config: c, folder, recorder, prepared, backend, original, cores: 1, expired: late });
  } finally {
    recorder.close();
  }
}

/** Stage 1 alone, as a run has it: what follows it takes most of a short run's time. */
function stage(given: Config, place?: Place): Promise<PruneStageResult & { readonly folder: string; readonly stepsMade: number }> {
  const step = vi.spyOn(Trainer.prototype, 'step');
  const work = async (context: RunContext) => {
    const result = await stageOne(context);
    return { ...result, folder: context.folder.path, stepsMade: step.mock.calls.length };
  };
  return inRun(given, work, place).finally(() => step.mockRestore());
}
const read = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;
const weightsOf = (model: Model): Array<[string, Float32Array]> =>
  quantizableLayers(model).map((l) => [l.weight, model.graph.initializers.get(l.weight)!.floats()]);
const zeros = (values: Float32Array): number => values.reduce((n, v) => n + (v === 0 ? 1 : 0), 0);
const sparsityOf = (model: Model): number => {
  const all = weightsOf(model).map(([, w]) => w);
  return all.reduce((n, w) => n + zeros(w), 0) / all.reduce((n, w) => n + w.length, 0);
};
const sameBytes = (a: string, b: string): boolean => Buffer.compare(readFileSync(a), readFileSync(b)) === 0;

/** Stops at the second event of a kind, then goes on in another process's place. */
async function stoppedAndResumed(c: Config, at: string, which = 1): Promise<RunResult> {
  const controller = new AbortController();
  let folder = '';
  let seen = 0;
  await expect(
    startRun(c, {
      folder: root,
      signal: controller.signal,
      listener: (e) => {
        if (e.type === 'header') folder = e.id;
        if (e.type === at && ++seen === which) controller.abort(new Error('enough'));
      },
    }),
  ).rejects.toThrow('enough');
  return resumeRun(join(root, '.espalier/runs', folder), {});
}

const TICKET = { sparsity: 0.9, rounds: 2, epochs: 5 };

describe('lottery-ticket', () => {
  let result: RunResult;
  beforeAll(async () => {
    result = await run(config('lottery-ticket', TICKET));
  }, 300_000);

  test('masks the wanted share, no layer whole, and says what it reached beside a random mask', () => {
    const model = loadModel(join(result.folder, 'best/model.onnx'));
    expect(sparsityOf(model)).toBeCloseTo(0.9, 3);
    for (const [, w] of weightsOf(model)) expect(zeros(w)).toBeLessThan(w.length);
    const figures = read<TicketFigures>(join(result.folder, 'best/ticket.json'));
    expect(figures.sparsity).toBeCloseTo(0.9, 3);
    expect(figures.ticket).toBeCloseTo(result.result.after.accuracy, 9);
    expect(figures.randomMask).toBeLessThan(figures.ticket);
    expect(readFileSync(join(result.folder, 'report.md'), 'utf8')).toContain('## Lottery ticket');
    expect(result.result.after.cost.effectiveParams).toBeLessThan(0.11 * result.result.before.cost.params);
  });

  test('what was trained began at the initial weights: a ticket without training is those, masked', async () => {
    // A learning rate of almost nothing leaves the rewound weights where they are.
    const still = await stage(config('lottery-ticket', { ...TICKET, learningRate: 1e-12, epochs: 1, baseline: false }));
    const initial = lenet5.build({ classes: 10, random: new Random(3).fork('weights') });
    const trainedModel = loadModel(join(root, 'net.onnx'));
    const before = new Map(weightsOf(initial));
    const after = new Map(weightsOf(trainedModel));
    let moved = 0;
    for (const [name, w] of weightsOf(loadModel(join(still.folder, 'best/model.onnx')))) {
      w.forEach((v, i) => {
        if (v === 0) return;
        expect(Math.abs(v - before.get(name)![i])).toBeLessThan(1e-6);
        moved += Math.abs(v - after.get(name)![i]);
      });
    }
    expect(moved).toBeGreaterThan(1);
  });

  /** What the run would rewind to, and what it says about it. */
  const initialOf = (change: Partial<ConfigInput>): Promise<{ model: Model; journal: string }> =>
    inRun(config('lottery-ticket', TICKET, change), async (context) => ({
      model: await initialModel(context, ticketOptions(context)),
      journal: readFileSync(context.folder.journal, 'utf8'),
    }));
  const drawnWith = (seed: number): Model => lenet5.build({ classes: 10, random: new Random(seed).fork('weights') });
  // Not toEqual: where it fails it takes minutes to say so.
  const sameWeights = (a: Model, b: Model): boolean =>
    weightsOf(a).every(([name, w]) => w.join() === b.graph.initializers.get(name)!.floats().join());
  /** The same network from a file that says nothing of its training. */
  const bareModel = (): string => {
    const trainedModel = loadModel(join(root, 'net.onnx'));
    expect([...trainedModel.metadata]).toEqual([['espalier.train', '{"architecture":"lenet5","seed":3}']]);
    saveModel({ ...trainedModel, metadata: new Map() }, join(root, 'bare.onnx'));
    return 'bare.onnx';
  };

  test('a run with another seed than the training’s rewinds to the weights of the training', async () => {
    const { model, journal } = await initialOf({ seed: 8 });
    expect(sameWeights(model, drawnWith(3))).toBe(true);
    expect(journal).not.toContain('warning');
  });

  test('where the model does not say its seed, the run’s is assumed, with a warning', async () => {
    const { model, journal } = await initialOf({ seed: 8, model: bareModel() });
    expect(sameWeights(model, drawnWith(8))).toBe(true);
    expect(sameWeights(model, drawnWith(3))).toBe(false);
    expect(journal).toContain('are assumed to be those of seed 8');
  });

  test('trained as another architecture than "train" names, the model is rewound to itself, with a warning', async () => {
    const { model, journal } = await initialOf({ train: { architecture: 'lenet-300-100' } });
    expect(sameWeights(model, loadModel(join(root, 'net.onnx')))).toBe(true);
    expect(journal).toContain('the model was trained as lenet5, not as the lenet-300-100 of');
  });

  test('rounds only mask more; each is a candidate that can be exported as it was scored', async () => {
    const [one, two] = [1, 2].map((r) => loadModel(join(result.folder, `checkpoint/p-round-${r}.onnx`)));
    expect(sparsityOf(one)).toBeCloseTo(1 - 0.1 ** 0.5, 2);
    const later = new Map(weightsOf(two));
    for (const [name, w] of weightsOf(one))
      w.forEach((v, i) => {
        if (v === 0) expect(later.get(name)![i]).toBe(0);
      });
    const to = join(root, 'round-1.onnx');
    await exportCandidate(result.folder, 'p-round-1', to);
    expect(sameBytes(to, join(result.folder, 'checkpoint/p-round-1.onnx'))).toBe(true);
  });

  test('stopped after a round and resumed, it ends with the same file', async () => {
    const again = await stoppedAndResumed(config('lottery-ticket', TICKET), 'episode');
    expect(sameBytes(join(again.folder, 'best/model.onnx'), join(result.folder, 'best/model.onnx'))).toBe(true);
    expect(read(join(again.folder, 'best/ticket.json'))).toEqual(read(join(result.folder, 'best/ticket.json')));
  });

  test('the mask serves another run, which trains it on other data without a search', async () => {
    const mask = join(root, 'mask.json');
    writeFileSync(mask, readFileSync(join(result.folder, 'best/mask.json')));
    const other = await stage(
      config(
        'lottery-ticket',
        { ...TICKET, mask: 'mask.json', baseline: false },
        { data: { name: 'digits', digits: { train: 400, test: 100 }, normalization: { scale: 1 / 255 } } },
      ),
    );
    const model = loadModel(join(other.folder, 'best/model.onnx'));
    for (const [name, m] of loadMasks(mask, model, quantizableLayers(model))) {
      const w = model.graph.initializers.get(name)!.floats();
      m.forEach((keep, i) => {
        if (keep === 0) expect(w[i]).toBe(0);
      });
    }
    expect(other.scorings).toBe(1);
    expect(other.trainingSteps).toBe(other.stepsMade);
  });

  test('limits of the config hold', async () => {
    const limited = await stage(
      config(
        'lottery-ticket',
        { ...TICKET, sparsity: 0.5, baseline: false },
        { layers: { fc2: { skip: true }, fc1: { maxRatio: 0.4 } }, search: { scorings: 1 } },
      ),
    );
    const shares = Object.fromEntries(
      weightsOf(loadModel(join(limited.folder, 'best/model.onnx'))).map(([n, w]) => [n, zeros(w) / w.length]),
    );
    expect(shares['fc2.weight']).toBe(0);
    expect(shares['fc1.weight']).toBeCloseTo(0.4, 3);
    expect(limited.scorings).toBe(1);
  });

  test('a goal of parameters is met, biases counted', async () => {
    const { model, best, trainingSteps, stepsMade } = await stage(
      config('lottery-ticket', { rounds: 1, epochs: 1, rewindEpochs: 1, baseline: false }, { goal: { params: 0.2 } }),
    );
    expect(trainingSteps).toBe(stepsMade);
    expect(best!.cost.effectiveParams).toBeLessThanOrEqual(0.2 * best!.cost.params);
    expect(best!.cost.effectiveParams).toBeGreaterThan(0.199 * best!.cost.params);
    expect(sparsityOf(model)).toBeGreaterThan(0.8);
  });

  test('so is one of FLOPs, where the usual sparsity leaves more', async () => {
    const { best } = await stage(config('lottery-ticket', { rounds: 1, epochs: 1, baseline: false }, { goal: { flops: 0.1 } }));
    expect(best!.cost.effectiveMacs).toBeLessThanOrEqual(0.1 * best!.cost.macs);
    expect(best!.cost.effectiveMacs).toBeGreaterThan(0.098 * best!.cost.macs);
    await expect(stage(config('lottery-ticket', { rounds: 1 }, { goal: { flops: 1e-6 } }))).rejects.toThrow('goal.flops: at most 0 of');
  });

  test('what cannot be is said', async () => {
    await expect(stage(config('lottery-ticket', { sparsity: 1.2 }))).rejects.toThrow('method.options.sparsity is 1.2');
    await expect(stage(config('lottery-ticket', { mask: 'none.json' }))).rejects.toThrow('cannot read the mask');
    await expect(stage(config('lottery-ticket', TICKET, { model: bareModel(), train: { architecture: 'lenet-300-100' } }))).rejects.toThrow(
      'the network that "train" builds is not the model before its training',
    );
  });
});

describe.each([
  ['lottery-ticket', { epochs: 1, baseline: false }],
  ['deep-compression', {}],
] as const)('the time limit of %s', (name, options) => {
  const wanted = config(name, { ...options, rounds: 3 }, { stages: { prune: true, quantize: false } });
  const outcome = ({ best, end, scorings, model }: PruneStageResult) => ({ best: best?.id, end, scorings, sparsity: sparsityOf(model) });

  test('ends it before a round; what was finished before a resume stays, however late that is', async () => {
    const cut = await stage(wanted, { expired: (journal) => journal.includes('round:p-round-2') });
    expect(outcome(cut)).toMatchObject({ best: 'p-round-2', end: 'time-limit', scorings: 2 });
    const late = { folder: cut.folder, expired: () => true };
    expect(outcome(await stage(wanted, late))).toEqual(outcome(cut));
    const whole = await stage(wanted, { folder: cut.folder });
    expect(outcome(whole)).toMatchObject({ best: 'p-round-3', end: 'complete', scorings: 3 });
    expect(outcome(await stage(wanted, late))).toEqual(outcome(whole));
    expect(read<{ id: string }>(join(cut.folder, 'best/policy.json')).id).toBe('p-round-3');
  });
});

describe('lottery-mdp', () => {
  const OPTIONS = { sparsity: 0.4, steps: 12, epochs: 15, baseline: false };
  let result: RunResult;
  beforeAll(async () => {
    result = await run(config('lottery-mdp', OPTIONS));
  }, 300_000);

  test('whole rows go, about as many weights as wanted; the rest was trained from the initial weights', () => {
    const model = loadModel(join(result.folder, 'best/model.onnx'));
    for (const layer of quantizableLayers(model)) {
      const t = model.graph.initializers.get(layer.weight)!;
      const size = t.size / t.dims[0];
      const gone = Array.from({ length: t.dims[0] }, (_, r) => zeros(t.floats().subarray(r * size, (r + 1) * size)));
      expect(gone.every((n) => n === 0 || n === size)).toBe(true);
      expect(gone.filter((n) => n > 0).length).toBeLessThan(t.dims[0]);
      if (layer.name === 'fc3') expect(gone.every((n) => n === 0)).toBe(true);
    }
    expect(sparsityOf(model)).toBeGreaterThanOrEqual(0.4);
    expect(sparsityOf(model)).toBeLessThan(0.5);
    // Guessing is right on a tenth.
    expect(result.result.after.accuracy).toBeGreaterThan(0.25);
    // Twelve episodes of twelve rows; masks that were there before are not scored again.
    expect(result.scorings.prune.scorings).toBeGreaterThan(12);
    expect(result.scorings.prune.scorings).toBeLessThanOrEqual(12 * 12);
  });

  test('stopped in the search and resumed, it ends with the same file', async () => {
    const again = await stoppedAndResumed(config('lottery-mdp', OPTIONS), 'checkpoint', 3);
    expect(sameBytes(join(again.folder, 'best/model.onnx'), join(result.folder, 'best/model.onnx'))).toBe(true);
  });

  test('a candidate of the search can be made again', async () => {
    const events = readFileSync(join(result.folder, 'journal.jsonl'), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((l) => JSON.parse(l));
    const { candidate } = events.find((e) => e.type === 'candidate' && !e.candidate.partial);
    const to = join(root, 'searched.onnx');
    await exportCandidate(result.folder, candidate.id, to);
    const left = weightsOf(loadModel(to)).reduce((n, [, w]) => n + w.length - zeros(w), 0);
    // Biases are parameters too, and stay.
    expect(left + 6 + 16 + 120 + 84 + 10).toBe(candidate.cost.effectiveParams);
  });

  test('more rows than there are cannot go', async () => {
    await expect(stage(config('lottery-mdp', { ...OPTIONS, sparsity: 0.9999 }))).rejects.toThrow('cannot be reached by deleting rows');
  });
});

describe('deep-compression', () => {
  const OPTIONS = { sparsity: 0.85, rounds: 2, linearBits: 4, convolutionBits: 4, codebookEpochs: 1 };
  let result: RunResult;
  beforeAll(async () => {
    result = await run(config('deep-compression', OPTIONS));
  }, 300_000);

  test('the file decodes to the weights of the written ONNX model, bit for bit, and is what the report says', () => {
    const decoded = decodeModel(readFileSync(join(result.folder, 'best/model.esdc')));
    const written = loadModel(join(result.folder, 'best/model.onnx'));
    expect(Buffer.compare(modelBytes(decoded), modelBytes(written))).toBe(0);
    expect(sparsityOf(written)).toBeGreaterThanOrEqual(0.85 - 1e-6);
    for (const [name, w] of weightsOf(written)) {
      expect(new Set(w.filter((v) => v !== 0)).size, name).toBeLessThanOrEqual(16);
      expect(zeros(w)).toBeLessThan(w.length);
    }
    const { steps } = read<DeepCompressionFigures>(join(result.folder, 'best/deep-compression.json'));
    expect(steps.map((s) => s.step)).toEqual(['original', 'pruned', 'shared', 'huffman']);
    for (let i = 1; i < 4; i++) expect(steps[i].bytes).toBeLessThan(steps[i - 1].bytes);
    expect(steps[3].bytes).toBe(readFileSync(join(result.folder, 'best/model.esdc')).length);
    expect(steps[3].accuracy).toBeCloseTo(result.result.after.accuracy, 9);
    expect(result.result.after.cost.weightBytes).toBe(steps[3].bytes);
    expect(readFileSync(join(result.folder, 'report.md'), 'utf8')).toContain('## Deep Compression, step by step');
  });

  test('stopped while it shares and resumed, it ends with the same file', async () => {
    const again = await stoppedAndResumed(config('deep-compression', OPTIONS), 'episode', 2);
    expect(sameBytes(join(again.folder, 'best/model.esdc'), join(result.folder, 'best/model.esdc'))).toBe(true);
  });

  test('a budget of bytes is kept with fewer values a layer; one that is out of reach is said', async () => {
    const { steps } = read<DeepCompressionFigures>(join(result.folder, 'best/deep-compression.json'));
    const budget = Math.round(0.9 * steps[3].bytes);
    const smaller = await stage(config('deep-compression', OPTIONS, { goal: { bytes: budget } }));
    expect(readFileSync(join(smaller.folder, 'best/model.esdc')).length).toBeLessThanOrEqual(budget);
    expect(smaller.trainingSteps).toBe(smaller.stepsMade);
    const none = await stage(config('deep-compression', { ...OPTIONS, rounds: 1, codebookEpochs: 0 }, { goal: { bytes: 500 } }));
    expect(readFileSync(join(none.folder, 'journal.jsonl'), 'utf8')).toContain('500 are allowed');
  });

  test('halves of it: sharing alone, pruning alone', async () => {
    const shared = await stage(
      config('deep-compression', { linearBits: 3, convolutionBits: 3, codebookEpochs: 0 }, { stages: { prune: false, quantize: true } }),
    );
    expect(sparsityOf(shared.model)).toBe(0);
    for (const [, w] of weightsOf(shared.model)) expect(new Set(w).size).toBeLessThanOrEqual(8);
    const pruned = await stage(config('deep-compression', { rounds: 1 }, { stages: { prune: true, quantize: false } }));
    expect(existsSync(join(pruned.folder, 'best/model.esdc'))).toBe(false);
    expect(sparsityOf(pruned.model)).toBeCloseTo(0.8, 2);
    const fewer = await stage(
      config('deep-compression', { rounds: 2, epochs: 1 }, { goal: { flops: 0.1 }, stages: { prune: true, quantize: false } }),
    );
    expect(fewer.best!.cost.effectiveMacs).toBeLessThanOrEqual(0.1 * fewer.best!.cost.macs);
    expect(fewer.best!.cost.effectiveMacs).toBeGreaterThan(0.095 * fewer.best!.cost.macs);
  });

  test('an original that is a folder, or keeps its weights elsewhere, counts as the one file it becomes', async () => {
    writeFileSync(
      join(root, 'pictures.npy'),
      npyBytes('<f4', [60, 3, 8, 8], raw(Float32Array.from({ length: 60 * 192 }, (_, i) => Math.sin(i)))),
    );
    saveWithExternalData(loadModel(join(root, 'net.onnx')), join(root, 'external.onnx'));
    const pictures = { files: { inputs: 'pictures.npy' }, normalization: { scale: 1 } };
    const folder = join(__dirname, '../fixtures/formats/saved-model/keras');
    for (const change of [{ model: folder, data: pictures }, { model: 'external.onnx' }]) {
      const once = { rounds: 1, epochs: 0, codebookEpochs: 0 };
      const { folder: written } = await stage(config('deep-compression', once, change));
      const [original] = read<DeepCompressionFigures>(join(written, 'best/deep-compression.json')).steps;
      const weights = weightsOf(loadModel(join(written, 'best/original.onnx'))).reduce((n, [, w]) => n + w.length, 0);
      expect(original.bytes).toBeGreaterThan(4 * weights);
      expect(original.bytes).toBe(statSync(join(written, 'best/original.onnx')).size);
    }
  });

  test('fixed bits and skipped layers keep to themselves', async () => {
    const r = await stage(config('deep-compression', { ...OPTIONS, rounds: 1 }, { layers: { fc3: { skip: true }, fc2: { bits: 2 } } }));
    const weights = new Map(weightsOf(r.model));
    expect(new Set(weights.get('fc2.weight')!.filter((v) => v !== 0)).size).toBeLessThanOrEqual(4);
    expect(zeros(weights.get('fc3.weight')!)).toBe(0);
    expect(new Set(weights.get('fc3.weight')!).size).toBeGreaterThan(800);
  });

  test('options that cannot be are said', async () => {
    for (const [options, message] of [
      [{ start: 'random' }, 'method.options.start is "random"'],
      [{ linearBits: 12 }, 'method.options.linearBits is 12'],
      [{ sparsity: 1 }, 'method.options.sparsity is 1'],
    ] as const)
      await expect(stage(config('deep-compression', options))).rejects.toThrow(message);
  });
});
