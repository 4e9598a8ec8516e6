/** Several models that read the same inputs, as one model that computes all of them. */
import { hasSubgraph, type Model, type Node, type ValueInfo, withGraph } from '../onnx/model';
import type { Tensor } from '../onnx/tensor';

export interface SideBySide {
  readonly model: Model;
  /** By model: the names that its outputs have here. */
  readonly outputs: ReadonlyArray<readonly string[]>;
}

/** Whether a model can be part of one: names that subgraphs use are not changed. */
export const canStandBeside = (model: Model): boolean => !model.graph.nodes.some(hasSubgraph);

/**
 * One graph for all models, one after the other. Inputs of one name are one input; a tensor that several models hold (the same object) is
 * held once; all other values get names of their own. Models have to fulfil `canStandBeside`, and to be of the same operator sets.
 */
export function sideBySide(models: readonly Model[]): SideBySide {
  const mark = unusedMark(models);
  const inputs = new Map<string, ValueInfo>();
  const nodes: Node[] = [];
  const initializers = new Map<string, Tensor>();
  const outputs = models.map(({ graph }, i) => {
    const own = (name: string): string => `${name}${mark}${i}`;
    const names = new Map<string, string>();
    for (const node of graph.nodes) for (const o of node.outputs) if (o !== '') names.set(o, own(o));
    for (const [name, tensor] of graph.initializers) {
      const there = initializers.get(name);
      if (there === tensor) continue;
      if (there) names.set(name, own(name));
      initializers.set(names.get(name) ?? name, there ? tensor.renamed(own(name)) : tensor);
    }
    const renamed = (name: string): string => names.get(name) ?? name;
    for (const input of graph.inputs) inputs.set(input.name, input);
    for (const n of graph.nodes)
      nodes.push({ ...n, name: n.name && own(n.name), inputs: n.inputs.map(renamed), outputs: n.outputs.map(renamed) });
    return graph.outputs.map((o) => ({ ...o, name: renamed(o.name) }));
  });
  const graph = { nodes, initializers, inputs: [...inputs.values()], outputs: outputs.flat(), valueInfo: undefined };
  return { model: withGraph(models[0], graph), outputs: outputs.map((list) => list.map((o) => o.name)) };
}

/** What no name in the models ends in with a number behind it. */
function unusedMark(models: readonly Model[]): string {
  const names = new Set(
    models.flatMap(({ graph }) => [
      ...graph.initializers.keys(),
      ...graph.inputs.map((i) => i.name),
      ...graph.nodes.flatMap((n) => [n.name, ...n.outputs]),
    ]),
  );
  let mark = '#';
  while ([...names].some((name) => name.includes(mark))) mark += '#';
  return mark;
}
