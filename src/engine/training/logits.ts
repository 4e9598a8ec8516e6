/** Where in a model the class scores are, before the softmax that many files end in. */
import { UserError } from '../errors';
import { attr, capturedNames, hasSubgraph, type Model, type Node, opsetOf, withGraph } from '../onnx/model';

/** A softmax over the last axis only rescales scores; losses want what goes into it. */
function isFinalSoftmax(model: Model, node: Node, rank: number | undefined): boolean {
  if (node.opType !== 'Softmax' && node.opType !== 'LogSoftmax') return false;
  const axis = attr.int(node, 'axis', opsetOf(model) >= 13 ? -1 : 1);
  return axis === -1 || (rank === undefined ? axis === 1 : axis === rank - 1);
}

/**
 * Name of the value that holds the class scores: the first output, or what its final softmax or sigmoid is computed from.
 * @param values the output itself is what is aimed at, as in regression
 * @throws UserError where the model has no output
 */
export function logitsName(model: Model, values = false): string {
  const output = model.graph.outputs[0];
  if (!output) throw new UserError('the model has no output, so there is nothing to train towards');
  let name = output.name;
  if (values) return name;
  for (;;) {
    const node = model.graph.nodes.find((n) => n.outputs.includes(name));
    if (!node) return name;
    if (node.opType !== 'Identity' && node.opType !== 'Sigmoid' && !isFinalSoftmax(model, node, output.shape?.length)) return name;
    name = node.inputs[0];
  }
}

/** The model with its class scores as the only output, as a teacher is asked for them. */
export function withLogitsOnly(model: Model, values = false): Model {
  const name = logitsName(model, values);
  const [first] = model.graph.outputs;
  return withGraph(model, { outputs: [{ name, type: 'float32', shape: first.name === name ? first.shape : undefined }] });
}

/** The nodes that values are computed from, in graph order. */
export function ancestors(model: Model, names: readonly string[]): Node[] {
  const wanted = new Set(names);
  const out: Node[] = [];
  for (let i = model.graph.nodes.length - 1; i >= 0; i--) {
    const node = model.graph.nodes[i];
    if (!node.outputs.some((o) => wanted.has(o))) continue;
    for (const input of hasSubgraph(node) ? [...node.inputs, ...capturedNames(node)] : node.inputs) wanted.add(input);
    out.push(node);
  }
  return out.reverse();
}
