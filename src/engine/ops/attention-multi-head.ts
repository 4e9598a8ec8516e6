/** onnxruntime's MultiHeadAttention. */
import { attr } from '../onnx/model';
import {
  apart,
  attentionCost,
  coupleHeads,
  coupleMask,
  freezeCached,
  type HeadAxis,
  headGradients,
  known,
  MICROSOFT,
  requireInputs,
  scaleOf,
  shrinkHeads,
  together,
  untrainable,
  withPresent,
} from './attention-heads';
import { reduceTo } from './broadcast';
import type { Value } from './builder';
import { isInitializer, nodeLabel } from './channel-axes';
import { binary, concat, reduceSum, slice } from './emit';
import type { Operator } from './operator';

/** Inputs: queries [N, S, Q], keys [N, L, Q], values [N, L, V], bias [2 · Q + V], padding mask, added mask, past. */
export const multiHead: Operator = {
  opTypes: ['MultiHeadAttention'],
  domain: MICROSOFT,
  infer({ node, inputs }) {
    const [q, , v] = inputs;
    const type = q?.type ?? 'float32';
    const shape = q?.shape;
    if (shape?.length === 5) {
      // Queries, keys and values packed: [N, S, heads, 3, depth].
      const [heads, depth] = [shape[2], shape[4]];
      return withPresent(node, {
        type,
        shape: [shape[0], shape[1], typeof heads === 'number' && typeof depth === 'number' ? heads * depth : ''],
      });
    }
    const width = v?.shape?.length === 3 ? v.shape[2] : v?.shape?.length === 4 ? known(v.shape[1]) * known(v.shape[3]) : '';
    return withPresent(node, { type, shape: shape?.length === 3 ? [shape[0], shape[1], width] : undefined });
  },
  cost: ({ inputs }) => attentionCost(inputs),
  gradient(context, [dy]) {
    const { b, node, wants } = context;
    requireInputs(context, [0, 1, 2, 3, 5], 'masks positions or keeps earlier ones');
    const [q, k, v, bias] = context.inputs;
    if (!dy || !q) return [];
    if (!k || !v || q.shape.length !== 3 || k.shape.length !== 3 || v.shape.length !== 3)
      throw untrainable(context, 'takes queries, keys and values packed');
    const heads = attr.int(node, 'num_heads', 1);
    const widths = [q, k, v].map((x) => x.shape[2]);
    const starts = [0, widths[0], widths[0] + widths[1]];
    const [qh, kh, vh] = [q, k, v].map((x, i) => {
      const own = bias && slice(b, bias, [0], [starts[i]], [widths[i]]);
      return apart(b, own ? binary(b, 'Add', x, own) : x, heads);
    });
    const mask = context.inputs[5];
    const causal = attr.int(node, 'unidirectional', 0) === 1;
    const d = headGradients(b, { q: qh, k: kh, v: vh, scale: scaleOf(node, widths[0] / heads), causal, mask }, apart(b, dy, heads));
    const parts = [d.q, d.k, d.v].map((part) => together(b, part));
    const result: Array<Value | undefined> = context.inputs.map((_, i) => (i < 3 && wants(i) ? parts[i] : undefined));
    if (bias && wants(3)) {
      const sums = parts.map((part) => reduceSum(b, part, [0, 1]));
      result[3] = concat(b, sums, 0);
    }
    if (mask && wants(5)) result[5] = reduceTo(b, d.scores, mask.shape);
    return result;
  },
  channels(context) {
    const shapes = [0, 1, 2].map((i) => context.inputs[i]?.shape);
    // Packed forms are left to what no operator asks for: frozen, with the axis named.
    if (shapes.some((s) => s?.length !== 3) || freezeCached(context, [6, 7])) return;
    const heads = attr.int(context.node, 'num_heads', 1);
    const operands: HeadAxis[] = [0, 1, 2].map((input) => ({ input, axis: 2, heads }));
    const per = coupleHeads(context, operands);
    const bias = context.inputs[3] ? context.atoms(3, 0) : null;
    if (bias) {
      const values = operands.flatMap(({ input, axis }) => [...(context.atoms(input, axis) ?? [])]);
      if (isInitializer(context, 3)) context.role(3, 0, 'parameter');
      if (values.length === bias.length) context.couple(bias, Int32Array.from(values));
      else context.freeze(bias, `${nodeLabel(context)} adds them to a value whose channels cannot be removed`);
    }
    coupleMask(context, 5, heads, per);
    context.setOutput(0, 2, per);
  },
  shrink(context) {
    shrinkHeads(context, 'num_heads', 0, 2);
  },
};
