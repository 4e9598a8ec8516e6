/** onnxruntime's Attention: the projections of queries, keys and values inside. */
import { UserError } from '../errors';
import { attr } from '../onnx/model';
import {
  apart,
  coupleHeads,
  coupleMask,
  freezeCached,
  headGradients,
  known,
  MICROSOFT,
  requireInputs,
  scaleOf,
  together,
  withPresent,
} from './attention-heads';
import { reduceTo } from './broadcast';
import type { Value } from './builder';
import { isInitializer, nodeLabel } from './channel-axes';
import { binary, concat, gemm, reduceSum, reshape, slice } from './emit';
import type { CostContext, InferContext, InputGradients, Operator, OutputGradients } from './operator';

/** Columns of queries, keys and values in the one weight. */
function projections({ node, inputs }: Pick<InferContext, 'node' | 'inputs'>): number[] | undefined {
  const given = attr.ints(node, 'qkv_hidden_sizes');
  if (given?.length === 3) return given;
  const columns = inputs[1]?.shape?.[1];
  return typeof columns === 'number' && columns % 3 === 0 ? [columns / 3, columns / 3, columns / 3] : undefined;
}

/** Inputs: x [N, S, I], weights [I, Q + K + V], bias [Q + K + V], mask, past, added mask, past length. */
export const projecting: Operator = {
  opTypes: ['Attention'],
  domain: MICROSOFT,
  infer(context) {
    const x = context.inputs[0];
    const sizes = projections(context);
    const heads = attr.int(context.node, 'num_heads', 1);
    if (sizes && (heads < 1 || sizes.some((s) => s % heads !== 0)))
      throw new UserError(`its projections of ${sizes.join(', ')} columns cannot be split into ${heads} heads`);
    const shape = x?.shape?.length === 3 ? [x.shape[0], x.shape[1], sizes?.[2] ?? ''] : undefined;
    return withPresent(context.node, { type: x?.type ?? 'float32', shape });
  },
  cost(context: CostContext) {
    const [n, s, width] = (context.inputs[0]?.shape ?? []).map(known);
    const [q, k, v] = projections(context) ?? [0, 0, 0];
    return width === undefined ? 0 : n * s * (width * (q + k + v) + s * (q + v));
  },
  gradient(context, [dy]: OutputGradients): InputGradients {
    const { b, node, wants } = context;
    const [x, w, bias] = context.inputs;
    requireInputs(context, [0, 1, 2, 5], 'masks positions or keeps earlier ones');
    const sizes = w && projections({ node, inputs: [undefined, { type: w.type, shape: w.shape }] });
    if (!x || !w || !dy || !sizes) return [];
    const heads = attr.int(node, 'num_heads', 1);
    const rows = (v: Value): Value => reshape(b, v, [v.shape[0] * v.shape[1], v.shape[2]]);
    const [n, positions] = x.shape;
    const product = reshape(b, gemm(b, rows(x), w), [n, positions, w.shape[1]]);
    const all = bias ? binary(b, 'Add', product, bias) : product;
    const [q, k, v] = sizes.map((size, i) => {
      const from = sizes.slice(0, i).reduce((a, d) => a + d, 0);
      return apart(b, slice(b, all, [2], [from], [size]), heads);
    });
    const mask = context.inputs[5];
    const causal = attr.int(node, 'unidirectional', 0) === 1;
    const d = headGradients(b, { q, k, v, scale: scaleOf(node, sizes[0] / heads), causal, mask }, apart(b, dy, heads));
    const dAll = concat(
      b,
      [d.q, d.k, d.v].map((part) => together(b, part)),
      2,
    );
    const result: Array<Value | undefined> = context.inputs.map(() => undefined);
    if (wants(0)) result[0] = reshape(b, gemm(b, rows(dAll), w, { transRight: true }), x.shape);
    if (wants(1)) result[1] = gemm(b, rows(x), rows(dAll), { transLeft: true });
    if (bias && wants(2)) result[2] = reduceSum(b, dAll, [0, 1]);
    if (mask && wants(5)) result[5] = reduceTo(b, d.scores, mask.shape);
    return result;
  },
  channels(context) {
    const sizes = projections(context);
    const x = context.atoms(0, 2);
    const rows = context.atoms(1, 0);
    if (!isInitializer(context, 1) || !sizes || !rows) {
      context.freeze(x, `${nodeLabel(context)} computes its weight in the graph, so its channels cannot be removed`);
      return;
    }
    context.role(1, 0, 'consumer');
    context.role(1, 1, 'producer');
    if (x) context.couple(x, rows);
    else context.freeze(rows, `the input of ${nodeLabel(context)} has no channels that can be removed`);
    const columns = context.atoms(1, 1)!;
    const bias = context.inputs[2] ? context.atoms(2, 0) : null;
    if (bias) {
      if (isInitializer(context, 2)) context.role(2, 0, 'parameter');
      context.couple(columns, bias);
    }
    const heads = attr.int(context.node, 'num_heads', 1);
    const per = coupleHeads(
      context,
      sizes.map((length, i) => ({ input: 1, axis: 1, from: sizes.slice(0, i).reduce((a, d) => a + d, 0), length, heads })),
    );
    coupleMask(context, 5, heads, per);
    if (freezeCached(context, [4]))
      context.freeze(columns, `${nodeLabel(context)} keeps keys and values of earlier calls, whose heads are given`);
    context.setOutput(0, 2, per);
  },
  shrink(context) {
    const sizes = projections(context);
    const kept = context.keptInput(1, 1);
    if (!sizes || !kept) return;
    const ends = sizes.map((_, i) => sizes.slice(0, i + 1).reduce((a, d) => a + d, 0));
    const left = sizes.map((size, i) => kept.filter((p) => p < ends[i] && p >= ends[i] - size).length);
    context.setAttribute('num_heads', (attr.int(context.node, 'num_heads', 1) * left[0]) / sizes[0]);
    if (context.node.attributes.has('qkv_hidden_sizes')) context.setAttribute('qkv_hidden_sizes', left);
  },
};
