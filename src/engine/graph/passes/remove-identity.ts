import { type Model, type Node, withGraph } from '../../onnx/model';
import { capturedValues, type Pass, producersOf, useCounts } from './pass';

/**
 * Removes nodes that pass their input on unchanged:
 * 1. Identity;
 * 2. Dropout at inference, that is without a `training_mode` input and with its mask unread.
 *
 * 3. A node whose output is a graph output keeps the output's name: its input's producer takes that name, which needs the input
 *    to be made by a node, read by nobody else's subgraph, and to be no graph output itself. Else the node stays.
 */
export const removeIdentity: Pass = (model) => {
  const { graph } = model;
  const uses = useCounts(graph);
  const captured = capturedValues(graph);
  const outputs = new Set(graph.outputs.map((o) => o.name));
  const producers = producersOf(graph);
  /** Old name → new name; chains are followed. */
  const renamed = new Map<string, string>();
  const resolve = (name: string): string => {
    let n = name;
    while (renamed.has(n)) n = renamed.get(n)!;
    return n;
  };
  const dropped = new Set<Node>();
  for (const node of graph.nodes) {
    if (!passesOn(node, uses)) continue;
    const from = resolve(node.inputs[0]);
    const to = node.outputs[0];
    if (captured.has(to)) continue;
    if (outputs.has(to)) {
      // Case 3.
      const original = node.inputs[0];
      if (from !== original || !producers.has(original) || outputs.has(original) || captured.has(original)) continue;
      renamed.set(original, to);
    } else {
      renamed.set(to, from);
    }
    dropped.add(node);
  }
  if (dropped.size === 0) return { model, modified: false };
  return { model: rename(model, dropped, resolve), modified: true };
};

function passesOn(node: Node, uses: ReadonlyMap<string, number>): boolean {
  if (node.domain !== '' || !node.inputs[0] || !node.outputs[0]) return false;
  if (node.opType === 'Identity') return true;
  const trains = node.inputs[2] !== undefined && node.inputs[2] !== '';
  const maskRead = (node.outputs[1] ?? '') !== '' && (uses.get(node.outputs[1]) ?? 0) > 0;
  return node.opType === 'Dropout' && !trains && !maskRead;
}

function rename(model: Model, dropped: ReadonlySet<Node>, resolve: (name: string) => string): Model {
  const nodes = model.graph.nodes
    .filter((n) => !dropped.has(n))
    .map((n): Node => {
      const inputs = n.inputs.map(resolve);
      const outputs = n.outputs.map(resolve);
      const same = inputs.every((v, i) => v === n.inputs[i]) && outputs.every((v, i) => v === n.outputs[i]);
      return same ? n : { ...n, inputs, outputs };
    });
  return withGraph(model, { nodes });
}
