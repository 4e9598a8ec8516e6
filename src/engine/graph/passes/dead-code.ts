import { withGraph } from '../../onnx/model';
import { type Pass, readValues } from './pass';

/** Removes nodes no output depends on, and initializers that nothing reads. */
export const removeDeadCode: Pass = (model) => {
  const { graph } = model;
  const needed = new Set(graph.outputs.map((o) => o.name));
  const kept = graph.nodes.toReversed().filter((node) => {
    if (!node.outputs.some((o) => o !== '' && needed.has(o))) return false;
    for (const name of readValues(node)) needed.add(name);
    return true;
  });
  const initializers = new Map([...graph.initializers].filter(([name]) => needed.has(name)));
  if (kept.length === graph.nodes.length && initializers.size === graph.initializers.size) return { model, modified: false };
  return { model: withGraph(model, { nodes: kept.reverse(), initializers }), modified: true };
};
