/** Training over epochs: batches, schedule, teacher, progress, stopping, and which epoch's weights are kept. */
import type { Batch } from '../data/dataset';
import { UserError } from '../errors';
import { modelBytes, parseModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { channelWeights } from './hint-weights';
import { hintTransforms, hintValues } from './hints';
import { ofValues } from './losses';
import { type LearningRate, type LearningRateOptions, learningRate } from './schedule';
import { Teacher } from './teacher';
import { Trainer, type TrainerOptions, type TrainerState, TrainingDiverged } from './trainer';
import type { ValueTransform } from './training-graph';
import { WeightMean, type WeightMeanState } from './weight-mean';

/** Where batches come from; each epoch may draw and augment them anew. */
export interface BatchSource {
  batches(epoch: number): AsyncIterable<Batch> | Iterable<Batch>;
  /** Batches of an epoch, for schedules and for the time left. */
  readonly batchesPerEpoch: number;
}

export interface FitProgress {
  /** From 0. */
  readonly epoch: number;
  readonly epochs: number;
  /** Steps made in all, and to be made in all. */
  readonly step: number;
  readonly steps: number;
  /** Means over this epoch so far. */
  readonly loss: number;
  readonly accuracy: number;
  readonly secondsLeft: number;
}

export interface EpochRecord {
  readonly epoch: number;
  /** Means over the epoch, while training (augmented images, weights still moving). */
  readonly loss: number;
  readonly accuracy: number;
  /** What `validate` returned after it. */
  readonly validation?: number;
}

/** Training after some epochs: plain data, fit for `node:v8` serialisation. */
export interface FitState {
  /** Epochs done. */
  readonly epochs: number;
  readonly trainer: TrainerState;
  readonly history: readonly EpochRecord[];
  /** Where epochs are validated: the best so far, its model as file bytes. */
  readonly best?: { readonly model: Uint8Array; readonly epoch: number; readonly validation: number };
  /** Where weights are averaged, and the last steps have begun: their mean so far. */
  readonly mean?: WeightMeanState;
  /** How often training had begun anew by then (see `FitOptions.onDiverged`); absent: never. */
  readonly restarts?: number;
}

export interface FitOptions extends TrainerOptions {
  readonly epochs: number;
  readonly learningRate: LearningRateOptions | LearningRate;
  /** For distillation; several are averaged. */
  readonly teachers?: readonly Model[];
  /** Weight of what the first teacher's inner values add to the loss (see `hints.ts`); default 0. Nothing where no value is comparable. */
  readonly hints?: number;
  /** Share of the steps, the last ones, whose weights and running statistics are averaged for the result, in [0, 1]; default 0: the last step's. */
  readonly averaging?: number;
  /** Called after every step. */
  readonly onProgress?: (progress: FitProgress) => void;
  readonly signal?: AbortSignal;
  /** Scores a model after each epoch (higher is better); the best epoch's weights are then returned. Never give it the test set. */
  readonly validate?: (model: Model, epoch: number) => Promise<number>;
  /** Called after every step, before the progress. */
  readonly onStep?: (trainer: Trainer, epoch: number) => void;
  /** Called after each epoch, before `validate`: refreshes scales or masks. */
  readonly onEpoch?: (trainer: Trainer, epoch: number) => void | Promise<void>;
  /**
   * Called at the end of each epoch with all that the rest depends on; a training that goes on from it (`resumeFrom`) ends with the very
   * same weights. Not called where the graph draws random numbers (Dropout, information dropout): the state of those draws is
   * onnxruntime's own and cannot be kept, so such a training is repeated from its beginning.
   */
  readonly onCheckpoint?: (state: FitState) => void | Promise<void>;
  /** Goes on behind the epochs of this state, which a training of the same model with the same options gave. */
  readonly resumeFrom?: FitState;
  /** Called once where training goes on from `resumeFrom`, when the trainer is as it was. */
  readonly onResume?: (trainer: Trainer) => void;
  /**
   * Called where the loss is no longer a number, with what happened, before training begins anew at a quarter of its learning rates; twice at
   * most. Absent: such a training fails at once.
   */
  readonly onDiverged?: (reason: string) => void;
}

export interface FitResult {
  /** Weights of the best epoch by validation, else of the last or their mean over the last steps. Not quantised. */
  readonly model: Model;
  readonly history: readonly EpochRecord[];
  /** Index into `history` of the epoch that `model` is of. */
  readonly bestEpoch: number;
}

/** How often a training that diverges begins anew, each time at a quarter of the rates before. */
const RESTARTS = 2;

/**
 * Trains a model. Batches of another size than `options.batch` (the last of an epoch) are left out.
 * @throws UserError where the model cannot be trained, or no batch has the wanted size
 * @throws TrainingDiverged where the loss is no longer a number, and lower rates did not help
 * @throws the signal's reason where it is aborted
 */
export async function fitModel(model: Model, source: BatchSource, options: FitOptions): Promise<FitResult> {
  options.signal?.throwIfAborted();
  const hints = await hintsOf(model, source, options);
  for (let restarts = options.resumeFrom?.restarts ?? 0; ; restarts++) {
    try {
      return await fitOnce(model, source, options, hints, restarts);
    } catch (e) {
      if (!(e instanceof TrainingDiverged) || !options.onDiverged || restarts >= RESTARTS) throw e;
      options.onDiverged(e.message);
    }
  }
}

/** Inner values that the model is held to, and what holds it to them. */
interface Hints {
  readonly values: readonly string[];
  readonly transforms: ReadonlyMap<string, ValueTransform>;
}

async function hintsOf(model: Model, source: BatchSource, options: FitOptions): Promise<Hints> {
  const { hints, teachers = [] } = options;
  if (!hints || teachers.length === 0) return { values: [], transforms: new Map() };
  // A value that gets noise is not held to the original's.
  const values = hintValues(model, teachers[0]).filter((name) => !options.transforms?.has(name));
  if (values.length === 0) return { values, transforms: new Map() };
  return { values, transforms: hintTransforms(values, hints, await channelWeights(teachers[0], values, source, options)) };
}

async function fitOnce(model: Model, source: BatchSource, options: FitOptions, hints: Hints, restarts: number): Promise<FitResult> {
  const { epochs, signal } = options;
  if (!(Number.isInteger(epochs) && epochs > 0)) throw new RangeError(`epochs must be a whole number above 0, not ${epochs}`);
  const { averaging = 0 } = options;
  if (!(averaging >= 0 && averaging <= 1)) throw new RangeError(`the share of averaged steps must be in [0, 1], not ${averaging}`);
  if (averaging > 0 && options.validate) throw new RangeError('epochs that are validated are not averaged');
  signal?.throwIfAborted();
  const rate = typeof options.learningRate === 'function' ? options.learningRate : learningRate(options.learningRate);
  const { values } = hints;
  const transforms = new Map([...(options.transforms ?? []), ...hints.transforms]);
  const trainer = await Trainer.create(model, { ...options, transforms });
  let teacher: Teacher | undefined;
  try {
    if (trainer.graph.teacher || values.length > 0) {
      if (!options.teachers?.length) throw new Error('the loss distils, but there is no teacher');
      teacher = await Teacher.create(options.teachers, options.batch, {
        threads: options.threads,
        values,
        asWritten: ofValues(options.loss ?? {}),
      });
    }
    const resumeFrom = (options.resumeFrom?.restarts ?? 0) === restarts ? options.resumeFrom : undefined;
    if (resumeFrom) {
      trainer.restore(resumeFrom.trainer);
      options.onResume?.(trainer);
    }
    const before = resumeFrom?.epochs ?? 0;
    const history: EpochRecord[] = [...(resumeFrom?.history ?? [])];
    let best = resumeFrom?.best && { ...resumeFrom.best, model: parseModel(resumeFrom.best.model) };
    const steps = epochs * source.batchesPerEpoch;
    const mean = averaging > 0 ? new WeightMean(resumeFrom?.mean) : undefined;
    const started = performance.now();
    const skipped = before * source.batchesPerEpoch;
    let made = 0;
    for (let epoch = before; epoch < epochs; epoch++) {
      let lossSum = 0;
      let correct = 0;
      let count = 0;
      for await (const batch of source.batches(epoch)) {
        signal?.throwIfAborted();
        if (batch.count !== options.batch) continue;
        const position = { epoch, step: Math.min(count, source.batchesPerEpoch - 1), stepsPerEpoch: source.batchesPerEpoch, epochs };
        const taught = await teacher?.answer(batch.inputs);
        const given = {
          inputs: batch.inputs,
          labels: batch.labels,
          targets: batch.targets,
          teacherLogits: taught?.logits,
          fed: taught?.values,
        };
        const result = await trainer.step(given, rate(position) / 4 ** restarts);
        lossSum += result.loss;
        correct += result.correct;
        count++;
        made++;
        options.onStep?.(trainer, epoch);
        if (skipped + made > (1 - averaging) * steps) mean?.add(trainer.values());
        options.onProgress?.({
          epoch,
          epochs,
          step: skipped + made,
          steps,
          loss: lossSum / count,
          accuracy: correct / (count * options.batch),
          secondsLeft: ((performance.now() - started) / 1000 / made) * Math.max(0, steps - skipped - made),
        });
      }
      if (count === 0) {
        throw new UserError(
          `no batch of ${options.batch} samples came from the training data`,
          'Choose a smaller batch (recovery.batch) or more data.',
        );
      }
      await options.onEpoch?.(trainer, epoch);
      const record = { epoch, loss: lossSum / count, accuracy: correct / (count * options.batch) };
      if (options.validate) {
        const candidate = trainer.model();
        const validation = await options.validate(candidate, epoch);
        history.push({ ...record, validation });
        if (!best || validation > best.validation) best = { model: candidate, epoch, validation };
      } else {
        history.push(record);
      }
      if (options.onCheckpoint && !trainer.draws) {
        await options.onCheckpoint({
          epochs: epoch + 1,
          trainer: trainer.state(),
          history: [...history],
          best: best && { ...best, model: modelBytes(best.model) },
          ...(mean && { mean: mean.state() }),
          ...(restarts > 0 && { restarts }),
        });
      }
    }
    return { model: best?.model ?? mean?.in(trainer.model()) ?? trainer.model(), history, bestEpoch: best?.epoch ?? epochs - 1 };
  } finally {
    await trainer.dispose();
    await teacher?.dispose();
  }
}
