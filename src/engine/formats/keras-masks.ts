/**
 * Masks: which steps of a sequence count. A mask is a truth value for each step, [N, T], that goes with a value from the layer that makes it (`Embedding`,
 * `Masking`) through those that keep steps apart, to those that heed it. As in Keras, layers that know nothing of masks drop them.
 */
import type { Value } from '../ops/builder';
import { type Carried, carried, type LayerContext, type LayerReader, numberOf, only, refuse } from './keras-context';

/** Layers that hand on the mask of their (first) input. */
const HANDED_ON = new Set([
  'Activation',
  'ActivityRegularization',
  'AlphaDropout',
  'BatchNormalization',
  'Dense',
  'Dropout',
  'ELU',
  'GaussianDropout',
  'GaussianNoise',
  'GroupNormalization',
  'Identity',
  'LayerNormalization',
  'LeakyReLU',
  'Normalization',
  'PReLU',
  'ReLU',
  'Rescaling',
  'Softmax',
  'SpatialDropout1D',
  'SpatialDropout2D',
  'TimeDistributed',
  'UnitNormalization',
]);
/** Layers that join the masks of their inputs. */
const MERGES = new Set(['Add', 'Subtract', 'Multiply', 'Maximum', 'Minimum', 'Average', 'Concatenate', 'Dot']);

/** The result of a layer with the mask that goes with it. @param operation an operation on tensors (x + y) rather than a layer */
export function withMask(c: LayerContext, result: Carried, operation: boolean): Carried {
  const masks = [...new Set(c.inputs.flatMap((i) => (i.mask ? [i.mask] : [])))];
  // Operations (x + y) drop masks, the layers of the same name join them.
  if (result.mask || masks.length === 0 || operation) return result;
  if (HANDED_ON.has(c.className)) return c.inputs[0].mask ? { ...result, mask: c.inputs[0].mask } : result;
  if (!MERGES.has(c.className)) return result;
  const every = c.inputs.every((i) => i.mask);
  if (c.className === 'Concatenate' && (!every || masks.length > 1))
    refuse(c, 'joins sequences that are not masked alike, which is not read');
  // As Keras has it: one input without a mask takes it from all; otherwise a step counts where it counts in any.
  if (!every) return result;
  return { ...result, mask: masks.slice(1).reduce((a, m, i) => c.op('Or', [a, m], {}, `mask${i + 1}`), masks[0]) };
}

/** Steps of a mask that differ from a number in any channel; the others become zeros. */
const masking: LayerReader = (c) => {
  const { value: x, order } = only(c);
  if (x.shape.length !== 3 || order || c.layout === 'first') refuse(c, 'masks something that is no sequence');
  const same = c.op('Equal', [x, c.b.scalar(numberOf(c, 'mask_value', 0))], {}, 'same');
  const different = c.op('Cast', [c.op('Not', [same], {}, 'different')], { to: 1 }, 'differences');
  const most = c.op('ReduceMax', [different], { axes: [1], keepdims: 1 }, 'most', {
    types: [{ type: 'float32', shape: [x.shape[0], 1, x.shape[2]] }],
  });
  const mask = c.op('Cast', [c.op('Squeeze', [most, c.b.ints([1])], {}, 'steps')], { to: 9 }, 'mask');
  return { ...carried(c.op('Mul', [x, most], {}, '', { types: [x] })), mask };
};

/** Token 0 is no step. @param ids [N, T], of whatever type they come in */
export const maskOfTokens = (c: LayerContext, ids: Value): Value => {
  const zero = ids.type === 'float32' ? c.b.scalar(0) : c.op('Cast', [c.b.scalar(0)], { to: ids.type === 'int64' ? 7 : 6 }, 'zero');
  return c.op('Not', [c.op('Equal', [ids, zero], {}, 'empty')], {}, 'mask');
};

/**
 * A sequence with the steps that count in front, as recurrent operators take sequences of their own length: the state of the last step that counts is then the
 * last of all, whatever the mask. @param x [N, C, T]
 */
export function gathered(c: LayerContext, x: Value, mask: Value): { x: Value; lengths: Value } {
  const steps = x.shape[2];
  const counted = c.op('Cast', [mask], { to: 6 }, 'counted');
  const lengths = c.op('ReduceSum', [counted, c.b.ints([1])], { keepdims: 0 }, 'lengths');
  // Steps that count have the higher keys, earlier ones the higher among them.
  const first = c.op('Mul', [c.op('Cast', [mask], { to: 1 }, 'first'), c.b.scalar(2 * steps)], {}, 'first/weight');
  const place = c.b.floats(
    c.b.fresh(`${c.layer}/places`),
    [1, steps],
    Float32Array.from({ length: steps }, (_, t) => -t),
  );
  const keys = c.op('Add', [first, place], {}, 'keys');
  const [, order] = c.ops('TopK', [keys, c.b.ints([steps])], { axis: 1, largest: 1, sorted: 1 }, 2, 'order');
  return { x: c.op('GatherElements', [x, alongChannels(c, order, x.shape[1], 'order')], { axis: 2 }, 'front'), lengths };
}

/**
 * The output at every step from the outputs of those that count: at the others the one before stays, or zeros where there is none.
 * @param y [N, H, T], steps that count in front @param backwards the layer went from the last step to the first
 */
export function spread(c: LayerContext, y: Value, mask: Value, backwards: boolean, part: string): Value {
  const counted = c.op('Cast', [mask], { to: 6 }, `${part}/counted`);
  const axis = c.op('Cast', [c.b.scalar(1)], { to: 6 }, `${part}/axis`);
  const sums = c.op('CumSum', [counted, axis], { exclusive: backwards ? 1 : 0 }, `${part}/sums`, { types: [counted] });
  const one = c.op('Cast', [c.b.scalar(1)], { to: 6 }, `${part}/one`);
  // Forwards the last step that counted is number sum − 1; backwards it is number 'how many came before'.
  const number = backwards ? sums : c.op('Sub', [sums, one], {}, `${part}/number`);
  const zero = c.op('Cast', [c.b.scalar(0)], { to: 6 }, `${part}/zero`);
  const last = c.op('Cast', [c.b.scalar(y.shape[2] - 1)], { to: 6 }, `${part}/last`);
  const within = c.op('Min', [c.op('Max', [number, zero], {}, `${part}/least`), last], {}, `${part}/most`);
  const index = alongChannels(c, c.op('Cast', [within], { to: 7 }, `${part}/index`), y.shape[1], part);
  const found = c.op('GatherElements', [y, index], { axis: 2 }, `${part}/found`);
  // Past the end of what counts the operator gives zeros itself; before the beginning there is nothing to repeat.
  if (backwards) return found;
  const begun = c.op('Cast', [c.op('Greater', [sums, zero], {}, `${part}/begun`)], { to: 1 }, `${part}/factor`);
  return c.op('Mul', [found, c.op('Unsqueeze', [begun, c.b.ints([1])], {}, `${part}/rows`)], {}, part, { types: [found] });
}

/** Indices [N, T] for every channel: [N, C, T]. */
function alongChannels(c: LayerContext, index: Value, channels: number, part: string): Value {
  const row = c.op('Unsqueeze', [index, c.b.ints([1])], {}, `${part}/row`);
  return c.op('Expand', [row, c.b.ints([1, channels, 1])], {}, `${part}/all`, {
    types: [{ type: index.type, shape: [index.shape[0], channels, index.shape[1]] }],
  });
}

/** The mean over the steps that count. @param x [N, C, T] @returns [N, C, 1] */
export function maskedMean(c: LayerContext, x: Value, mask: Value): Value {
  const factor = c.op('Unsqueeze', [c.op('Cast', [mask], { to: 1 }, 'factor'), c.b.ints([1])], {}, 'factor/row');
  const sum = c.op('ReduceSum', [c.op('Mul', [x, factor], {}, 'kept', { types: [x] }), c.b.ints([2])], { keepdims: 1 }, 'sum');
  return c.op('Div', [sum, c.op('ReduceSum', [factor, c.b.ints([2])], { keepdims: 1 }, 'count')], {}, 'mean', { types: [sum] });
}

export const maskLayers: Readonly<Record<string, LayerReader>> = { Masking: masking };
