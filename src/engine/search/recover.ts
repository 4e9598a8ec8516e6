/** Recovery: what a compressed network gets back by fine-tuning, and the samples it is fine-tuned on. */
import { BatchPipeline } from '../data/batches';
import { findMethod } from '../methods/registry';
import type { Model } from '../onnx/model';
import { heldZeros } from '../pruning/weight-masks';
import { Random } from '../random';
import { accuracyOf } from '../runtime/evaluate';
import { type FitOptions, type FitState, fitModel } from '../training/fit';
import type { LossOptions } from '../training/losses';
import type { ScheduleOptions } from '../training/schedule';
import { TrainingDiverged } from '../training/trainer';
import type { RunContext } from './run-context';

/** Training batches of a run; each purpose draws its own order and augmentation. undefined where there is nothing to train on. */
export function trainingBatches(context: RunContext, purpose: string): BatchPipeline | undefined {
  const { config, prepared, threads } = context;
  const { train, normalization, augmentation } = prepared.data;
  if (!train || train.rows.length < 2) return undefined;
  return new BatchPipeline(train, {
    batch: Math.min(config.recovery.batch, train.rows.length),
    normalization,
    augmentation,
    shuffle: true,
    random: new Random(config.seed).fork(purpose),
    threadFile: threads?.augment,
  });
}

/** Steps of so many epochs on the training samples of a run: batches that are not full are left out. 0 where there is nothing to train on. */
export function trainingStepsOf({ config, prepared }: Pick<RunContext, 'config' | 'prepared'>, epochs: number): number {
  const { train } = prepared.data;
  if (!train || train.rows.length < 2) return 0;
  return epochs * Math.floor(train.rows.length / Math.min(config.recovery.batch, train.rows.length));
}

/** Options common to every fine-tuning of a run: loss, optimiser, progress, stopping. */
export function tuningOptions(context: RunContext, epochs: number, learningRate: number): FitOptions {
  const { config, prepared, recorder, signal } = context;
  const { recovery } = config;
  const schedule: ScheduleOptions =
    recovery.schedule === 'exponential' ? { kind: 'exponential', factor: recovery.decay } : { kind: recovery.schedule };
  const distils = recovery.distillation.weight > 0 || !prepared.data.labelled;
  const weight = prepared.data.labelled ? recovery.distillation.weight : 1;
  const { target } = prepared.data;
  const loss: LossOptions =
    target === 'classes'
      ? {
          crossEntropy: 1 - weight,
          labelSmoothing: prepared.data.labelled ? recovery.labelSmoothing : 0,
          ...(distils ? { distillation: { temperature: recovery.distillation.temperature, weight } } : {}),
        }
      : {
          crossEntropy: 0,
          // Without targets of its own the weight is 0, and says all the same that the output itself is aimed at.
          targets: {
            kind: target === 'values' ? 'squared-error' : 'binary-cross-entropy',
            weight: prepared.data.labelled ? 1 - weight : 0,
          },
          ...(distils ? { logitsDistance: weight } : {}),
        };
  return {
    epochs,
    learningRate: { base: learningRate, schedule, warmUpEpochs: recovery.warmUpEpochs },
    batch: Math.min(recovery.batch, prepared.data.train!.rows.length),
    loss,
    momentum: recovery.momentum,
    weightDecay: recovery.weightDecay,
    teachers: distils ? [prepared.model] : undefined,
    threads: context.cores,
    signal,
    onProgress: (p) =>
      recorder.update({
        episode: p.epoch + (p.step % Math.max(1, p.steps / p.epochs) === 0 ? 1 : 0),
        episodes: p.epochs,
        secondsLeft: p.secondsLeft,
      }),
    onDiverged: (reason) => recorder.warning(`${reason}; it begins anew at a quarter of the learning rate`),
  };
}

/** The original's inner values as targets too (see `training/hints.ts`), for fine-tuning that is to bring the original back. */
export function withHints({ config, prepared }: RunContext, options: FitOptions): FitOptions {
  const { hints } = config.recovery.distillation;
  return hints > 0 ? { ...options, teachers: [prepared.model], hints } : options;
}

/** Options of the recovery after pruning: hints, the optimizer that is asked for, and the mean of the last steps' weights. */
export function recoveryOptions(context: RunContext): FitOptions {
  const { epochs, learningRate, averaging, optimizer, relativeStep } = context.config.recovery;
  const muon = optimizer === 'muon' ? { relativeStep: relativeStep / learningRate } : undefined;
  return { ...withHints(context, tuningOptions(context, epochs, learningRate)), averaging, muon };
}

/**
 * Checkpoints of a fine-tuning after every epoch, in `checkpoint/<phase>.bin`: a killed run repeats at most one epoch. Where the network
 * draws random numbers as it trains there are none (see `FitOptions.onCheckpoint`), and the phase is repeated from its beginning.
 */
export function epochCheckpoints({ folder, recorder }: RunContext, phase: string): Pick<FitOptions, 'resumeFrom' | 'onCheckpoint'> {
  const path = folder.checkpoint(`${phase}.bin`);
  return {
    resumeFrom: folder.readBinary<FitState>(path),
    onCheckpoint: (state) => {
      folder.writeBinary(path, state);
      recorder.write({ type: 'checkpoint', episode: state.epochs });
    },
  };
}

export interface Recovered {
  readonly model: Model;
  /** On the search images, before and after. */
  readonly before: number;
  readonly after: number;
}

/** Fine-tunes a pruned model; keeps it as it was where that scores better on the search images, or where no rate is low enough. */
export async function recover(context: RunContext, model: Model): Promise<Recovered> {
  const { config, prepared, recorder } = context;
  const before = await accuracyOf(model, prepared.data.search, { threads: context.cores });
  const source = trainingBatches(context, 'recovery');
  if (!source || config.recovery.epochs === 0) return { model, before, after: before };
  try {
    const result = await fitModel(model, source, {
      ...recoveryOptions(context),
      ...epochCheckpoints(context, 'recovery'),
      ...(findMethod(config.method.name).space === 'weights' && { masks: heldZeros(model) }),
    });
    const after = await accuracyOf(result.model, prepared.data.search, { threads: context.cores });
    return before > after ? { model, before, after: before } : { model: result.model, before, after };
  } catch (e) {
    if (!(e instanceof TrainingDiverged)) throw e;
    recorder.warning('fine-tuning diverged at every learning rate tried and is not used: lower recovery.learningRate');
    return { model, before, after: before };
  } finally {
    await source.close();
  }
}
