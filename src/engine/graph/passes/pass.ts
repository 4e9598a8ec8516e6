/** What passes share: their type, and who uses which value. */
import { capturedNames, type Graph, hasSubgraph, type Model, type Node } from '../../onnx/model';

export interface PassResult {
  readonly model: Model;
  readonly modified: boolean;
}

/** One transformation of a model that does not change what it computes. */
export type Pass = (model: Model) => PassResult;

/** All values a node reads, those that its subgraphs capture included. */
export const readValues = (node: Node): string[] =>
  [...node.inputs, ...(hasSubgraph(node) ? capturedNames(node) : [])].filter((name) => name !== '');

/** How often each value is read, a graph output counting as one reader. */
export function useCounts(graph: Graph): Map<string, number> {
  const counts = new Map<string, number>();
  const count = (name: string): void => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  };
  for (const node of graph.nodes) for (const name of readValues(node)) count(name);
  for (const output of graph.outputs) count(output.name);
  return counts;
}

/** The node that makes each value. */
export function producersOf(graph: Graph): Map<string, Node> {
  const producers = new Map<string, Node>();
  for (const node of graph.nodes) for (const o of node.outputs) if (o !== '') producers.set(o, node);
  return producers;
}

/** Values that subgraphs capture by name: these names must not change. */
export function capturedValues(graph: Graph): Set<string> {
  return new Set(graph.nodes.filter(hasSubgraph).flatMap(capturedNames));
}

/** Names that onnxruntime's fusions give to what they add without looking whether they are taken; it refuses a model that has them (GatherToSplitFusion). */
const RUNTIME_NAMES = new Set(['squeeze_axes']);

/** A name that is neither an initializer nor a value of the graph. */
export function freshName(taken: { has(name: string): boolean }, base: string): string {
  let name = base;
  for (let i = 2; taken.has(name) || RUNTIME_NAMES.has(name); i++) name = `${base}_${i}`;
  return name;
}
