/** Straight-through fine-tuning of complete bit policies before they are scored (`quantization.steTuning`), in the search and on export. */
import type { Config } from '../../protocol/config';
import { BatchPipeline } from '../data/batches';
import type { Model } from '../onnx/model';
import { type QuantizedLayer, quantizersOf } from '../quantization/quantized-layer';
import { Random } from '../random';
import { Trainer, TrainingDiverged } from '../training/trainer';
import type { TuningBatch } from './actor';
import type { Prepared } from './prepare';

export interface BitTuning {
  /** One for each step; the same for every candidate. */
  readonly batches: readonly TuningBatch[];
  readonly learningRate: number;
}

/** What every complete bit policy is tuned on; undefined where none is wanted, or there are no labels. */
export async function bitTuningFor(config: Config, prepared: Prepared): Promise<BitTuning | undefined> {
  const { steTuning: steps, learningRate } = config.quantization;
  const { train, normalization, augmentation } = prepared.data;
  if (steps === 0 || !train?.dataset.labels) return undefined;
  const pipeline = new BatchPipeline(train, {
    batch: Math.min(config.recovery.batch, train.rows.length),
    normalization,
    augmentation,
    shuffle: true,
    random: new Random(config.seed).fork('tuning'),
  });
  const batches: TuningBatch[] = [];
  for (let epoch = 0; batches.length < steps; epoch++) {
    for await (const b of pipeline.batches(epoch)) {
      batches.push({ inputs: b.inputs.slice(), labels: b.labels!.slice() });
      if (batches.length >= steps) break;
    }
  }
  return { batches, learningRate };
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
