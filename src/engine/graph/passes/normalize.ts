import type { Model } from '../../onnx/model';
import { keepNeededValueInfo } from '../infer';
import { constantsToInitializers } from './constants-to-initializers';
import { removeDeadCode } from './dead-code';
import { dynamicBatch } from './dynamic-batch';
import { foldBatchNorm } from './fold-batch-norm';
import { gatherShuffles } from './gather-shuffles';
import type { Pass } from './pass';
import { removeIdentity } from './remove-identity';
import { staticReshapes } from './static-reshapes';

export interface NormalizeOptions {
  /** Fold batch normalisation into the layers before it. Default false: fine-tuning and re-estimation need it. */
  readonly foldBatchNorm?: boolean;
  /** Make a fixed batch symbolic where that is safe. Default true. */
  readonly dynamicBatch?: boolean;
}

export interface Normalized {
  readonly model: Model;
  readonly modified: boolean;
  /** What could not be done, for people: "the batch stays fixed: …". */
  readonly notes: readonly string[];
}

/** Brings a model into the form the rest of the engine expects: constants as initializers, no identities, no dead code, a free batch. */
export function normalize(model: Model, options: NormalizeOptions = {}): Normalized {
  const passes: Pass[] = [
    constantsToInitializers,
    removeIdentity,
    staticReshapes,
    gatherShuffles,
    ...(options.foldBatchNorm ? [foldBatchNorm] : []),
    removeDeadCode,
  ];
  let result = keepNeededValueInfo(model);
  for (const pass of passes) result = pass(result).model;
  const notes: string[] = [];
  if (options.dynamicBatch !== false) {
    const { model: free, reason } = dynamicBatch(result);
    result = free;
    if (reason) notes.push(reason);
  }
  return { model: result, modified: result !== model, notes };
}
