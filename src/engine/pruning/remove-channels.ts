/** Cutting channels out of a model, and the same model at full size with those channels unread (what a cut must equal). */
import { UserError } from '../errors';
import type { ChannelGroup } from '../graph/channel-group';
import { type Inferred, inferTypes } from '../graph/infer';
import { readValues } from '../graph/passes/pass';
import { attribute, type Model, type Node, opsetOf, withGraph } from '../onnx/model';
import { keepPositions, zeroPositions } from '../onnx/slice-tensor';
import { Tensor } from '../onnx/tensor';
import type { ShrinkContext } from '../ops/operator';
import { findOperator } from '../ops/registry';

/** Indices of the channels to remove, by group id. A group that is absent keeps all its channels. */
export type Removals = ReadonlyMap<string, readonly number[]>;

/**
 * The smaller model: every weight is sliced along its axes, attributes and constant shapes, pads and splits follow.
 * Names of nodes, weights and values stay as they are.
 * @param groups of this model, from `findChannelGroups`
 * @throws UserError naming the group: unknown, an index out of range, or no channel left
 */
export function removeChannels(
  model: Model,
  removals: Removals,
  groups: readonly ChannelGroup[],
  inferred: Inferred = inferTypes(model),
): Model {
  const removed = removedPositions(removals, groups);
  const initializers = new Map(model.graph.initializers);
  const keptWeights = new Map<string, readonly number[]>();
  const keptValues = new Map<string, readonly number[]>();
  for (const { name, axis, length, positions } of removed.weights.values()) {
    const kept = rest(length, positions);
    keptWeights.set(`${name}:${axis}`, kept);
    initializers.set(name, keepPositions(initializers.get(name)!, axis, kept));
  }
  for (const { name, axis, length, positions } of removed.values.values()) keptValues.set(`${name}:${axis}`, rest(length, positions));
  const keptOf = (name: string | undefined, axis: number): readonly number[] | undefined => {
    if (!name) return undefined;
    const rank = inferred.types.get(name)?.shape?.length ?? 0;
    const key = `${name}:${axis < 0 ? axis + rank : axis}`;
    return keptWeights.get(key) ?? keptValues.get(key);
  };
  const integers: IntegerChange[] = [];
  const opset = opsetOf(model);
  const nodes = model.graph.nodes.map((node, index): Node => {
    const shrink = findOperator(node.opType, node.domain)?.shrink;
    if (!shrink) return node;
    const attributes = new Map(node.attributes);
    const typeOf = (name: string) => inferred.types.get(name) ?? { type: 'float32' as const };
    const context: ShrinkContext = {
      node,
      opset,
      inputs: node.inputs.map((name) => (name === '' ? undefined : typeOf(name))),
      outputs: node.outputs.map(typeOf),
      keptInput: (input, axis) => keptOf(node.inputs[input], axis),
      keptOutput: (output, axis) => keptOf(node.outputs[output], axis),
      setInts: (input, values) => {
        integers.push({ index, input, values });
      },
      setAttribute: (name, value) => {
        attributes.set(name, attribute(name, value));
      },
    };
    shrink(context);
    return { ...node, attributes };
  });
  return withGraph(model, { nodes: setIntegers(nodes, integers, initializers), initializers });
}

/**
 * The model at full size with every consumer's weights of those channels set to zero: what `removeChannels` must compute as well.
 * A channel is removed from everything it was coupled with at once, so no other path carries it to an output.
 */
export function maskChannels(model: Model, removals: Removals, groups: readonly ChannelGroup[]): Model {
  removedPositions(removals, groups);
  const initializers = new Map(model.graph.initializers);
  for (const group of groups) {
    const indices = removals.get(group.id) ?? [];
    for (const m of group.consumers) {
      const positions = indices.flatMap((i) => m.positions[i]);
      if (positions.length) initializers.set(m.tensor, zeroPositions(initializers.get(m.tensor)!, m.axis, positions));
    }
  }
  return withGraph(model, { initializers });
}

/** The channels of a group that are not listed, in order: a list of what stays becomes one of what goes, and back. */
export function otherChannels(group: { readonly channels: number }, listed: readonly number[]): number[] {
  return rest(group.channels, new Set(listed));
}

interface CutAxis {
  readonly name: string;
  readonly axis: number;
  readonly length: number;
  readonly positions: Set<number>;
}

function removedPositions(
  removals: Removals,
  groups: readonly ChannelGroup[],
): { weights: Map<string, CutAxis>; values: Map<string, CutAxis> } {
  const byId = new Map(groups.map((g) => [g.id, g]));
  const weights = new Map<string, CutAxis>();
  const values = new Map<string, CutAxis>();
  const note = (
    map: Map<string, CutAxis>,
    name: string,
    m: { axis: number; length: number; positions: ReadonlyArray<readonly number[]> },
    channels: ReadonlySet<number>,
  ): void => {
    const key = `${name}:${m.axis}`;
    const entry = map.get(key) ?? { name, axis: m.axis, length: m.length, positions: new Set<number>() };
    map.set(key, entry);
    for (const c of channels) for (const p of m.positions[c]) entry.positions.add(p);
  };
  for (const [id, indices] of removals) {
    const group = byId.get(id);
    if (!group) throw new UserError(`there is no channel group '${id}'`, `Groups of this model: ${[...byId.keys()].join(', ') || 'none'}.`);
    const channels = new Set(indices);
    for (const c of channels)
      if (!Number.isInteger(c) || c < 0 || c >= group.channels)
        throw new UserError(`channel group '${id}' has no channel ${c}`, `Its channels are 0 to ${group.channels - 1}.`);
    if (channels.size >= group.channels)
      throw new UserError(
        `all ${group.channels} channels of group '${id}' would be removed`,
        'Keep at least one: use a smaller ratio for this group.',
      );
    if (channels.size === 0) continue;
    for (const m of group.weights) note(weights, m.tensor, m, channels);
    for (const m of group.values) note(values, m.value, m, channels);
  }
  return { weights, values };
}

function rest(length: number, removed: ReadonlySet<number>): number[] {
  const kept: number[] = [];
  for (let i = 0; i < length; i++) if (!removed.has(i)) kept.push(i);
  return kept;
}

interface IntegerChange {
  readonly index: number;
  readonly input: number;
  readonly values: readonly number[];
}

/** Writes new integer inputs: under the old name where nobody else reads the constant otherwise, else under a new one. */
function setIntegers(nodes: readonly Node[], changes: readonly IntegerChange[], initializers: Map<string, Tensor>): Node[] {
  const result = [...nodes];
  const uses = new Map<string, number>();
  for (const n of nodes) for (const i of readValues(n)) uses.set(i, (uses.get(i) ?? 0) + 1);
  const byName = new Map<string, IntegerChange[]>();
  for (const change of changes) {
    const name = nodes[change.index].inputs[change.input] ?? '';
    byName.set(name, [...(byName.get(name) ?? []), change]);
  }
  for (const [name, list] of byName) {
    const old = initializers.get(name);
    const same = list.every((c) => c.values.join() === list[0].values.join());
    if (old && same && uses.get(name) === list.length) {
      initializers.set(name, integersLike(old, name, list[0].values));
      continue;
    }
    const made = new Map<string, string>();
    for (const { index, input, values } of list) {
      const key = values.join();
      let fresh = made.get(key);
      if (!fresh) {
        const base = `${name || result[index].name || result[index].outputs[0]}_pruned`;
        fresh = base;
        for (let i = 2; initializers.has(fresh) || uses.has(fresh); i++) fresh = `${base}${i}`;
        made.set(key, fresh);
        initializers.set(fresh, integersLike(old, fresh, values));
      }
      const inputs = [...result[index].inputs];
      while (inputs.length <= input) inputs.push('');
      inputs[input] = fresh;
      result[index] = { ...result[index], inputs };
    }
  }
  return result;
}

/** int64 as the standard asks for nearly everywhere; int32 (Slice, Pad axes) where the old tensor was that. */
function integersLike(old: Tensor | undefined, name: string, values: readonly number[]): Tensor {
  const dims = old && old.dims.length === 0 && values.length === 1 ? [] : [values.length];
  if (old?.type === 'int32') return new Tensor(name, 'int32', dims, new Uint8Array(Int32Array.from(values).buffer));
  return Tensor.int64(name, dims, values);
}
