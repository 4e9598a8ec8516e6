/** Taylor importance of a run's channel groups, where its config asks for it. */
import type { Config } from '../../protocol/config';
import { BatchPipeline } from '../data/batches';
import { UserError } from '../errors';
import { taylorScores } from '../importance/taylor';
import { Random } from '../random';
import type { TrainingBatch } from '../training/trainer';
import type { Prepared } from './prepare';

const BATCHES = 4;
const BATCH = 64;

/**
 * Scores by group id; undefined where channels are chosen in another way. The same in every process of a run.
 * @throws UserError where there are no labelled training samples
 */
export async function taylorScoresFor(config: Config, prepared: Prepared): Promise<ReadonlyMap<string, Float64Array> | undefined> {
  if (config.pruning.selection !== 'taylor') return undefined;
  const { train, normalization } = prepared.data;
  if (!train?.dataset.labels) {
    throw new UserError(
      'the selection taylor needs gradients, and so training samples with labels, which this data does not have',
      'Give "data.files.train" with labels, or choose another "pruning.selection".',
    );
  }
  const pipeline = new BatchPipeline(train, {
    batch: Math.min(BATCH, train.rows.length),
    normalization,
    shuffle: true,
    random: new Random(config.seed).fork('taylor'),
  });
  const batches: TrainingBatch[] = [];
  for await (const b of pipeline.batches(0)) {
    batches.push({ inputs: b.inputs.slice(), labels: b.labels!.slice() });
    if (batches.length >= BATCHES) break;
  }
  return taylorScores(prepared.model, prepared.groups, batches);
}
