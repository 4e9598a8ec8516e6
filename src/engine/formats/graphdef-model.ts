/** From a TensorFlow graph to an ONNX graph with channels first. */
import { UserError } from '../errors';
import { cancelTransposes } from '../graph/passes/cancel-transposes';
import { constantsToInitializers } from '../graph/passes/constants-to-initializers';
import { removeDeadCode } from '../graph/passes/dead-code';
import { fuseBias } from '../graph/passes/fuse-bias';
import type { Pass } from '../graph/passes/pass';
import { removeIdentity } from '../graph/passes/remove-identity';
import type { Model } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { GraphBuilder, type Value } from '../ops/builder';
import { DAMAGED_GRAPH, type GraphNode, inOrder, referenceOf, type TensorFlowGraph } from './graphdef';
import {
  type Carried,
  type Constant,
  dataTypeOf,
  isConstant,
  type NodeContext,
  type NodeReader,
  refuseNode,
  tensorOf,
  toFirst,
  toLast,
} from './graphdef-context';
import { elementwiseNodes } from './graphdef-elementwise';
import { layerNodes } from './graphdef-layers';
import { shapeNodes } from './graphdef-shapes';

const NODES: Readonly<Record<string, NodeReader>> = { ...layerNodes, ...elementwiseNodes, ...shapeNodes };

/** Operators that are read, for documentation. */
export const readableNodes = (): readonly string[] => ['Const', 'NoOp', 'Placeholder', 'PlaceholderWithDefault', ...Object.keys(NODES)];

const INPUTS = new Set(['Placeholder', 'PlaceholderWithDefault']);
/** Deeper constants than this many elements would not fit into memory. */
const MAX_ELEMENTS = 2 ** 29;

/**
 * The graph as ONNX, images as N, C, H, W at its inputs and outputs and everywhere between.
 * @throws UserError naming the node that cannot be read
 */
export function modelFromGraph(graph: TensorFlowGraph, name: string): Model {
  const model = new GraphReader(graph).read(name);
  const passes: readonly Pass[] = [
    constantsToInitializers,
    removeIdentity,
    cancelTransposes,
    removeIdentity,
    removeDeadCode,
    fuseBias,
    removeDeadCode,
  ];
  return passes.reduce((m, pass) => pass(m).model, model);
}

class GraphReader {
  private readonly b = new GraphBuilder();
  private readonly nodes = new Map<string, GraphNode>();
  private readonly results = new Map<string, readonly Carried[]>();
  private readonly stored = new Map<string, Value>();
  private readonly taken = new Set<string>();
  /** What TensorFlow puts in front of every name of a converted function, and nothing is gained by keeping. */
  private readonly prefix: string;

  constructor(private readonly graph: TensorFlowGraph) {
    for (const node of graph.nodes) {
      if (this.nodes.has(node.name)) throw new UserError(`two nodes are named '${node.name}'`, DAMAGED_GRAPH);
      this.nodes.set(node.name, node);
    }
    const prefix = 'StatefulPartitionedCall/';
    const inner = [...this.nodes.keys()].filter((n) => n.startsWith(prefix)).map((n) => n.slice(prefix.length));
    this.prefix = inner.some((n) => n === '' || this.nodes.has(n)) ? '' : prefix;
    this.b.reserve([...this.nodes.keys()].map((n) => this.label(n)));
  }

  private label(name: string): string {
    return this.prefix !== '' && name.startsWith(this.prefix) ? name.slice(this.prefix.length) : name;
  }

  private unique(name: string): string {
    let free = name;
    for (let i = 2; this.taken.has(free); i++) free = `${name}#${i}`;
    this.taken.add(free);
    return free;
  }

  read(name: string): Model {
    const read = new Set(this.graph.nodes.flatMap((n) => n.inputs.map((i) => referenceOf(i).node)));
    const ends = this.graph.nodes.filter((n) => !read.has(n.name) && !['NoOp', 'Const', ...INPUTS].includes(n.op)).map((n) => n.name);
    const outputs = this.graph.outputs?.every((o) => this.nodes.has(referenceOf(o).node)) ? this.graph.outputs : ends;
    if (outputs.length === 0) throw new UserError('the graph has no output', DAMAGED_GRAPH);
    const order = inOrder(this.nodes, outputs);
    const stated = (this.graph.inputs ?? []).map((i) => referenceOf(i).node);
    const place = (n: GraphNode): number => (stated.includes(n.name) ? stated.indexOf(n.name) : stated.length);
    const inputs = order.filter((n) => INPUTS.has(n.op)).sort((x, y) => place(x) - place(y));
    if (inputs.length === 0) throw new UserError('the graph takes no input', DAMAGED_GRAPH);
    for (const node of inputs) this.results.set(node.name, [this.input(node)]);
    for (const node of order) if (!this.results.has(node.name)) this.results.set(node.name, this.node(node));
    const declared = new Set<string>();
    for (const output of outputs) {
      const { node } = referenceOf(output);
      if (declared.has(output)) continue;
      declared.add(output);
      this.output(this.nodes.get(node)!, this.result(output, 'the model'));
    }
    return this.b.build(name);
  }

  private result(input: string, reader: string): Carried {
    const { node, output } = referenceOf(input);
    const found = this.results.get(node)?.[output];
    if (!found) throw new UserError(`output ${output} of '${node}', which ${reader} reads, does not exist`, DAMAGED_GRAPH);
    return found;
  }

  /** An input of the graph, channels first, and the Transpose that gives it as TensorFlow has it. */
  private input(node: GraphNode): Value {
    const lengths = node.attributes.get('shape')?.shape;
    const type = dataTypeOf(node.attributes.get('dtype')?.type);
    if (!type) refuseNode({ node }, `is of type ${node.attributes.get('dtype')?.type}, which is not read`);
    if (!lengths || lengths.length === 0)
      refuseNode({ node }, 'does not state the shape of the input', 'Convert the model with a fixed input shape.');
    const [, ...sample] = lengths;
    if (sample.some((d) => !Number.isSafeInteger(d) || d < 1) || !(elementCount(sample) <= MAX_ELEMENTS))
      refuseNode(
        { node },
        `leaves lengths of the input open: [${lengths.map((d) => (d < 0 ? '?' : d)).join(', ')}]`,
        'Convert the model with a fixed input shape.',
      );
    const name = this.unique(this.label(node.name));
    const rank = lengths.length;
    if (rank < 3) return this.b.input(name, ['batch', ...sample], type);
    const first = this.b.input(
      name,
      [
        'batch',
        ...toFirst(rank)
          .slice(1)
          .map((axis) => lengths[axis]),
      ],
      type,
    );
    return this.b.op('Transpose', [first], { perm: toLast(rank) }, { name: this.unique(`${name}/last`) });
  }

  private output(node: GraphNode, carried: Carried): void {
    if (isConstant(carried)) refuseNode({ node }, 'is an output that does not depend on the input');
    const rank = carried.shape.length;
    const value =
      rank < 3
        ? carried
        : this.b.op('Transpose', [carried], { perm: toFirst(rank) }, { name: this.unique(`${this.label(node.name)}/first`) });
    const name = this.unique(`${this.label(node.name)}:0`.replace(/:0$/, this.taken.has(this.label(node.name)) ? '/output' : ''));
    this.b.output(value, name, ['batch', ...value.shape.slice(1)]);
  }

  private node(node: GraphNode): readonly Carried[] {
    if (node.op === 'Const') return [this.constant(node)];
    const read = Object.hasOwn(NODES, node.op) ? NODES[node.op] : undefined;
    if (!read) refuseNode({ node }, 'is an operator that is not read');
    if (node.inputs.length === 0) refuseNode({ node }, 'lacks its inputs', DAMAGED_GRAPH);
    const result = read(this.context(node));
    return (Array.isArray(result) ? result : [result]) as readonly Carried[];
  }

  private constant(node: GraphNode): Constant {
    const stated = node.attributes.get('value')?.tensor;
    const type = dataTypeOf(node.attributes.get('dtype')?.type ?? stated?.type);
    const weight = this.graph.weights.get(node.name);
    const data = weight?.data ?? stated?.values;
    const dims = weight?.dims ?? stated?.dims ?? [];
    if (!type) refuseNode({ node }, `is of type ${node.attributes.get('dtype')?.type}, which is not read`);
    if (!data) refuseNode({ node }, 'is a weight that the file does not hold', 'Copy the model again, with all its weight files.');
    if (data.length !== elementCount(dims))
      refuseNode({ node }, `holds ${data.length} values for the shape [${dims.join(', ')}]`, DAMAGED_GRAPH);
    return { name: node.name, type, dims, data };
  }

  private store(constant: Constant, fallback: string): Value {
    const before = constant.name === '' ? undefined : this.stored.get(constant.name);
    if (before) return before;
    const value = this.b.constant(tensorOf(constant, this.unique(constant.name === '' ? fallback : this.label(constant.name))));
    if (constant.name !== '') this.stored.set(constant.name, value);
    return value;
  }

  private context(node: GraphNode): NodeContext {
    const { b } = this;
    const label = this.label(node.name);
    const inputs = node.inputs.map((i) => this.result(i, `'${node.name}' (${node.op})`));
    const named = (part: string): string => this.unique(part === '' ? label : `${label}/${part}`);
    const at = (input: number): Carried => inputs[input] ?? refuseNode({ node }, `lacks its input number ${input}`, DAMAGED_GRAPH);
    const guarded = <T>(make: () => T): T => {
      try {
        return make();
      } catch (cause) {
        if (cause instanceof UserError) refuseNode({ node }, cause.message, cause.hint);
        throw cause;
      }
    };
    return {
      b,
      node,
      inputs,
      op: (opType, values, attributes = {}, part = '', options = {}) =>
        guarded(() => b.op(opType, values, attributes, { ...options, name: named(part) })),
      ops: (opType, values, attributes, outputs) => guarded(() => b.ops(opType, values, attributes, { outputs, name: named('') })),
      value: (input) => {
        const found = at(input);
        return isConstant(found) ? this.store(found, `${label}/input${input}`) : found;
      },
      constant: (input) => {
        const found = at(input);
        return isConstant(found) ? found : refuseNode({ node }, `computes its input number ${input}, which has to be known here`);
      },
      store: (constant, part = 'constant') => this.store(constant, `${label}/${part}`),
    };
  }
}
