/** Training samples kept in memory for the short fine-tuning of candidates. */
import type { Config } from '../../protocol/config';
import { BatchPipeline } from '../data/batches';
import { Random } from '../random';
import type { TuningBatch } from './actor';
import type { Prepared } from './prepare';

/**
 * The first batches of the training samples in an order of their own, kept in memory, so that every candidate is fine-tuned on the same
 * ones. Empty where there is nothing labelled to train on.
 */
export async function shortTuningBatches(config: Config, prepared: Prepared, count: number, batch: number): Promise<TuningBatch[]> {
  const { train, normalization, augmentation } = prepared.data;
  if (!train?.dataset.labels || train.rows.length < 2) return [];
  const size = Math.min(batch, train.rows.length);
  const random = new Random(config.seed).fork('short tuning');
  const pipeline = new BatchPipeline(train, { batch: size, normalization, augmentation, shuffle: true, random });
  const batches: TuningBatch[] = [];
  try {
    for (let epoch = 0; batches.length < count; epoch++) {
      for await (const b of pipeline.batches(epoch)) {
        if (b.count !== size) continue;
        batches.push({ inputs: b.inputs.slice(), labels: b.labels!.slice() });
        if (batches.length >= count) break;
      }
    }
    return batches;
  } finally {
    await pipeline.close();
  }
}
