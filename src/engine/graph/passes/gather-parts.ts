import { attr, makeNode, type Node, withGraph } from '../../onnx/model';
import { Tensor } from '../../onnx/tensor';
import { inferTypes } from '../infer';
import { freshName, type Pass, producersOf, useCounts } from './pass';

/**
 * Parts of an axis that are taken by number become Slices: [.., P·E] → Reshape [.., P, E] → Transpose [P, .., E] → Gather i is
 * the i-th E of the axis. So PyTorch's attention takes queries, keys and values from one weight; as a Gather they could not be told from single channels.
 * Legal cases:
 * 1. the Reshape cuts one axis in two and leaves the others as they are;
 * 2. the Transpose, where there is one, moves the outer of the two and nothing else;
 * 3. the Gather takes one constant place of it.
 */
export const gatherParts: Pass = (model) => {
  const { graph } = model;
  const gathers = graph.nodes.filter((n) => n.opType === 'Gather' && n.domain === '');
  if (gathers.length === 0) return { model, modified: false };
  const producers = producersOf(graph);
  const uses = useCounts(graph);
  const { types } = inferTypes(model);
  const initializers = new Map(graph.initializers);
  const slices = new Map<Node, Node>();
  const constant = (base: string, value: number): string => {
    const name = freshName({ has: (n) => initializers.has(n) || uses.has(n) }, base);
    initializers.set(name, Tensor.ints(name, [value]));
    return name;
  };
  for (const gather of gathers) {
    const moved = producers.get(gather.inputs[0]);
    const perm = moved?.opType === 'Transpose' && moved.domain === '' ? attr.ints(moved, 'perm') : undefined;
    const split = perm ? producers.get(moved!.inputs[0]) : moved;
    if (split?.opType !== 'Reshape' || split.domain !== '') continue;
    const [from, to] = [split.inputs[0], split.outputs[0]].map((name) => types.get(name)?.shape);
    const at = types.get(gather.inputs[1])?.value;
    if (!from || !to || to.length !== from.length + 1 || !at || at.dims.length > 0) continue; // case 3
    const rank = to.length;
    const given = attr.int(gather, 'axis', 0);
    const axis = given < 0 ? given + rank : given;
    const cut = perm ? perm[axis] : axis;
    const rest = (perm ?? to.map((_, i) => i)).filter((i) => i !== cut);
    if (cut === undefined || cut + 1 >= rank || rest.some((from, i) => i > 0 && from < rest[i - 1])) continue; // case 2
    const [parts, length] = [to[cut], to[cut + 1]];
    const others = to.filter((_, i) => i !== cut && i !== cut + 1);
    if (typeof parts !== 'number' || typeof length !== 'number' || from[cut] !== parts * length) continue; // case 1
    if (others.some((d, i) => d !== from[i < cut ? i : i + 1])) continue;
    const [number] = at.numbers();
    const place = number < 0 ? number + parts : number;
    if (place < 0 || place >= parts) continue;
    const [name] = gather.outputs;
    const ends = [constant(`${name}_start`, place * length), constant(`${name}_end`, (place + 1) * length), constant(`${name}_axis`, cut)];
    slices.set(gather, makeNode('Slice', [split.inputs[0], ...ends], [name], {}, { name: gather.name }));
  }
  if (slices.size === 0) return { model, modified: false };
  return { model: withGraph(model, { nodes: graph.nodes.map((n) => slices.get(n) ?? n), initializers }), modified: true };
};
