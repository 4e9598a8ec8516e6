/**
 * Test support: an operator's channels and shrinking. Some channels of the inputs are removed for real, with everything that the
 * operator says goes with them; the node then run by onnxruntime must give what it gave before, less the removed positions.
 */
import type { AttributeValue, Model, Node } from '../../onnx/model';
import { isFloat } from '../../onnx/tensor';
import type { AxisAtoms, ChannelContext, Operator, ValueType, WeightRole } from '../operator';
import { findOperator } from '../registry';
import { type NodeCase, placeInputs, tensorFeeds, withSession } from './single-node';

export interface ChannelCase extends NodeCase {
  /** Axes that carry channels, by input name (not for initializers: the operator asks for those). */
  readonly carry: Readonly<Record<string, readonly number[]>>;
  /** Positions removed from the first axis in `carry`. */
  readonly remove?: readonly number[];
}

export interface ChannelTrace {
  /** Reasons given for freezing, each once. */
  readonly reasons: readonly string[];
  /** Classes of coupled channels along each axis of each output; null where it carries none. */
  readonly outputs: ReadonlyArray<ReadonlyArray<readonly number[] | null>>;
  /** Roles, as 'input:axis:role'. */
  readonly roles: readonly string[];
}

/** Union-find over atoms, as the graph's own analysis keeps them. */
class Atoms {
  private readonly parent: number[] = [];
  make(count: number): Int32Array {
    return Int32Array.from({ length: count }, () => this.parent.push(this.parent.length) - 1);
  }
  find(a: number): number {
    let at = a;
    while (this.parent[at] !== at) at = this.parent[at];
    return at;
  }
  join(a: number, c: number): void {
    const [x, y] = [this.find(a), this.find(c)].sort((p, q) => p - q);
    this.parent[y] = x;
  }
}

interface Traced extends ChannelTrace {
  readonly operator: Operator;
  readonly node: Node;
  readonly opset: number;
  readonly types: ReadonlyArray<ValueType | undefined>;
  readonly outputTypes: readonly ValueType[];
  readonly find: (atom: number) => number;
  readonly atomsOf: (input: number, axis: number) => AxisAtoms;
  readonly outputAtoms: ReadonlyArray<ReadonlyMap<number, Int32Array>>;
  readonly frozen: ReadonlySet<number>;
}

function trace(test: ChannelCase): Traced {
  const { b, node, inputs, constants } = placeInputs(test);
  const operator = findOperator(test.opType, test.domain)!;
  const types = inputs.map((v): ValueType | undefined => v && { type: v.type, shape: v.shape, value: constants.get(v.name) });
  const outputTypes = operator.infer({ node, opset: b.opset, inputs: types });
  const atoms = new Atoms();
  const known = new Map<string, AxisAtoms>();
  const frozenAtoms: number[] = [];
  const reasons = new Set<string>();
  const roles: string[] = [];
  const outputAtoms = outputTypes.map(() => new Map<number, Int32Array>());
  const atomsOf = (input: number, axis: number): AxisAtoms => {
    const type = types[input];
    const shape = type?.shape ?? [];
    const at = axis < 0 ? axis + shape.length : axis;
    const key = `${input}:${at}`;
    if (!known.has(key)) {
      const name = node.inputs[input];
      const carries = type?.value ? isFloat(type.type) : (test.carry[name]?.includes(at) ?? false);
      known.set(key, carries ? atoms.make(shape[at] as number) : null);
    }
    return known.get(key)!;
  };
  const context: ChannelContext = {
    node,
    opset: b.opset,
    inputs: types,
    outputs: outputTypes,
    atoms: atomsOf,
    setOutput(output, axis, list) {
      if (list && list.length !== outputTypes[output].shape?.[axis])
        throw new Error(`${test.opType}: ${list.length} atoms for axis ${axis} of length ${outputTypes[output].shape?.[axis]}`);
      if (list) outputAtoms[output].set(axis, list);
    },
    couple(a, c) {
      if (a.length !== c.length) throw new Error('lengths differ');
      for (let i = 0; i < a.length; i++) atoms.join(a[i], c[i]);
    },
    fresh: (count) => atoms.make(count),
    freeze(list, reason) {
      reasons.add(reason);
      frozenAtoms.push(...(list ?? []));
    },
    role: (input: number, axis: number, role: WeightRole) => roles.push(`${input}:${axis}:${role}`),
  };
  operator.channels!(context);
  const find = (a: number): number => atoms.find(a);
  return {
    operator,
    node,
    opset: b.opset,
    types,
    outputTypes,
    find,
    atomsOf: (input, axis) => known.get(`${input}:${axis}`) ?? null,
    outputAtoms,
    frozen: new Set(frozenAtoms.map(find)),
    reasons: [...reasons],
    roles,
    outputs: outputTypes.map((t, o) =>
      (t.shape ?? []).map((_, axis) => {
        const list = outputAtoms[o].get(axis);
        return list ? [...list].map(find) : null;
      }),
    ),
  };
}

/**
 * Traces the node's channels and, with `remove`, compares the shrunk node with the original one.
 * @throws Error where a removed channel is frozen, or the outputs differ
 */
export async function checkChannels(test: ChannelCase): Promise<ChannelTrace> {
  const traced = trace(test);
  if (!test.remove) return traced;
  const { operator, node, opset, types, outputTypes, find, atomsOf, outputAtoms, frozen } = traced;
  const [[name, [axis]]] = Object.entries(test.carry);
  const first = atomsOf(node.inputs.indexOf(name), axis)!;
  const removed = new Set(test.remove.map((p) => find(first[p])));
  for (const atom of removed) if (frozen.has(atom)) throw new Error(`frozen: ${traced.reasons.join('; ')}`);
  const kept = (list: AxisAtoms | undefined): number[] | undefined => {
    if (!list) return undefined;
    const positions = [...list].flatMap((a, p) => (removed.has(find(a)) ? [] : [p]));
    return positions.length === list.length ? undefined : positions;
  };
  const ints = new Map<number, readonly number[]>();
  const attributes: Record<string, AttributeValue | undefined> = { ...test.attributes };
  operator.shrink?.({
    node,
    opset,
    inputs: types,
    outputs: outputTypes,
    keptInput: (input, at) => kept(atomsOf(input, at)),
    keptOutput: (output, at) => kept(outputAtoms[output]?.get(at)),
    setInts: (input, values) => ints.set(input, values),
    setAttribute: (key, value) => {
      attributes[key] = value;
    },
  });

  const before = await run(test);
  const inputs = test.inputs.map((input, i) => {
    if (!input) return undefined;
    const given = ints.get(i);
    if (given) return { ...input, shape: [given.length], data: given };
    const keep = input.shape.map((_, at) => kept(atomsOf(i, at)));
    const values = before.inputs.get(input.name)!;
    return { ...input, ...sliced(values, input.shape, keep) };
  });
  const after = await run({ ...test, inputs, attributes });
  before.outputs.forEach(({ data, dims }, o) => {
    const expected = sliced(
      data,
      dims,
      dims.map((_, at) => kept(outputAtoms[o].get(at))),
    );
    const actual = after.outputs[o];
    if (JSON.stringify(actual.dims) !== JSON.stringify(expected.shape))
      throw new Error(`${test.opType}: output ${o} has the shape [${actual.dims}] where [${expected.shape}] belongs`);
    expected.data.forEach((v, i) => {
      if (Math.abs(v - actual.data[i]) > 1e-5 * Math.max(1, Math.abs(v)))
        throw new Error(`${test.opType}: output ${o}, element ${i} is ${actual.data[i]} where ${v} belongs`);
    });
  });
  return traced;
}

interface Run {
  readonly inputs: ReadonlyMap<string, readonly number[]>;
  readonly outputs: ReadonlyArray<{ data: readonly number[]; dims: readonly number[] }>;
}

async function run(test: NodeCase): Promise<Run> {
  const { b, operator, node, inputs, feeds, constants } = placeInputs(test);
  const types = operator.infer({
    node,
    opset: b.opset,
    inputs: inputs.map((v) => v && { type: v.type, shape: v.shape, value: constants.get(v.name) }),
  });
  for (const v of b.adopt(node, types)) b.output(v);
  const model: Model = b.build();
  const outputs = await withSession(model, async (session) => {
    const result = await session.run(tensorFeeds(feeds));
    return node.outputs.map((name) => ({ data: Array.from(result[name].data as ArrayLike<number>, Number), dims: result[name].dims }));
  });
  const values = new Map<string, readonly number[]>();
  for (const [key, tensor] of constants) values.set(key, tensor.numbers());
  for (const [key, { data }] of feeds) values.set(key, [...data]);
  return { inputs: values, outputs };
}

/** The elements at the kept positions of each axis. */
function sliced(
  data: readonly number[],
  shape: readonly number[],
  keep: ReadonlyArray<readonly number[] | undefined>,
): { data: number[]; shape: number[] } {
  const positions = shape.map((d, axis) => keep[axis] ?? Array.from({ length: d }, (_, i) => i));
  let offsets = [0];
  shape.forEach((d, axis) => {
    offsets = offsets.flatMap((base) => positions[axis].map((p) => base * d + p));
  });
  return { data: offsets.map((p) => data[p]), shape: positions.map((p) => p.length) };
}

/** A small constant of whole numbers, as axes, shapes and pads are given. */
export const wholeNumbers = (name: string, values: readonly number[]) =>
  ({ name, shape: [values.length], data: values, type: 'int64', constant: true }) as const;
