/**
 * Variational pruning within the search, once per rollout as the two-stage PPO has it (docs/methods.md): a complete candidate is trained with
 * noise for some steps, the weights that carry least signal are masked, and it is trained for as many steps with the masks held.
 */
import type { Batch } from '../data/dataset';
import { quantizableLayers } from '../graph/layers';
import type { Model } from '../onnx/model';
import { inputRms } from '../pruning/input-rms';
import { applyMasks } from '../pruning/weight-masks';
import { Random } from '../random';
import type { SampleLayout } from '../runtime/feeds';
import { type BatchSource, type FitOptions, fitModel } from '../training/fit';
import { trainWithInformationDropout } from '../training/information-dropout';
import { TrainingDiverged } from '../training/trainer';
import type { TuningBatch } from './actor';
import { ElementMasks, noisyLayers, type VariationalSettings } from './element-masks';

export interface RolloutMasking {
  readonly settings: VariationalSettings;
  /** One for each step with noise; the same for every candidate. */
  readonly batches: readonly TuningBatch[];
  readonly learningRate: number;
  /** Multiply-accumulates of the network before anything was pruned. */
  readonly originalMacs: number;
  readonly seed: number;
}

/**
 * The same model gives the same result whoever asks.
 * @param calibration inputs on which the signal of each channel is measured
 * @returns undefined where training diverges, at a sixteenth of the learning rate too
 */
export async function maskedAfterNoise(
  model: Model,
  calibration: SampleLayout & { readonly inputs: Float32Array; readonly count: number },
  { settings, batches, learningRate, originalMacs, seed }: RolloutMasking,
): Promise<Model | undefined> {
  const layers = quantizableLayers(model);
  const source = inMemory(batches);
  const options: FitOptions = {
    epochs: 1,
    learningRate: { base: learningRate, schedule: { kind: 'constant' } },
    batch: batches[0].labels.length,
    loss: { crossEntropy: 1 },
    momentum: 0.9,
    weightDecay: 0,
    threads: 1,
    // It begins anew at a lower rate; a warning for every candidate would say nothing that its score does not.
    onDiverged: () => {},
  };
  const random = new Random(seed);
  try {
    const trained = await trainWithInformationDropout(model, source, {
      ...options,
      random: random.fork('information-dropout'),
      noise: { layers: noisyLayers(model, layers), beta: settings.beta, alphaMax: settings.alphaMax },
    });
    const dropProbability = new Map(trained.noise.map((n) => [n.layer, n.dropProbability]));
    const rms = await inputRms(trained.model, layers, calibration, { threads: 1 });
    const draws = random.fork('masks');
    const masks = new ElementMasks(trained.model, layers, { settings, dropProbability, rms, originalMacs, draws }).at(1, 0, (l) =>
      trained.model.graph.initializers.get(l.weight)!.floats(),
    );
    const retrained = await fitModel(trained.model, source, { ...options, masks });
    return applyMasks(retrained.model, masks);
  } catch (e) {
    if (!(e instanceof TrainingDiverged)) throw e;
    return undefined;
  }
}

const inMemory = (batches: readonly TuningBatch[]): BatchSource => ({
  batchesPerEpoch: batches.length,
  batches: () => batches.map((b): Batch => ({ ...b, count: b.labels.length })),
});
