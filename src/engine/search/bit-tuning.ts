/** Straight-through fine-tuning of complete bit policies before they are scored (`quantization.steTuning`), in the search and on export. */
import type { Config } from '../../protocol/config';
import type { Model } from '../onnx/model';
import { type QuantizedLayer, quantizersOf } from '../quantization/quantized-layer';
import { Trainer, TrainingDiverged } from '../training/trainer';
import type { TuningBatch } from './actor';
import type { Prepared } from './prepare';
import { shortTuningBatches } from './short-tuning-batches';

export interface BitTuning {
  /** One for each step; the same for every candidate. */
  readonly batches: readonly TuningBatch[];
  readonly learningRate: number;
}

/** What every complete bit policy is tuned on; undefined where none is wanted, or there are no labels. */
export async function bitTuningFor(config: Config, prepared: Prepared): Promise<BitTuning | undefined> {
  const { steTuning: steps, learningRate } = config.quantization;
  const batches = steps > 0 ? await shortTuningBatches(config, prepared, steps, config.recovery.batch) : [];
  return batches.length > 0 ? { batches, learningRate } : undefined;
}

/**
 * The model after a few straight-through steps at these bits, its weights on the layers' scales (methods.md §1: fine-tuning after each rollout).
 * Undefined where they diverge: the policy is then what it is without them.
 */
export async function tunedAtBits(
  model: Model,
  layers: readonly QuantizedLayer[],
  { batches, learningRate }: BitTuning,
): Promise<Model | undefined> {
  const trainer = await Trainer.create(model, {
    batch: batches[0].labels.length,
    quantizers: quantizersOf(layers),
    momentum: 0.9,
    weightDecay: 0,
    threads: 1,
  });
  try {
    for (const batch of batches) await trainer.step(batch, learningRate);
    return trainer.model({ quantized: true });
  } catch (e) {
    if (e instanceof TrainingDiverged) return undefined;
    throw e;
  } finally {
    await trainer.dispose();
  }
}
