/** Which values of a model have the samples along their first axis: recurrent layers put the steps there. */
import type { Model } from '../onnx/model';
import { inferTypes } from './infer';

/** A batch that no other length of a network is likely to have. */
const PROBE = 7919;

/**
 * Names of the values whose first axis is known to hold something else than the samples. Empty where the file fixes the batch: nothing can
 * be told then.
 */
export function notBatchFirst(model: Model): ReadonlySet<string> {
  if (model.graph.inputs.some((i) => typeof i.shape?.[0] !== 'string')) return new Set();
  const { types } = inferTypes(model, { batch: PROBE });
  const names = new Set<string>();
  for (const node of model.graph.nodes)
    for (const output of node.outputs) {
      const first = types.get(output)?.shape?.[0];
      if (typeof first === 'number' && first !== PROBE) names.add(output);
    }
  return names;
}
