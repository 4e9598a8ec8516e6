/** Fine-tuning of one network by a config's `recovery`, outside a run. */

import type { Model } from '../src/engine/onnx/model';
import { prepare } from '../src/engine/search/prepare';
import { recoveryOptions, trainingBatches } from '../src/engine/search/recover';
import type { RunContext } from '../src/engine/search/run-context';
import { fitModel } from '../src/engine/training/fit';
import type { Config } from '../src/protocol/config';
import { note, threadFiles } from './bench';

export interface FineTuned {
  readonly model: Model;
  readonly steps: number;
}

/** @param dataFolder as `--data` has it; the config's model is the teacher, where it distils */
export async function fineTuned(model: Model, config: Config, dataFolder: string): Promise<FineTuned> {
  const prepared = await prepare(config, { folder: '.', dataFolder });
  const context = { config, prepared, recorder: { update: () => {}, warning: note }, threads: threadFiles } as unknown as RunContext;
  const source = trainingBatches(context, 'recovery')!;
  const { epochs } = config.recovery;
  try {
    const { model: tuned } = await fitModel(model, source, recoveryOptions(context));
    return { model: tuned, steps: epochs * source.batchesPerEpoch };
  } finally {
    await source.close();
  }
}
