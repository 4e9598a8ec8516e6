import type { Model, Node } from '../onnx/model';

/**
 * What a person calls each node: its own name, else the name of its weight without '.weight', else its first output.
 * Unique within the model: a name used before gets '#2', '#3', …
 */
export function layerNames(model: Model): ReadonlyMap<Node, string> {
  const names = new Map<Node, string>();
  const taken = new Set<string>();
  /** Next number by base, so that thousands of equal names do not count from 2 each time. */
  const next = new Map<string, number>();
  for (const node of model.graph.nodes) {
    const weight = node.inputs.slice(1).find((i) => model.graph.initializers.has(i));
    const base = node.name || weight?.replace(/\.weight$/, '') || node.outputs.find((o) => o !== '') || node.opType;
    let name = base;
    for (let i = next.get(base) ?? 2; taken.has(name); i++) {
      name = `${base}#${i}`;
      next.set(base, i + 1);
    }
    taken.add(name);
    names.set(node, name);
  }
  return names;
}
