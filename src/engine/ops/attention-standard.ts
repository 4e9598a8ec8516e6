/** The standard's Attention. */
import { UserError } from '../errors';
import { attr, type Dim } from '../onnx/model';
import { isFloat } from '../onnx/tensor';
import {
  apart,
  coupleHeads,
  coupleMask,
  freezeCached,
  headGradients,
  known,
  requireInputs,
  scaleOf,
  shrinkHeads,
  together,
  untrainable,
  withPresent,
} from './attention-heads';
import { reduceTo } from './broadcast';
import type { Value } from './builder';
import type { InferContext, Operator } from './operator';

/** Heads of queries, and of keys and values, of the standard's form: an attribute with three axes, the second of four. */
function standardHeads({ node, inputs }: Pick<InferContext, 'node' | 'inputs'>): [number, number] | undefined {
  const of = (attribute: string, input: number): Dim | undefined => {
    const shape = inputs[input]?.shape;
    return shape?.length === 4 ? shape[1] : attr.int(node, attribute, 0);
  };
  const [q, k] = [of('q_num_heads', 0), of('kv_num_heads', 1)];
  return typeof q === 'number' && typeof k === 'number' && q > 0 && k > 0 ? [q, k] : undefined;
}

/** Inputs: Q [N, S, heads · depth] or [N, heads, S, depth], K and V in the same form, mask, past key, past value. From set 23 on. */
export const standard: Operator = {
  opTypes: ['Attention'],
  infer(context) {
    const [q, k, v] = context.inputs;
    const type = q?.type ?? 'float32';
    const heads = standardHeads(context);
    if (!q?.shape || !v?.shape) return withPresent(context.node, { type });
    if (q.shape.length === 4) return withPresent(context.node, { type, shape: [...q.shape.slice(0, 3), v.shape[3] ?? ''] });
    const width = v.shape[2];
    if (heads && typeof width === 'number' && width % heads[1] !== 0)
      throw new UserError(`its values of ${width} columns cannot be split into ${heads[1]} heads`);
    const columns = heads && typeof width === 'number' ? (heads[0] * width) / heads[1] : '';
    return withPresent(context.node, { type, shape: [q.shape[0] ?? '', q.shape[1] ?? k?.shape?.[1] ?? '', columns] });
  },
  cost(context) {
    const heads = standardHeads(context);
    // Shared keys and values are read once for each head of the queries.
    const [q, k, v] = [0, 1, 2].map((i) => context.inputs[i]?.shape?.map(known));
    if (!q || !k || !v || !heads) return 0;
    const size = (shape: readonly number[]): number => shape.reduce((a, d) => a * d, 1);
    return k[k.length - 2] * size(q) + (q[q.length - 2] * size(v) * heads[0]) / heads[1];
  },
  gradient(context, [dy]) {
    const { b, node, wants } = context;
    requireInputs(context, [0, 1, 2, 3], 'keeps earlier positions');
    const [q, k, v, mask] = context.inputs;
    const heads = standardHeads({ node, inputs: context.inputs });
    if (!q || !k || !v || !dy || !heads) return [];
    if (heads[0] !== heads[1]) throw untrainable(context, 'shares keys and values between heads');
    if (mask && !isFloat(mask.type)) throw untrainable(context, 'takes a mask of truth values');
    if (attr.float(node, 'softcap', 0) !== 0) throw untrainable(context, 'caps its scores');
    const four = (x: Value): Value => (x.shape.length === 4 ? x : apart(b, x, heads[0]));
    const [qh, kh, vh] = [q, k, v].map(four);
    const causal = attr.int(node, 'is_causal', 0) === 1;
    const d = headGradients(b, { q: qh, k: kh, v: vh, scale: scaleOf(node, qh.shape[3]), causal, mask }, four(dy));
    const back = (part: Value, like: Value): Value => (like.shape.length === 4 ? part : together(b, part));
    return [
      wants(0) ? back(d.q, q) : undefined,
      wants(1) ? back(d.k, k) : undefined,
      wants(2) ? back(d.v, v) : undefined,
      mask && wants(3) ? reduceTo(b, d.scores, mask.shape) : undefined,
    ];
  },
  channels(context) {
    const heads = standardHeads(context);
    const rank = context.inputs[0]?.shape?.length;
    if (!heads || [1, 2].some((i) => context.inputs[i]?.shape?.length !== rank) || freezeCached(context, [4, 5])) return;
    const axis = rank === 4 ? 1 : 2;
    const per = coupleHeads(context, [
      { input: 1, axis, heads: heads[1] },
      { input: 2, axis, heads: heads[1] },
      { input: 0, axis, heads: heads[0] },
    ]);
    coupleMask(context, 3, heads[0], per);
    const width = context.outputs[0].shape?.[axis];
    if (!per || typeof width !== 'number') return;
    // Values may be of another depth than queries: a head's atom is that of any of its positions.
    context.setOutput(
      0,
      axis,
      Int32Array.from({ length: width }, (_, i) => per[Math.floor(i / (width / heads[0])) * (per.length / heads[0])]),
    );
  },
  shrink(context) {
    if (context.inputs[0]?.shape?.length !== 3) return;
    shrinkHeads(context, 'q_num_heads', 0, 2);
    shrinkHeads(context, 'kv_num_heads', 1, 2);
  },
};
