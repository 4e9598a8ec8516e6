/** A compression run from end to end: prepare, prune, recover, quantise, export, report; resumable at any moment. */

import { existsSync, rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { version } from '../../../package.json';
import { type Config, configSchema } from '../../protocol/config';
import type { Candidate, Policy } from '../../protocol/policy';
import type { Measures } from '../../protocol/reward/rescore';
import { JOURNAL_FORMAT, type RunEvent, type RunHeader } from '../../protocol/run-events';
import { loadTensorBackend } from '../agents/tensor-backend';
import { BatchPipeline } from '../data/batches';
import { UserError } from '../errors';
import { foldBatchNorm } from '../graph/passes/fold-batch-norm';
import { findMethod } from '../methods/registry';
import { withMethodSettings } from '../methods/settings';
import { saveModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { heldZeros } from '../pruning/weight-masks';
import { type QuantizedLayer, requantize, withDequantizedWeights } from '../quantization/quantized-layer';
import { tuneQuantized } from '../quantization/ste-tuning';
import { quantizeLayers } from '../quantization/write-quantized';
import { Random } from '../random';
import { accuracyOf } from '../runtime/evaluate';
import { runtimeVersion } from '../runtime/onnxruntime';
import { reestimateBatchNorm } from '../training/batch-norm';
import { TrainingDiverged } from '../training/trainer';
import { formatPercent } from './figures';
import { type FinalResult, finish } from './finish';
import { meetsGoal } from './goal';
import { readJournal } from './journal';
import { type Prepared, prepare } from './prepare';
import { quantizeStage } from './quantize-stage';
import { Recorder, thisMachine } from './recorder';
import { epochCheckpoints, recover, trainingBatches, tuningOptions, withHints } from './recover';
import { writeReport } from './report';
import type { RunContext, StageEnd } from './run-context';
import { RunFolder } from './run-folder';
import { RunLock } from './run-lock';
import { interruptionOf } from './run-stopped';
import { savedModel } from './saved-model';
import type { StageCounts, StageResult } from './search-stage';
import { stageOne } from './stage-one';
import { variationalStage } from './variational-stage';
import type { TargetResult } from './width-stage';

export interface RunOptions {
  /** Folder that the config's paths are relative to. */
  readonly folder: string;
  readonly configPath?: string;
  readonly dataFolder?: string;
  readonly signal?: AbortSignal;
  /** Bundled worker threads; absent: everything runs in this thread. */
  readonly threads?: { readonly actor?: string; readonly augment?: string };
  /** Which tfjs runs the agent's networks. */
  readonly backend?: 'auto' | 'js' | 'native';
  /** Called with every journal event and with progress, in order. */
  readonly listener?: (event: RunEvent) => void;
}

export interface RunResult {
  readonly folder: string;
  readonly result: FinalResult;
  readonly goalMet: boolean;
  readonly reason: StageEnd;
  /** What each stage took. */
  readonly scorings: Readonly<Record<'prune' | 'quantize', StageCounts>>;
}

/** What is needed to go on with a run, beside its journal. */
interface RunInput {
  readonly config: Config;
  readonly folder: string;
  readonly configPath?: string;
  readonly dataFolder?: string;
}

/** Starts a run in a folder of its own. @throws UserError before anything is written where model, data or goal do not fit */
export async function startRun(given: Config, options: RunOptions): Promise<RunResult> {
  const config = withMethodSettings(given);
  const prepared = await prepare(config, {
    folder: options.folder,
    dataFolder: options.dataFolder,
    threads: config.threads,
    signal: options.signal,
  });
  const folder = RunFolder.create(resolve(options.folder, config.output.folder), prepared.modelPath, new Date());
  const input: RunInput = {
    config: { ...config, model: prepared.modelPath },
    folder: resolve(options.folder),
    configPath: options.configPath,
    dataFolder: options.dataFolder && resolve(options.dataFolder),
  };
  try {
    folder.writeJson(folder.config, input);
  } catch (e) {
    rmSync(folder.path, { recursive: true, force: true });
    throw e;
  }
  return execute(folder, input, prepared, options);
}

/** True where the run has its final result. */
export function isFinished(path: string): boolean {
  const folder = new RunFolder(resolve(path));
  // The file is there a moment before the journal says so; a run killed in between is finished by resuming it.
  return existsSync(folder.checkpoint('finished.json')) && readJournal(folder.journal).events.some((e) => e.type === 'finished');
}

/**
 * Goes on with a run that was stopped or killed; the result is that of a run left alone.
 * @throws UserError where the run is finished, another process works on it, its model has changed, or it ran on another tfjs backend
 */
export async function resumeRun(path: string, options: Omit<RunOptions, 'folder'>): Promise<RunResult> {
  const folder = RunFolder.open(path);
  if (isFinished(path)) throw new UserError(`${folder.id} is finished: there is nothing to resume`, `Its report is ${folder.report}.`);
  const input = folder.readJson<RunInput>(folder.config);
  const parsed = configSchema.safeParse(input?.config);
  if (!input || !parsed.success) throw new UserError(`${folder.config} is damaged`, 'Start the run anew.');
  const config = parsed.data;
  const dataFolder = options.dataFolder ?? input.dataFolder;
  if (!existsSync(config.model)) throw new UserError(`the run's model ${config.model} is no longer there`, 'Put it back, then resume.');
  const prepared = await prepare(config, { folder: input.folder, dataFolder, threads: config.threads, signal: options.signal });
  return execute(folder, { ...input, config, dataFolder }, prepared, { ...options, folder: input.folder });
}

async function execute(folder: RunFolder, input: RunInput, prepared: Prepared, options: RunOptions): Promise<RunResult> {
  const lock = RunLock.take(folder.lock);
  try {
    return await executeLocked(folder, input, prepared, options);
  } finally {
    lock.release();
  }
}

async function executeLocked(folder: RunFolder, input: RunInput, prepared: Prepared, options: RunOptions): Promise<RunResult> {
  const { config } = input;
  folder.sweep();
  const backend = await loadTensorBackend(options.backend ?? 'auto');
  const versions = { espalier: version, node: process.versions.node, onnxruntime: await runtimeVersion(), tfjs: backend.name };
  const recorder = new Recorder(folder.journal, options.listener);
  try {
    const earlier = recorder.journal.earlier.find((e): e is RunHeader => e.type === 'header');
    if (!earlier) {
      recorder.write({
        type: 'header',
        format: JOURNAL_FORMAT,
        id: folder.id,
        config: config as unknown as Record<string, unknown>,
        configPath: input.configPath,
        model: { path: prepared.modelPath, sha256: prepared.sha256 },
        seed: config.seed,
        versions,
        backend: backend.name,
        machine: thisMachine(),
        startedAt: new Date().toISOString(),
      });
      for (const note of prepared.notes) recorder.warning(note);
    } else {
      checkSame(earlier, prepared, backend.name);
      const last = recorder.journal.earlier.findLast((e) => e.type === 'checkpoint');
      recorder.write({ type: 'resumed', episode: last?.episode ?? 0, versions, backend: backend.name });
    }
    const limit = config.search.timeLimit ?? Number.POSITIVE_INFINITY;
    const searchAccuracy = await recorder.once('original:search', () =>
      accuracyOf(prepared.model, prepared.data.search, { threads: config.threads, signal: options.signal }),
    );
    const { costs } = prepared;
    const original: Measures = {
      accuracy: searchAccuracy,
      flops: costs.macs,
      params: costs.params,
      bytes: costs.weightBytes,
      sparsity: 0,
      channels: prepared.groups.reduce((a, g) => a + g.channels, 0),
    };
    const context: RunContext = {
      config,
      folder,
      recorder,
      prepared,
      backend,
      original,
      signal: options.signal,
      threads: options.threads,
      cores: config.threads,
      expired: () => recorder.seconds > limit,
    };
    if (!recorder.journal.earlier.some((e) => e.type === 'original'))
      recorder.write({ type: 'original', candidate: originalCandidate(context), measures: original });
    return await phases(context);
  } catch (e) {
    if (!(e instanceof CannotResume)) recordEnd(recorder, e, options.signal);
    throw e;
  } finally {
    recorder.close();
  }
}

/** The run itself is sound, but not with what is here: nothing about it belongs in its journal. */
class CannotResume extends UserError {}

function checkSame(header: RunHeader, prepared: Prepared, backend: string): void {
  if (header.model.sha256 !== prepared.sha256)
    throw new CannotResume(`${prepared.modelPath} has changed since the run began`, 'Put the old file back, or start a new run.');
  if (header.backend !== backend) {
    throw new CannotResume(
      `the run began with ${header.backend}, but here the agent would run on ${backend}: results would differ`,
      'Resume with the same tfjs package installed, or start a new run.',
    );
  }
}

/** Journals why the run stopped, where the disk still takes it: what went wrong matters more than a line about it. */
function recordEnd(recorder: Recorder, error: unknown, signal: AbortSignal | undefined): void {
  try {
    if (signal?.aborted) recorder.write(interruptionOf(signal));
    else recorder.write({ type: 'failed', reason: (error as Error).message, hint: error instanceof UserError ? error.hint : undefined });
  } catch {
    // A full disk takes no line either.
  }
}

const originalCandidate = ({ prepared, original }: RunContext): Candidate => {
  const { layers: _, ...cost } = prepared.costs;
  return {
    id: 'original',
    stage: 'prune',
    policy: { ratios: {}, bits: {} },
    accuracy: original.accuracy,
    images: prepared.data.search.count,
    cost: { ...cost, channels: original.channels },
    reward: 0,
    episode: 0,
    origin: 'original',
    partial: false,
  };
};

async function phases(context: RunContext): Promise<RunResult> {
  const { config, prepared, recorder, folder } = context;
  let model = prepared.model;
  let policy: Policy = { ratios: {}, bits: {} };
  let reward = 0;
  let reason: StageEnd = 'complete';
  const scorings: Record<'prune' | 'quantize', StageCounts> = {
    prune: { scorings: 0, completePolicies: 0, updates: 0 },
    quantize: { scorings: 0, completePolicies: 0, updates: 0 },
  };

  let targets: readonly TargetResult[] = [];
  let storedBytes: number | undefined;
  let section: readonly string[] = [];
  // Deep Compression is one stage, of which either half may be off.
  if (config.stages.prune || findMethod(config.method.name).space === 'codes') {
    const stage = await stageOne(context);
    scorings.prune = countsOf(stage);
    policy = stage.policy;
    reward = stage.best?.reward ?? 0;
    targets = stage.targets;
    ({ storedBytes, section = [] } = stage);
    if (stage.end !== 'complete') reason = stage.end;
    const make = async (): Promise<Model> => {
      if (stage.trained) return stage.model;
      const adjusted = await withBetterStatistics(context, stage.model);
      recorder.phase('recover', config.recovery.epochs);
      let recovered = (await recover(context, adjusted)).model;
      if (config.pruning.variational.enabled) recovered = (await variationalStage(context, recovered)).model;
      saveModel(recovered, folder.best('model.onnx'));
      return recovered;
    };
    model = await savedModel(context, 'pruned.onnx', make, ['recovery.bin', 'variational.bin', 'noisy.onnx']);
  }

  model = foldBatchNorm(model).model;
  let layers: QuantizedLayer[] = [];
  if (config.stages.quantize && storedBytes === undefined) {
    const stage = await quantizeStage(context, model, policy);
    scorings.quantize = countsOf(stage);
    policy = { ...policy, bits: stage.bits };
    reward = stage.best?.reward ?? reward;
    if (stage.end !== 'complete') reason = stage.end;
    layers = quantizeLayers(model, stage.bits);
    ({ model, layers } = await fineTunedAtBits(context, model, layers));
  }

  const result = await finish(context, model, layers, policy, reward, storedBytes);
  recorder.candidate(result.candidate);
  const goalMet = meetsGoal(result, prepared.costs, config);
  writeReport(context, result, { goalMet, reason, scorings, targets, section });
  folder.writeJson(folder.checkpoint('finished.json'), { goalMet, reason, result, scorings });
  recorder.write({ type: 'finished', candidate: result.candidate.id, goalMet, reason, files: [result.after.path, folder.report] });
  return { folder: folder.path, result, goalMet, reason, scorings };
}

const countsOf = ({ scorings, completePolicies, updates, trainingSteps = 0 }: StageResult): StageCounts => ({
  scorings,
  completePolicies,
  updates,
  trainingSteps,
});

/** Straight-through fine-tuning at the chosen bits; what was given where there is nothing to train on or with. */
async function fineTunedAtBits(
  context: RunContext,
  model: Model,
  layers: QuantizedLayer[],
): Promise<{ model: Model; layers: QuantizedLayer[] }> {
  const { config, recorder, folder, prepared, cores } = context;
  const { epochs, learningRate } = config.quantization;
  if (epochs === 0 || layers.length === 0) return { model, layers };
  const source = trainingBatches(context, 'straight-through');
  if (!source) return { model, layers };
  recorder.phase('recover', epochs);
  const scalesPath = folder.checkpoint('scales.json');
  const tune = async (): Promise<Model> => {
    const result = await tuneQuantized(model, layers, source, {
      ...withHints(context, tuningOptions(context, epochs, learningRate)),
      ...epochCheckpoints(context, 'straight-through'),
      masks: heldZeros(model),
      weightDecay: 0,
    });
    folder.writeJson(scalesPath, Object.fromEntries(result.layers.map((l) => [l.layer.name, [...l.weights.scales]])));
    return result.model;
  };
  try {
    const tuned = await savedModel(context, 'tuned.onnx', tune, ['straight-through.bin']);
    const scales = folder.readJson<Record<string, number[]>>(scalesPath)!;
    const tunedLayers = requantize(
      tuned,
      layers.map((l) => ({ layer: l.layer, weights: { ...l.weights, scales: Float32Array.from(scales[l.layer.name]) } })),
    );
    const score = (m: Model): Promise<number> => accuracyOf(m, prepared.data.search, { threads: cores, signal: context.signal });
    const [before, after] = [await score(withDequantizedWeights(model, layers)), await score(tuned)];
    // As in recovery: training that did harm is not used (a learning rate too high for a network without normalisation layers).
    if (after < before) {
      recorder.warning(
        `straight-through fine-tuning did harm (${formatPercent(before)} became ${formatPercent(after)} on the search samples) and is not used: lower quantization.learningRate`,
      );
      return { model, layers };
    }
    return { model: tuned, layers: tunedLayers };
  } catch (e) {
    if (!(e instanceof TrainingDiverged)) throw e;
    recorder.warning('straight-through fine-tuning diverged at every learning rate tried and is not used: lower quantization.learningRate');
    return { model, layers };
  } finally {
    await source.close();
  }
}

/** Batches that batch-norm statistics are measured on. */
const STATISTICS_BATCHES = 16;

/** Batch-norm statistics measured anew under the training augmentation; kept only where accuracy on the search samples rises. */
async function withBetterStatistics(context: RunContext, model: Model): Promise<Model> {
  const { config, prepared, cores } = context;
  const { train, normalization, augmentation, search } = prepared.data;
  if (!config.pruning.reestimateBatchNorm || !train || !model.graph.nodes.some((n) => n.opType === 'BatchNormalization')) return model;
  const pipeline = new BatchPipeline(train, {
    batch: Math.min(config.recovery.batch, train.rows.length),
    normalization,
    augmentation,
    shuffle: true,
    random: new Random(config.seed).fork('statistics'),
  });
  const some = async function* () {
    let n = 0;
    for await (const b of pipeline.batches(0)) {
      if (n++ >= STATISTICS_BATCHES) return;
      yield b;
    }
  };
  const adjusted = await reestimateBatchNorm(model, some(), { threads: cores, signal: context.signal });
  const [before, after] = [await accuracyOf(model, search, { threads: cores }), await accuracyOf(adjusted, search, { threads: cores })];
  return after > before ? adjusted : model;
}

/** Folder of a config file. */
export const folderOf = (configPath: string): string => dirname(resolve(configPath));
