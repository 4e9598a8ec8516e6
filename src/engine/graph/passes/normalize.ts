import type { Model } from '../../onnx/model';
import { keepNeededValueInfo } from '../infer';
import { quantizedForm } from '../quantized-form';
import { cancelTransposes } from './cancel-transposes';
import { constantsToInitializers } from './constants-to-initializers';
import { removeDeadCode } from './dead-code';
import { dequantize } from './dequantize';
import { dynamicBatch } from './dynamic-batch';
import { foldBatchNorm } from './fold-batch-norm';
import { foldScale } from './fold-scale';
import { fuseBias } from './fuse-bias';
import { gatherParts } from './gather-parts';
import { gatherShuffles } from './gather-shuffles';
import { mergeMoves } from './merge-moves';
import type { Pass } from './pass';
import { removeIdentity } from './remove-identity';
import { rowsApart } from './rows-apart';
import { staticReshapes } from './static-reshapes';
import { stepsFirst } from './steps-first';
import { dropZeroStates } from './zero-states';

export interface NormalizeOptions {
  /** Fold batch normalisation into the layers before it. Default false: fine-tuning and re-estimation need it. */
  readonly foldBatchNorm?: boolean;
  /** Turn a model that is quantised already back into floats. Default false. */
  readonly dequantize?: boolean;
  /** Make a fixed batch symbolic where that is safe. Default true. */
  readonly dynamicBatch?: boolean;
}

export interface Normalized {
  readonly model: Model;
  readonly modified: boolean;
  /** What could not be done, for people: "the batch stays fixed: …". */
  readonly notes: readonly string[];
  /** What was changed, for people: "constants are initializers". Nothing of it changes what the model computes, but for dequantising. */
  readonly changes: readonly string[];
}

const DEAD = 'what no output depends on was taken out';
const BATCH_FREED = 'the batch, which the file fixes, was left open';

/**
 * Brings a model into the form the rest of the engine expects: constants as initializers, channels first, biases and scales in their
 * layers, no identities, no dead code, a free batch.
 * @throws UserError where the model is to be dequantised and cannot be
 */
export function normalize(model: Model, options: NormalizeOptions = {}): Normalized {
  const changes: string[] = [];
  let result = keepNeededValueInfo(model);
  const apply = (pass: Pass, change: string): boolean => {
    const { model: changed, modified } = pass(result);
    result = changed;
    if (modified && !changes.includes(change)) changes.push(change);
    return modified;
  };
  /** What moves elements about as few nodes as will do, so that channels can be followed through them. */
  const followMoves = (): void => {
    apply(mergeMoves, 'rows of reshapes and transposes were made one of each');
    apply(gatherParts, 'parts of an axis taken by number became slices');
    apply(rowsApart, 'linear layers over rows of several axes were given the axes');
  };
  apply(constantsToInitializers, 'constants, and what follows from shapes alone, became initializers');
  apply(removeIdentity, 'nodes that pass their input on were taken out');
  apply(stepsFirst, 'recurrent layers with the samples first were given the steps first');
  if (options.dequantize) apply(dequantize, 'the quantised model was turned back into floats');
  apply(dropZeroStates, 'initial states of recurrent layers that are zero were left out');
  followMoves();
  apply(removeDeadCode, DEAD);
  // Before axes are moved: an axis of one sample may go anywhere, and then nobody knows it for the batch.
  if (options.dynamicBatch !== false) apply(dynamicBatch, BATCH_FREED);
  if (apply(cancelTransposes, 'transposes around channels-last parts were moved until they cancelled'))
    result = removeIdentity(result).model;
  // What was computed before may be known now.
  if (apply(staticReshapes, 'computed target shapes became constants')) {
    // What the shapes were computed from is no longer a reader of what is moved.
    apply(removeDeadCode, DEAD);
    followMoves();
  }
  apply(gatherShuffles, 'channel shuffles written as reshapes became one node each');
  // A scale by constants in front of a bias: batch normalisation written out.
  if (apply(foldScale, 'constant scales behind layers were folded into their weights')) result = removeDeadCode(result).model;
  apply(fuseBias, 'constants added behind layers became their biases');
  if (options.foldBatchNorm) apply(foldBatchNorm, 'batch normalisation was folded into the layers before it');
  apply(removeDeadCode, DEAD);
  const notes: string[] = [];
  const form = quantizedForm(result);
  if (form !== undefined) notes.push(`the model is quantised already (${form}); compressing it needs it as floats: "dequantize": true`);
  if (options.dynamicBatch !== false) {
    const { model: free, reason, modified } = dynamicBatch(result);
    result = free;
    if (modified && !changes.includes(BATCH_FREED)) changes.push(BATCH_FREED);
    if (reason) notes.push(reason);
  }
  return { model: result, modified: result !== model, notes, changes };
}
