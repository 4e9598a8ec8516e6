/** Test support: what an operator says of channels, gathered from one node without a graph around it. */
import { type AttributeValue, makeNode } from '../../onnx/model';
import { elementCount, Tensor } from '../../onnx/tensor';
import type { AxisAtoms, ChannelContext, ValueType, WeightRole } from '../operator';
import { findOperator } from '../registry';

export interface ChannelInput {
  readonly name: string;
  readonly shape: readonly number[];
  /** True makes it a weight. */
  readonly weight?: boolean;
  /** Axes of an activation that carry channels; [1] where absent. */
  readonly channelAxes?: readonly number[];
}

export interface ChannelTrace {
  /** True where the two positions lose their channel together. Places are written 'X.1[3]': value, axis, position. */
  together(a: string, b: string): boolean;
  /** Every place that falls with this one, sorted. */
  with(place: string): string[];
  /** The role of a weight's axis, as 'W.0'. */
  readonly roles: ReadonlyMap<string, WeightRole>;
  /** Why the channel at a place cannot be pruned. */
  frozen(place: string): string | undefined;
}

/** Runs the operator's `channels`; outputs are named Y0, Y1, … */
export function traceChannels(
  opType: string,
  given: ReadonlyArray<ChannelInput | undefined>,
  attributes: Record<string, AttributeValue | undefined> = {},
): ChannelTrace {
  const operator = findOperator(opType);
  if (!operator?.channels) throw new Error(`${opType} does not say how channels pass`);
  const inputs = given.map((v): ValueType | undefined => {
    if (!v) return undefined;
    const value = v.weight ? Tensor.float32(v.name, v.shape, new Float32Array(elementCount(v.shape))) : undefined;
    return { type: 'float32', shape: v.shape, value };
  });
  const names = given.map((v) => v?.name ?? '');
  const node = makeNode(opType, names, ['Y0'], attributes, { name: 'tested' });
  const outputs = operator.infer({ node, opset: 17, inputs });

  const parent: number[] = [];
  const find = (i: number): number => (parent[i] === i ? i : find(parent[i]));
  const fresh = (count: number): Int32Array => Int32Array.from({ length: count }, () => parent.push(parent.length) - 1);
  const axes = new Map<string, AxisAtoms>();
  const roles = new Map<string, WeightRole>();
  const reasons: Array<{ atom: number; reason: string }> = [];
  const axisOf = (input: number, axis: number): { key: string; length: number; carries: boolean } => {
    const v = given[input]!;
    const at = axis < 0 ? axis + v.shape.length : axis;
    return { key: `${v.name}.${at}`, length: v.shape[at], carries: v.weight || (v.channelAxes ?? [1]).includes(at) };
  };
  const context: ChannelContext = {
    node,
    opset: 17,
    inputs,
    outputs,
    atoms(input, axis) {
      const { key, length, carries } = axisOf(input, axis);
      if (!axes.has(key)) axes.set(key, carries ? fresh(length) : null);
      return axes.get(key)!;
    },
    setOutput(output, axis, atoms) {
      if (atoms && atoms.length !== outputs[output].shape![axis])
        throw new Error(`output axis ${axis} of length ${outputs[output].shape![axis]} is given ${atoms.length} atoms`);
      axes.set(`Y${output}.${axis}`, atoms);
    },
    couple(a, b) {
      if (a.length !== b.length) throw new Error(`${a.length} atoms are coupled with ${b.length}`);
      a.forEach((atom, i) => {
        parent[find(atom)] = find(b[i]);
      });
    },
    fresh,
    freeze: (atoms, reason) => atoms?.forEach((atom) => void reasons.push({ atom, reason })),
    role(input, axis, role) {
      roles.set(axisOf(input, axis).key, role);
    },
  };
  operator.channels(context);

  const atomAt = (place: string): number => {
    const [, key, position] = /^(.*)\[(\d+)\]$/.exec(place) ?? [];
    const atoms = axes.get(key);
    if (!atoms) throw new Error(`${key} carries no channels`);
    return find(atoms[Number(position)]);
  };
  return {
    roles,
    together: (a, b) => atomAt(a) === atomAt(b),
    with: (place) =>
      [...axes]
        .flatMap(([key, atoms]) => [...(atoms ?? [])].flatMap((atom, i) => (find(atom) === atomAt(place) ? [`${key}[${i}]`] : [])))
        .sort(),
    frozen: (place) => reasons.find(({ atom }) => find(atom) === atomAt(place))?.reason,
  };
}
