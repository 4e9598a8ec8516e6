/** What attention as one node has in common, whoever defines it: heads as what can be removed, the backward pass, the cost. */
import { UserError } from '../errors';
import { attr, type Dim, type Node } from '../onnx/model';
import type { GraphBuilder, Value } from './builder';
import { isInitializer, nodeLabel } from './channel-axes';
import { binary, matMul, reduceSum, reshape, scale, transpose } from './emit';
import type { AxisAtoms, ChannelContext, CostContext, GradientContext, ShrinkContext, ValueType } from './operator';

export const MICROSOFT = 'com.microsoft';

export const known = (d: Dim | undefined): number => (typeof d === 'number' ? d : 1);

/** Another output (present keys and values) has a shape that depends on the past. */
export const withPresent = (node: Node, first: ValueType): ValueType[] =>
  node.outputs.map((_, i) => (i === 0 ? first : { type: first.type }));

/** One operand whose axis holds heads × depth, or heads alone. */
export interface HeadAxis {
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
export function coupleHeads(context: ChannelContext, operands: readonly HeadAxis[]): AxisAtoms {
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
export function freezeCached(context: ChannelContext, inputs: readonly number[]): boolean {
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
export function coupleMask(context: ChannelContext, input: number, heads: number, per: AxisAtoms): void {
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
export interface Heads {
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
export function headGradients(b: GraphBuilder, { q, k, v, scale: factor, causal, mask }: Heads, dOut: Value): HeadGradients {
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
export const apart = (b: GraphBuilder, x: Value, heads: number): Value => {
  const [n, positions, width] = x.shape;
  return transpose(b, reshape(b, x, [n, positions, heads, width / heads]), [0, 2, 1, 3]);
};

/** [N, heads, positions, depth] → [N, positions, heads · depth] */
export const together = (b: GraphBuilder, x: Value): Value => {
  const [n, heads, positions, depth] = x.shape;
  return reshape(b, transpose(b, x, [0, 2, 1, 3]), [n, positions, heads * depth]);
};

export function untrainable({ node }: GradientContext, what: string): UserError {
  return new UserError(
    `${node.opType} '${node.name || node.outputs[0]}' ${what}, which fine-tuning cannot follow`,
    'Export the model with attention written as separate operators, or run without fine-tuning.',
  );
}

/** No gradient passes an input that the backward pass does not know of. */
export function requireInputs(context: GradientContext, allowed: readonly number[], what: string): void {
  if (context.inputs.some((input, i) => input && !allowed.includes(i))) throw untrainable(context, what);
}

export const scaleOf = (node: Node, depth: number): number => attr.float(node, 'scale', 0) || 1 / Math.sqrt(depth);

export function attentionCost(inputs: CostContext['inputs']): number {
  const [q, k, v] = [0, 1, 2].map((i) => inputs[i]?.shape?.map(known));
  if (!q || !k || !v) return 0;
  // Positions are the last axis but one; all others of queries and values are multiplied by the keys' positions.
  const size = (shape: readonly number[]): number => shape.reduce((a, d) => a * d, 1);
  const [rows, columns] = [q[q.length - 2], k[k.length - 2]];
  return columns * size(q) + rows * size(v);
}

/** The attribute counts the heads that stay: as many in a hundred as of the positions along the axis. */
export function shrinkHeads(context: ShrinkContext, attribute: string, input: number, axis: number): void {
  const length = context.inputs[input]?.shape?.[axis];
  const kept = context.keptInput(input, axis);
  if (!kept || typeof length !== 'number') return;
  context.setAttribute(attribute, (attr.int(context.node, attribute, 1) * kept.length) / length);
}
