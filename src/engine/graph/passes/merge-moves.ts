import { attr, makeNode, type Node, withGraph } from '../../onnx/model';
import { Tensor } from '../../onnx/tensor';
import { inferTypes } from '../infer';
import { freshName, type Pass, useCounts } from './pass';

/** A part of an axis of the first value, as later nodes cut it; `length` is undefined where it is open. */
interface Factor {
  readonly length: number | undefined;
  parts?: readonly [Factor, Factor];
}

const MOVES = new Set(['Reshape', 'Transpose', 'Squeeze', 'Unsqueeze']);

/**
 * A row of nodes that only move elements (Reshape, Transpose, Squeeze, Unsqueeze) as at most one Reshape, one Transpose and one Reshape,
 * where those are fewer. PyTorch's attention puts samples and heads into one axis and takes them apart again,
 * [T, N, E] → [T, N·H, d] → [N·H, T, d] → [N, H, T, d]; nothing can be followed through the axis they share, and of it nothing is left.
 * Legal cases: every value in between has one reader; every target is constant; every length of it is met by whole factors of axes.
 */
export const mergeMoves: Pass = (model) => {
  const { graph } = model;
  const moves = new Map(graph.nodes.flatMap((n) => (MOVES.has(n.opType) && n.domain === '' ? [[n.inputs[0], n] as const] : [])));
  if (moves.size < 3) return { model, modified: false };
  const uses = useCounts(graph);
  const made = new Map(graph.nodes.filter((n) => MOVES.has(n.opType) && n.domain === '').map((n) => [n.outputs[0], n]));
  const { types } = inferTypes(model);
  const initializers = new Map(graph.initializers);
  const replaced = new Map<Node, readonly Node[]>();
  const gone = new Set<Node>();
  const taken = { has: (n: string): boolean => initializers.has(n) || uses.has(n) };
  for (const first of made.values()) {
    if (made.has(first.inputs[0]) && uses.get(first.inputs[0]) === 1) continue;
    const chain = [first];
    for (let last = first; uses.get(last.outputs[0]) === 1; chain.push(last)) {
      const next = moves.get(last.outputs[0]);
      if (!next) break;
      last = next;
    }
    const from = types.get(first.inputs[0])?.shape;
    if (chain.length < 3 || !from) continue;
    const roots = from.map((d): Factor => ({ length: typeof d === 'number' ? d : undefined }));
    let axes: Factor[][] | undefined = roots.map((r) => [r]);
    for (const node of chain) axes = axes && moved(node, axes, (i) => types.get(node.inputs[i] ?? '')?.value?.numbers());
    const steps = axes && stepsOf(roots, axes);
    if (!steps || steps.length >= chain.length) continue;
    const last = chain[chain.length - 1];
    let at = first.inputs[0];
    const nodes = steps.map((step, i): Node => {
      const out = i === steps.length - 1 ? last.outputs[0] : freshName(taken, `${last.outputs[0]}_moved${i + 1}`);
      const name = i === steps.length - 1 ? last.name : out;
      const from = at;
      at = out;
      if (step.perm) return makeNode('Transpose', [from], [out], { perm: step.perm }, { name });
      const target = freshName(taken, `${out}_shape`);
      initializers.set(target, Tensor.ints(target, step.target!));
      return makeNode('Reshape', [from, target], [out], {}, { name });
    });
    // Nothing is left of a row that leads back to where it began: the name of its end is still wanted.
    replaced.set(last, nodes.length > 0 ? nodes : [makeNode('Identity', [at], last.outputs, {}, { name: last.name })]);
    for (const node of chain) gone.add(node);
  }
  if (gone.size === 0) return { model, modified: false };
  const nodes = graph.nodes.flatMap((n) => replaced.get(n) ?? (gone.has(n) ? [] : [n]));
  return { model: withGraph(model, { nodes, initializers }), modified: true };
};

const leaves = (f: Factor): Factor[] => (f.parts ? f.parts.flatMap(leaves) : [f]);
const isOne = (f: Factor): boolean => f.length === 1;

/** Which factors each axis of the result holds; undefined where that cannot be said. */
function moved(node: Node, given: Factor[][], constants: (input: number) => number[] | undefined): Factor[][] | undefined {
  const axes = given.map((list) => list.flatMap(leaves));
  const rank = axes.length;
  switch (node.opType) {
    case 'Transpose':
      return (attr.ints(node, 'perm') ?? axes.map((_, i) => rank - 1 - i)).map((from) => axes[from]);
    case 'Squeeze': {
      const stated = attr.ints(node, 'axes') ?? constants(1);
      const dropped = stated?.map((a) => (a < 0 ? a + rank : a));
      if (!dropped?.every((a) => axes[a]?.every(isOne))) return undefined;
      return axes.filter((_, i) => !dropped.includes(i));
    }
    case 'Unsqueeze': {
      const stated = attr.ints(node, 'axes') ?? constants(1);
      if (!stated) return undefined;
      const added = stated.map((a) => (a < 0 ? a + rank + stated.length : a));
      let next = 0;
      return Array.from({ length: rank + added.length }, (_, i) => (added.includes(i) ? [] : axes[next++]));
    }
    default: {
      const target = constants(1);
      return target && (attr.int(node, 'allowzero', 0) === 0 || !target.includes(0)) ? reshaped(axes, target) : undefined;
    }
  }
}

/** The factors in their order, parted as a target shape asks for: from both ends towards the length that it leaves open. */
function reshaped(axes: readonly Factor[][], target: readonly number[]): Factor[][] | undefined {
  const rest = axes.flat();
  const out: Factor[][] = target.map(() => []);
  const open = target.indexOf(-1);
  const end = open < 0 ? target.length : open;
  for (let i = 0; i < end; i++) {
    const taken = take(rest, target[i] === 0 ? axes[i] : target[i], false);
    if (!taken) return undefined;
    out[i] = taken;
  }
  for (let i = target.length - 1; i > end; i--) {
    const taken = take(rest, target[i] === 0 ? axes[i] : target[i], true);
    if (!taken) return undefined;
    out[i] = taken;
  }
  if (open >= 0) out[open] = rest;
  else if (!rest.every(isOne)) return undefined;
  else out[out.length - 1]?.push(...rest);
  return out;
}

/** Takes factors of a product, or certain ones, from the front (or the back) of the rest. */
function take(rest: Factor[], wanted: number | readonly Factor[], back: boolean): Factor[] | undefined {
  const next = (): Factor | undefined => (back ? rest[rest.length - 1] : rest[0]);
  const shift = (): void => void (back ? rest.pop() : rest.shift());
  const found: Factor[] = [];
  const add = (f: Factor): void => void (back ? found.unshift(f) : found.push(f));
  if (typeof wanted !== 'number') {
    for (const f of back ? [...wanted].reverse() : wanted) {
      if (next() !== f) return undefined;
      shift();
      add(f);
    }
    return found;
  }
  let left = wanted;
  // An axis of length 1 takes a factor of 1 with it, where there is one.
  if (left === 1 && next()?.length === 1) {
    add(next()!);
    shift();
    return found;
  }
  while (left > 1) {
    const f = next();
    if (f?.length === undefined || f.length < 1) return undefined;
    shift();
    if (left % f.length === 0) {
      add(f);
      left /= f.length;
    } else if (f.length % left === 0) {
      const [mine, other]: Factor[] = [{ length: left }, { length: f.length / left }];
      f.parts = back ? [other, mine] : [mine, other];
      add(mine);
      if (back) rest.push(other);
      else rest.unshift(other);
      left = 1;
    } else return undefined;
  }
  return left === 1 ? found : undefined;
}

interface Step {
  readonly perm?: number[];
  readonly target?: number[];
}

/** Reshape, Transpose and Reshape as far as they are needed; undefined where a shape would leave two lengths open. */
function stepsOf(roots: readonly Factor[], axes: readonly Factor[][]): Step[] | undefined {
  const result = axes.map((list) => list.flatMap(leaves));
  const order = result.flat();
  const parts = roots.flatMap(leaves);
  const kept = parts.filter((f) => order.includes(f));
  if (kept.length !== order.length || parts.some((f) => !order.includes(f) && !isOne(f))) return undefined;
  const perm = order.map((f) => kept.indexOf(f));
  const turned = perm.some((from, to) => from !== to);
  const before = turned ? kept : order;
  const cut = turned && (kept.length !== roots.length || kept.some((f, i) => f !== roots[i]));
  const whole = turned ? order.map((f) => [f]) : roots.map((f) => leaves(f));
  const joined =
    result.length !== whole.length || result.some((list, i) => list.length !== whole[i].length || list.some((f, j) => f !== whole[i][j]));
  const steps: Step[] = [];
  if (cut)
    steps.push({
      target: targetOf(
        before.map((f) => [f]),
        roots.map((f) => leaves(f)),
      ),
    });
  if (turned) steps.push({ perm });
  if (joined) steps.push({ target: targetOf(result, whole) });
  return steps.some((s) => (s.target?.filter((d) => d === -1).length ?? 0) > 1) ? undefined : steps;
}

/** Lengths for Reshape: what is open stays as the input has it (0) where it lies at the same place, else it follows from the others (−1). */
const targetOf = (axes: readonly Factor[][], input: readonly Factor[][]): number[] =>
  axes.map((list, i) => {
    if (list.every((f) => f.length !== undefined)) return list.reduce((a, f) => a * f.length!, 1);
    return list.length === 1 && input[i]?.length === 1 && input[i][0] === list[0] ? 0 : -1;
  });
