/**
 * Attention as one node: softmax(scale · Q · Kᵀ + mask) · V over heads (Vaswani et al. 2017, section 3.2).
 * onnxruntime's Attention (projections of queries, keys and values inside) and MultiHeadAttention, and the standard's Attention.
 * Whole heads are what can be removed: a head's columns of queries, keys and values go together with its columns of the result.
 */
import { UserError } from '../errors';
import { attr, type Dim, type Node } from '../onnx/model';
import { isFloat } from '../onnx/tensor';
import { reduceTo } from './broadcast';
import type { GraphBuilder, Value } from './builder';
import { isInitializer, nodeLabel } from './channel-axes';
import { binary, concat, gemm, matMul, reduceSum, reshape, scale, slice, transpose } from './emit';
import type {
  AxisAtoms,
  ChannelContext,
  CostContext,
  GradientContext,
  InferContext,
  InputGradients,
  Operator,
  OutputGradients,
  ShrinkContext,
  ValueType,
} from './operator';

const MICROSOFT = 'com.microsoft';

const known = (d: Dim | undefined): number => (typeof d === 'number' ? d : 1);

/** Another output (present keys and values) has a shape that depends on the past. */
const withPresent = (node: Node, first: ValueType): ValueType[] => node.outputs.map((_, i) => (i === 0 ? first : { type: first.type }));

/** One operand whose axis holds heads × depth, or heads alone. */
interface HeadAxis {
  readonly input: number;
  readonly axis: number;
  /** First position and number of positions; the whole axis where absent. */
  readonly from?: number;
  readonly length?: number;
  /** How many heads the positions hold. */
  readonly heads: number;
}

/**
 * Couples, head by head, all positions that a head has in each operand, and returns the atoms of the last operand's positions.
 * Where the operands differ in their number of heads, the smaller number's serve several of the larger one's each, in a row.
 */
function coupleHeads(context: ChannelContext, operands: readonly HeadAxis[]): AxisAtoms {
  const all = operands.map(({ input, axis, from = 0, length }) => {
    const atoms = context.atoms(input, axis);
    return atoms === null ? null : atoms.slice(from, length === undefined ? undefined : from + length);
  });
  const missing = all.some((atoms) => atoms === null);
  const heads = Math.min(...operands.map((o) => o.heads));
  if (missing || all.some((atoms) => atoms!.length % heads !== 0)) {
    for (const atoms of all) context.freeze(atoms, `${nodeLabel(context)} combines them with a value whose channels cannot be removed`);
    return null;
  }
  for (let head = 0; head < heads; head++) {
    const [first] = all[0]!.subarray((head * all[0]!.length) / heads);
    for (const atoms of all) {
      const width = atoms!.length / heads;
      context.couple(atoms!.slice(head * width, (head + 1) * width), new Int32Array(width).fill(first));
    }
  }
  return all[all.length - 1];
}

/** Freezes the heads of a node that keeps keys and values for later calls: their cache has the heads of the file. */
function freezeCached(context: ChannelContext, inputs: readonly number[]): boolean {
  const { node } = context;
  const cached = inputs.some((i) => node.inputs[i]) || node.outputs.slice(1).some((o) => o !== '');
  if (!cached) return false;
  node.inputs.forEach((name, input) => {
    const rank = name === '' ? 0 : (context.inputs[input]?.shape?.length ?? 0);
    for (let axis = 0; axis < rank; axis++)
      if (!isInitializer(context, input))
        context.freeze(context.atoms(input, axis), `${nodeLabel(context)} keeps keys and values of earlier calls, whose heads are given`);
  });
  return true;
}

/** A mask added to the scores may have an axis of heads, third from last. */
function coupleMask(context: ChannelContext, input: number, heads: number, per: AxisAtoms): void {
  const shape = context.inputs[input]?.shape;
  if (!shape || shape.length < 3 || shape[shape.length - 3] === 1 || !per) return;
  const axis = shape.length - 3;
  const own = context.atoms(input, axis);
  if (!own || own.length !== heads) {
    context.freeze(per, `${nodeLabel(context)} adds a mask for each head`);
    return;
  }
  if (isInitializer(context, input)) context.role(input, axis, 'parameter');
  const width = per.length / heads;
  context.couple(
    own,
    Int32Array.from(own, (_, head) => per[head * width]),
  );
}

/** What the three forms share once queries, keys and values lie as [N, heads, positions, depth]. */
interface Heads {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  readonly scale: number;
  readonly causal: boolean;
  /** Added to the scores. */
  readonly mask?: Value;
}

interface HeadGradients {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  /** By the scores, after the mask. */
  readonly scores: Value;
}

/** The backward pass: the attention weights are computed again, the fused node does not give them. */
function headGradients(b: GraphBuilder, { q, k, v, scale: factor, causal, mask }: Heads, dOut: Value): HeadGradients {
  let scores = scale(b, matMul(b, q, k, { transRight: true }), factor);
  if (mask) scores = binary(b, 'Add', scores, mask);
  if (causal) {
    const [rows, columns] = scores.shape.slice(-2);
    const later = Float32Array.from({ length: rows * columns }, (_, i) => (i % columns > Math.floor(i / columns) ? -1e9 : 0));
    scores = binary(b, 'Add', scores, b.floats(b.fresh('later'), [rows, columns], later));
  }
  const weights = b.op('Softmax', [scores], { axis: -1 });
  const dWeights = matMul(b, dOut, v, { transRight: true });
  const sum = reduceSum(b, binary(b, 'Mul', dWeights, weights), [scores.shape.length - 1], true);
  const dScores = binary(b, 'Mul', weights, binary(b, 'Sub', dWeights, sum));
  return {
    q: scale(b, matMul(b, dScores, k), factor),
    k: scale(b, matMul(b, dScores, q, { transLeft: true }), factor),
    v: matMul(b, weights, dOut, { transLeft: true }),
    scores: dScores,
  };
}

/** [N, positions, heads · depth] → [N, heads, positions, depth] */
const apart = (b: GraphBuilder, x: Value, heads: number): Value => {
  const [n, positions, width] = x.shape;
  return transpose(b, reshape(b, x, [n, positions, heads, width / heads]), [0, 2, 1, 3]);
};

/** [N, heads, positions, depth] → [N, positions, heads · depth] */
const together = (b: GraphBuilder, x: Value): Value => {
  const [n, heads, positions, depth] = x.shape;
  return reshape(b, transpose(b, x, [0, 2, 1, 3]), [n, positions, heads * depth]);
};

function untrainable({ node }: GradientContext, what: string): UserError {
  return new UserError(
    `${node.opType} '${node.name || node.outputs[0]}' ${what}, which fine-tuning cannot follow`,
    'Export the model with attention written as separate operators, or run without fine-tuning.',
  );
}

/** No gradient passes an input that the backward pass does not know of. */
function requireInputs(context: GradientContext, allowed: readonly number[], what: string): void {
  if (context.inputs.some((input, i) => input && !allowed.includes(i))) throw untrainable(context, what);
}

const scaleOf = (node: Node, depth: number): number => attr.float(node, 'scale', 0) || 1 / Math.sqrt(depth);

/** Columns of queries, keys and values in the one weight. */
function projections({ node, inputs }: Pick<InferContext, 'node' | 'inputs'>): number[] | undefined {
  const given = attr.ints(node, 'qkv_hidden_sizes');
  if (given?.length === 3) return given;
  const columns = inputs[1]?.shape?.[1];
  return typeof columns === 'number' && columns % 3 === 0 ? [columns / 3, columns / 3, columns / 3] : undefined;
}

/** Inputs: x [N, S, I], weights [I, Q + K + V], bias [Q + K + V], mask, past, added mask, past length. */
const projecting: Operator = {
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

/** Inputs: queries [N, S, Q], keys [N, L, Q], values [N, L, V], bias [2 · Q + V], padding mask, added mask, past. */
const multiHead: Operator = {
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

function attentionCost(inputs: CostContext['inputs']): number {
  const [q, k, v] = [0, 1, 2].map((i) => inputs[i]?.shape?.map(known));
  if (!q || !k || !v) return 0;
  // Positions are the last axis but one; all others of queries and values are multiplied by the keys' positions.
  const size = (shape: readonly number[]): number => shape.reduce((a, d) => a * d, 1);
  const [rows, columns] = [q[q.length - 2], k[k.length - 2]];
  return columns * size(q) + rows * size(v);
}

/** The attribute counts the heads that stay: as many in a hundred as of the positions along the axis. */
function shrinkHeads(context: ShrinkContext, attribute: string, input: number, axis: number): void {
  const length = context.inputs[input]?.shape?.[axis];
  const kept = context.keptInput(input, axis);
  if (!kept || typeof length !== 'number') return;
  context.setAttribute(attribute, (attr.int(context.node, attribute, 1) * kept.length) / length);
}

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
const standard: Operator = {
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

export const attentions: readonly Operator[] = [projecting, multiHead, standard];
