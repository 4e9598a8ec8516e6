import { attr, makeNode, type Node, type Shape, withGraph } from '../../onnx/model';
import { Tensor } from '../../onnx/tensor';
import { axisBlocks } from '../../ops/axis-blocks';
import { positions, stridesOf } from '../../ops/folding';
import { inferTypes } from '../infer';
import { freshName, type Pass, useCounts } from './pass';

/**
 * Turns a channel shuffle (ShuffleNet: Zhang et al. 2018, section 3.1), Reshape → Transpose → Reshape, into one Gather of the channels
 * in their new order. While it is reshapes, every part of the split must keep as many channels as the others, so channels at one place
 * fall together, and after a few units with a half that passes unchanged nearly all do; of a Gather each channel is free. Measured on
 * one thread with 116 to 464 channels and maps of 28² to 7², a Gather takes between 0.4 and 1.0 of the time for one image, and between
 * 0.4 and 1.6 of it for 32. Legal cases:
 * 1. the first Reshape splits one axis and leaves the others as they are;
 * 2. the Transpose reorders the parts of that axis, and nothing else;
 * 3. the second Reshape makes the shape from before;
 * 4. nobody else reads what lies between.
 */
export const gatherShuffles: Pass = (model) => {
  const { graph } = model;
  const readersOf = (opType: string): Map<string, Node> =>
    new Map(graph.nodes.flatMap((n) => (n.opType === opType && n.domain === '' ? [[n.inputs[0], n] as const] : [])));
  const [reshapes, transposes] = [readersOf('Reshape'), readersOf('Transpose')];
  if (reshapes.size < 2 || transposes.size === 0) return { model, modified: false };
  const uses = useCounts(graph);
  const { types } = inferTypes(model);
  const shapeOf = (value: string): Shape | undefined => types.get(value)?.shape;
  const initializers = new Map(graph.initializers);
  const gathers = new Map<Node, Node>();
  const gone = new Set<Node>();
  for (const split of reshapes.values()) {
    const transpose = transposes.get(split.outputs[0]);
    const merge = transpose && reshapes.get(transpose.outputs[0]);
    if (!merge || uses.get(split.outputs[0]) !== 1 || uses.get(transpose.outputs[0]) !== 1) continue; // case 4
    const shapes = [split.inputs[0], split.outputs[0], transpose.outputs[0], merge.outputs[0]].map(shapeOf);
    const shuffle = shuffleOf(shapes, attr.ints(transpose, 'perm'));
    if (!shuffle) continue;
    const name = freshName({ has: (n) => initializers.has(n) || uses.has(n) }, `${merge.outputs[0]}_order`);
    initializers.set(name, Tensor.ints(name, shuffle.order));
    gathers.set(merge, makeNode('Gather', [split.inputs[0], name], merge.outputs, { axis: shuffle.axis }, { name: merge.name }));
    gone.add(split).add(transpose);
  }
  if (gathers.size === 0) return { model, modified: false };
  const nodes = graph.nodes.flatMap((n) => (gone.has(n) ? [] : [gathers.get(n) ?? n]));
  return { model: withGraph(model, { nodes, initializers }), modified: true };
};

/** The axis that is shuffled, and where along it each channel of the result comes from. */
function shuffleOf(
  [before, split, turned, after]: ReadonlyArray<Shape | undefined>,
  perm: readonly number[] | undefined,
): { axis: number; order: number[] } | undefined {
  if (!before || !split || !turned || !after || !perm) return undefined;
  const changed = (from: Shape, to: Shape) => axisBlocks(from, to)?.filter((block) => block.from.length !== 1 || block.to.length !== 1);
  const [cut, ...otherCuts] = changed(before, split) ?? [];
  if (cut?.from.length !== 1 || otherCuts.length > 0) return undefined; // case 1
  const [axis] = cut.from;
  if (perm.some((from, to) => from !== to && !(cut.to.includes(from) && cut.to.includes(to)))) return undefined; // case 2
  const [joined, ...otherJoins] = changed(turned, after) ?? [];
  const inPlace = after.length === before.length && after.every((d, at) => (d === 1) === (before[at] === 1));
  if (!inPlace || joined?.from.join() !== cut.to.join() || joined.to.join() !== `${axis}` || otherJoins.length > 0) return undefined; // case 3
  const sources = cut.to.map((at) => cut.to.indexOf(perm[at]));
  const lengths = cut.to.map((at) => split[at] as number);
  const strides = stridesOf(lengths);
  return {
    axis,
    order: positions(
      sources.map((s) => lengths[s]),
      sources.map((s) => strides[s]),
    ),
  };
}
