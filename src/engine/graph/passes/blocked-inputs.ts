import { makeNode, type Node, withGraph } from '../../onnx/model';
import { BLOCK } from './keep-blocked';
import { freshName, type Pass } from './pass';

/**
 * Lets onnxruntime keep its blocked channel layout (see `keepBlocked`) in a part of a network that begins at a residual stream. The first
 * shortcut is then an input in plain NCHW, so the Add that reads it is plain too, and so is the shortcut of every block behind it. A pooling
 * with a window of one pixel, which gives its input as it is and knows both layouts, takes the input to that Add.
 * Legal for float inputs of [N, C, H, W] whose channels are whole blocks. For parts that are about to be run.
 */
export const blockedInputs: Pass = (model) => {
  const { graph } = model;
  const pooled = new Map<string, string>();
  const taken = new Set([...graph.inputs.map((i) => i.name), ...graph.initializers.keys(), ...graph.nodes.flatMap((n) => n.outputs)]);
  const poolings: Node[] = [];
  for (const { name, type, shape } of graph.inputs) {
    if (type !== 'float32' || shape?.length !== 4 || typeof shape[1] !== 'number' || shape[1] % BLOCK !== 0) continue;
    if (!graph.nodes.some((n) => isAdd(n) && n.inputs.includes(name))) continue;
    const output = freshName(taken, `${name}_blocked`);
    taken.add(output);
    pooled.set(name, output);
    poolings.push(makeNode('MaxPool', [name], [output], { kernel_shape: [1, 1] }, { name: output }));
  }
  if (poolings.length === 0) return { model, modified: false };
  const nodes = graph.nodes.map((n) => (isAdd(n) ? { ...n, inputs: n.inputs.map((i) => pooled.get(i) ?? i) } : n));
  return { model: withGraph(model, { nodes: [...poolings, ...nodes] }), modified: true };
};

const isAdd = (node: Node): boolean => node.opType === 'Add' && node.domain === '';
