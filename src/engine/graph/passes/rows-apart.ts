import { attr, makeNode, type Node, type Shape, withGraph } from '../../onnx/model';
import { Tensor } from '../../onnx/tensor';
import { inferTypes } from '../infer';
import { freshName, type Pass, useCounts } from './pass';

/**
 * A Gemm over rows that several axes were joined to, [.., E] → Reshape [rows, E] → Gemm → Reshape [.., F], as a MatMul (and an Add) over the axes as they are.
 * PyTorch's attention ends so; among its rows are the samples, and a batch that is hidden there cannot be freed. Legal cases:
 * 1. axes in front of the rows' length are the same before and after; what lies behind them makes the Gemm's columns;
 * 2. the Gemm has a constant matrix, neither factor nor transposed rows, and at most a bias by column;
 * 3. nobody else reads what lies between.
 */
export const rowsApart: Pass = (model) => {
  const { graph } = model;
  const gemms = graph.nodes.filter((n) => n.opType === 'Gemm' && n.domain === '');
  const reshapes = graph.nodes.filter((n) => n.opType === 'Reshape' && n.domain === '');
  if (gemms.length === 0 || reshapes.length < 2) return { model, modified: false };
  const before = new Map(reshapes.map((n) => [n.outputs[0], n]));
  const behind = new Map(reshapes.map((n) => [n.inputs[0], n]));
  const uses = useCounts(graph);
  const { types } = inferTypes(model);
  const initializers = new Map(graph.initializers);
  const fresh = (base: string): string => freshName({ has: (n) => initializers.has(n) || uses.has(n) }, base);
  const replaced = new Map<Node, readonly Node[]>();
  for (const gemm of gemms) {
    const [join, part] = [before.get(gemm.inputs[0]), behind.get(gemm.outputs[0])];
    if (!join || !part || uses.get(gemm.inputs[0]) !== 1 || uses.get(gemm.outputs[0]) !== 1) continue; // case 3
    const [from, to] = [types.get(join.inputs[0])?.shape, types.get(part.outputs[0])?.shape];
    const weight = initializers.get(gemm.inputs[1]);
    const bias = gemm.inputs[2] ? initializers.get(gemm.inputs[2]) : undefined;
    const transposed = attr.int(gemm, 'transB', 0) === 1;
    if (weight?.type !== 'float32' || weight.dims.length !== 2 || (gemm.inputs[2] && bias?.dims.length !== 1)) continue; // case 2
    if (attr.int(gemm, 'transA', 0) !== 0 || attr.float(gemm, 'alpha', 1) !== 1 || attr.float(gemm, 'beta', 1) !== 1) continue; // case 2
    const [rows, columns] = transposed ? [weight.dims[1], weight.dims[0]] : weight.dims;
    if (!from || !to || !sameFront(from, to, rows, columns)) continue; // case 1
    const front = to.length - 1;
    let at = join.inputs[0];
    const nodes: Node[] = [];
    if (from.length !== to.length) {
      const shape = fresh(`${join.outputs[0]}_apart`);
      initializers.set(shape, Tensor.ints(shape, [...to.slice(0, front).map(() => 0), rows]));
      nodes.push(makeNode('Reshape', [at, shape], join.outputs, {}, { name: join.name }));
      [at] = join.outputs;
    }
    let matrix = weight.name;
    if (transposed) {
      const data = weight.floats();
      const turned = Float32Array.from(data, (_, i) => data[(i % columns) * rows + Math.floor(i / columns)]);
      matrix = uses.get(weight.name) === 1 ? weight.name : fresh(`${weight.name}_turned`);
      initializers.set(matrix, Tensor.float32(matrix, [rows, columns], turned));
    }
    const product = bias ? gemm.outputs : part.outputs;
    nodes.push(makeNode('MatMul', [at, matrix], product, {}, { name: gemm.name }));
    if (bias) nodes.push(makeNode('Add', [gemm.outputs[0], bias.name], part.outputs, {}, { name: part.name }));
    replaced.set(join, []).set(part, []).set(gemm, nodes);
  }
  if (replaced.size === 0) return { model, modified: false };
  return { model: withGraph(model, { nodes: graph.nodes.flatMap((n) => replaced.get(n) ?? [n]), initializers }), modified: true };
};

function sameFront(from: Shape, to: Shape, rows: number, columns: number): boolean {
  const front = to.length - 1;
  if (front < 2 || from.length <= front || to[front] !== columns) return false;
  const inner = from.slice(front).reduce<number>((a, d) => a * Number(d), 1);
  return inner === rows && to.slice(0, front).every((d, i) => d === from[i]);
}
