/** Attention with several heads (Vaswani et al. 2017), written as exporters write it: products, a softmax, and heads as an axis of their own. */
import { Tensor } from '../onnx/tensor';
import type { Value } from '../ops/builder';
import { type Carried, carried, DAMAGED, flagOf, type LayerContext, type LayerReader, numberOf, refuse } from './keras-context';
import { isList } from './keras-topology';
import { reshapedWeight } from './weights';

/** Scores of places that must not be looked at: behind the softmax nothing is left of them. */
const MASKED = -1e9;

const wholeOf = (c: LayerContext, field: string, fallback: number): number => {
  const value = numberOf(c, field, fallback);
  return Number.isInteger(value) && value > 0 ? value : refuse(c, `has the ${field} ${value}`, DAMAGED);
};

/** [N, T, C] · [C, heads · width], then heads apart: [N, heads, T, width]. */
function projected(c: LayerContext, x: Value, part: string, heads: number, width: number): Value {
  const own = c.inner(part, 'Dense', c.config);
  const kernel = own.weight('kernel', [x.shape[2], heads, width]);
  let y = c.op('MatMul', [x, c.constant(`${part}/kernel`, reshapedWeight(kernel, [x.shape[2], heads * width]))], {}, `${part}/product`);
  if (flagOf(c.config, 'use_bias', true))
    y = c.op('Add', [y, c.constant(`${part}/bias`, reshapedWeight(own.weight('bias', [heads, width]), [heads * width]))], {}, part);
  const apart = c.op('Reshape', [y, c.b.ints([0, 0, heads, width])], {}, `${part}/heads`);
  return c.op('Transpose', [apart], { perm: [0, 2, 1, 3] }, `${part}/first`);
}

/** 1 where a place comes at or before that of the query, [1, 1, T, S]. */
function causal(c: LayerContext, rows: number, columns: number): Value {
  const before = Uint8Array.from({ length: rows * columns }, (_, i) => (i % columns <= Math.floor(i / columns) ? 1 : 0));
  return c.b.constant(new Tensor(c.b.fresh(`${c.layer}/causal`), 'bool', [1, 1, rows, columns], before));
}

/** Query, value and, where it is another, key: sequences N, C, T. */
const multiHeadAttention: LayerReader = (c) => {
  const at = (name: string, position: number): Carried | undefined => {
    const named = c.keywords.tensors[name];
    return named === undefined ? (position < c.keywords.positional ? c.inputs[position] : undefined) : c.inputs[named];
  };
  const query = at('query', 0) ?? refuse(c, 'is given no query', DAMAGED);
  const value = at('value', 1) ?? refuse(c, 'is given no value', DAMAGED);
  const key = at('key', 2) ?? value;
  if (c.keywords.tensors['attention_mask'] !== undefined) refuse(c, 'is given a mask as a tensor, which is not read');
  // Which masks reach attention, and what is left of them behind it, differs between versions of Keras.
  if ([query, value, key].some((x) => x.mask))
    refuse(
      c,
      'attends to a masked sequence, which is not read',
      'Build the embedding with mask_zero=False, and leave out Masking before it.',
    );
  if (c.keywords.values['return_attention_scores'] === true) refuse(c, 'returns its scores, which is not read');
  for (const field of ['use_gate', 'sliding_window'])
    if (c.config[field] !== undefined && c.config[field] !== null && c.config[field] !== false)
      refuse(c, `has the ${field}, which is not read`);
  if ([query, value, key].some((x) => x.value.shape.length !== 3 || x.order))
    refuse(c, 'takes sequences, and is given something else', 'Attention over one axis is read.');
  if (c.layout === 'first') refuse(c, 'takes sequences, whose last axis holds no channels here (the model keeps channels first)');
  const heads = wholeOf(c, 'num_heads', 0);
  const width = wholeOf(c, 'key_dim', 0);
  const inner = wholeOf(c, 'value_dim', width);
  const output = c.config['output_shape'];
  const last = output === null || output === undefined ? query.value.shape[1] : isList(output) && output.length === 1 ? output[0] : output;
  if (typeof last !== 'number') refuse(c, `has the output_shape ${JSON.stringify(output)}`);

  const turned = new Map<Value, Value>();
  const steps = (x: Carried, part: string): Value => {
    const y = turned.get(x.value) ?? c.op('Transpose', [x.value], { perm: [0, 2, 1] }, `${part}/steps`);
    turned.set(x.value, y);
    return y;
  };
  const q = projected(c, steps(query, 'query'), 'query', heads, width);
  const k = projected(c, steps(key, 'key'), 'key', heads, width);
  const v = projected(c, steps(value, 'value'), 'value', heads, inner);
  const scaled = c.op('Mul', [q, c.b.scalar(1 / Math.sqrt(width))], {}, 'query/scaled');
  let scores = c.op('MatMul', [scaled, c.op('Transpose', [k], { perm: [0, 1, 3, 2] }, 'key/turned')], {}, 'scores');
  if (c.keywords.values['use_causal_mask'] === true) {
    const mask = causal(c, query.value.shape[2], value.value.shape[2]);
    scores = c.op('Where', [mask, scores, c.b.scalar(MASKED)], {}, 'masked', { types: [scores] });
  }
  const weighted = c.op('MatMul', [c.op('Softmax', [scores], { axis: 3 }, 'softmax'), v], {}, 'weighted');
  const together = c.op(
    'Reshape',
    [c.op('Transpose', [weighted], { perm: [0, 2, 1, 3] }, 'weighted/last'), c.b.ints([0, 0, heads * inner])],
    {},
    'together',
  );
  const own = c.inner('attention_output', 'Dense', c.config);
  const kernel = reshapedWeight(own.weight('kernel', [heads, inner, last]), [heads * inner, last]);
  let y = c.op('MatMul', [together, c.constant('attention_output/kernel', kernel)], {}, 'attention_output/product');
  if (flagOf(c.config, 'use_bias', true))
    y = c.op('Add', [y, c.constant('attention_output/bias', own.weight('bias', [last]))], {}, 'attention_output');
  return carried(c.op('Transpose', [y], { perm: [0, 2, 1] }));
};

export const attentionLayers: Readonly<Record<string, LayerReader>> = { MultiHeadAttention: multiHeadAttention };
