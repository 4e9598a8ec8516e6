/**
 * Parts of a network that can be taken out whole (N2N's layer removal): the rest still fits together, and starts from the weights it had.
 * 1. A residual block: the branch that an addition adds to a value the block began with. Without it the value passes on.
 * 2. A layer whose output, after its normalisation and activation, has the shape of its input. Without it the input passes on.
 * 3. A linear layer that one other linear layer reads. Without it the other reads the input, with the product of both matrices: what the two
 *    compute together but for the activation between them.
 * Anything else would leave shapes that do not fit.
 */
import { attr, type Model, type Node, withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { inferTypes } from './infer';
import { type Layer, quantizableLayers } from './layers';
import { removeDeadCode } from './passes/dead-code';
import { readValues } from './passes/pass';

export interface RemovablePart {
  /** Its first layer's name, and the last one's where there are more. */
  readonly name: string;
  readonly kind: 'block' | 'layer' | 'linear';
  readonly layers: readonly Layer[];
}

interface Found extends RemovablePart {
  /** Whoever reads `to` reads `from` instead. */
  readonly from: string;
  readonly to: string;
  /** Kind 'linear': the layer that takes the product. */
  readonly reader?: Layer;
}

/** What may stand between a layer and who reads it: it changes no shape, and goes with the layer. */
const TAIL: ReadonlySet<string> = new Set([
  'BatchNormalization',
  'Relu',
  'LeakyRelu',
  'Clip',
  'Sigmoid',
  'Tanh',
  'HardSwish',
  'HardSigmoid',
  'Elu',
  'Gelu',
]);

/** In the order of the graph. */
export function findRemovableParts(model: Model): RemovablePart[] {
  return findParts(model).map(({ name, kind, layers }) => ({ name, kind, layers }));
}

/**
 * The model without these parts, one after another.
 * @throws Error where there is no such part (any more)
 */
export function removeParts(model: Model, names: readonly string[]): Model {
  let current = model;
  for (const name of names) {
    const part = findParts(current).find((p) => p.name === name);
    if (!part) throw new Error(`the model has no part '${name}' that can be taken out`);
    current = removeDeadCode(without(current, part)).model;
  }
  return current;
}

function findParts(model: Model): Found[] {
  const graph = new Reading(model);
  const blocks = model.graph.nodes.flatMap((node) => (node.opType === 'Add' ? (graph.block(node) ?? []) : []));
  // A block inside of another goes with the outer one only where that is chosen: offered are the innermost.
  const innermost = blocks.filter(
    (b) => !blocks.some((o) => o !== b && o.layers.length < b.layers.length && o.layers.every((l) => b.layers.includes(l))),
  );
  const inBlocks = new Set(graph.branchLayers());
  const single = graph.layers.flatMap((layer) => (inBlocks.has(layer) ? [] : (graph.single(layer) ?? [])));
  const position = (p: Found): number => graph.layers.indexOf(p.layers[0]);
  return [...innermost, ...single].sort((a, b) => position(a) - position(b));
}

class Reading {
  readonly layers: readonly Layer[];
  private readonly producers = new Map<string, Node>();
  private readonly readers = new Map<string, Node[]>();
  private readonly outputs: ReadonlySet<string>;
  private readonly inferred: ReturnType<typeof inferTypes>;

  constructor(private readonly model: Model) {
    this.inferred = inferTypes(model, { batch: 1 });
    this.layers = quantizableLayers(model, this.inferred);
    this.outputs = new Set(model.graph.outputs.map((o) => o.name));
    for (const node of model.graph.nodes) {
      for (const o of node.outputs) this.producers.set(o, node);
      for (const i of new Set(readValues(node))) this.readers.set(i, [...(this.readers.get(i) ?? []), node]);
    }
  }

  /** The block that ends in an addition; undefined where neither side is made of the other alone. */
  block(add: Node): Found | undefined {
    const [a, b] = add.inputs;
    const [to] = add.outputs;
    if (this.outputs.has(to)) return undefined;
    for (const [from, end] of [
      [a, b],
      [b, a],
    ]) {
      if (this.isConstant(from) || this.shape(from) === undefined || this.shape(from) !== this.shape(to)) continue;
      const branch = this.branch(from, end, add);
      const layers = branch && this.layers.filter((l) => branch.has(l.node));
      if (layers && layers.length > 0) return { name: nameOf(layers), kind: 'block', layers, from, to };
    }
    return undefined;
  }

  /** Nodes between two values, where all that they read comes from the first and nobody else reads what they make. */
  private branch(from: string, end: string, last: Node): Set<Node> | undefined {
    const nodes = new Set<Node>();
    const open = [end];
    while (open.length > 0) {
      const value = open.pop()!;
      if (value === from || this.isConstant(value)) continue;
      const node = this.producers.get(value);
      if (!node || this.outputs.has(value)) return undefined;
      if (nodes.has(node)) continue;
      nodes.add(node);
      open.push(...readValues(node));
    }
    const makers = [...nodes];
    const own = (reader: Node): boolean => reader === last || nodes.has(reader);
    return makers.every((n) => n.outputs.every((o) => (this.readers.get(o) ?? []).every(own))) ? nodes : undefined;
  }

  /** Layers on either side of any addition of two computed values: they are taken out as blocks or not at all. */
  branchLayers(): Layer[] {
    const found = new Set<Layer>();
    for (const node of this.model.graph.nodes) {
      if (node.opType !== 'Add' && node.opType !== 'Sum' && node.opType !== 'Concat') continue;
      if (node.inputs.filter((i) => !this.isConstant(i)).length < 2) continue;
      for (const input of node.inputs) for (const layer of this.sideOf(input, node)) found.add(layer);
    }
    return [...found];
  }

  /** Layers from a value back to where the network forks. */
  private sideOf(value: string, reader: Node): Layer[] {
    const layers: Layer[] = [];
    for (let v = value, by = reader; ; ) {
      const node = this.producers.get(v);
      if (!node || (this.readers.get(v) ?? []).some((r) => r !== by)) return layers;
      const layer = this.layers.find((l) => l.node === node);
      if (layer) layers.push(layer);
      by = node;
      v = node.inputs[0];
    }
  }

  /** A layer alone, of the second or third kind. */
  single(layer: Layer): Found | undefined {
    const from = layer.node.inputs[0];
    let to = layer.node.outputs[0];
    for (;;) {
      const readers = this.readers.get(to) ?? [];
      if (readers.length !== 1 || this.outputs.has(to) || !TAIL.has(readers[0].opType) || readers[0].inputs[0] !== to) break;
      to = readers[0].outputs[0];
    }
    if (this.outputs.has(to)) return undefined;
    const part = { name: layer.name, layers: [layer], from, to };
    if (this.shape(from) !== undefined && this.shape(from) === this.shape(to)) return { ...part, kind: 'layer' };
    const readers = this.readers.get(to) ?? [];
    const reader = this.layers.find((l) => l.node === readers[0]);
    if (readers.length !== 1 || !reader || reader.node.inputs[0] !== to) return undefined;
    return [layer, reader].every((l) => this.isPlain(l)) ? { ...part, kind: 'linear', reader } : undefined;
  }

  /** A linear layer that is x·W + b, with a weight of its own. */
  private isPlain(layer: Layer): boolean {
    const { node } = layer;
    if (layer.kind !== 'linear' || (this.readers.get(layer.weight) ?? []).length !== 1) return false;
    if (node.inputs[2] && !this.model.graph.initializers.has(node.inputs[2])) return false;
    if (this.model.graph.initializers.get(layer.weight)!.dims.length !== 2) return false;
    return (
      node.opType === 'MatMul' ||
      (attr.float(node, 'alpha', 1) === 1 && attr.float(node, 'beta', 1) === 1 && attr.int(node, 'transA', 0) === 0)
    );
  }

  private isConstant(value: string): boolean {
    return value === '' || this.model.graph.initializers.has(value);
  }

  private shape(value: string): string | undefined {
    return this.inferred.types.get(value)?.shape?.join();
  }
}

const nameOf = (layers: readonly Layer[]): string =>
  layers.length > 1 ? `${layers[0].name}…${layers[layers.length - 1].name}` : layers[0].name;

function without(model: Model, { from, to, layers, reader }: Found): Model {
  const nodes = model.graph.nodes.map(
    (node): Node => (node.inputs.includes(to) ? { ...node, inputs: node.inputs.map((i) => (i === to ? from : i)) } : node),
  );
  if (!reader) return withGraph(model, { nodes });
  const initializers = new Map(model.graph.initializers);
  const [first] = layers;
  const matrix = (layer: Layer): { values: Float32Array; at: (o: number, i: number) => number } => {
    const values = initializers.get(layer.weight)!.floats();
    return { values, at: layer.outAxis === 0 ? (o, i) => o * layer.inChannels + i : (o, i) => i * layer.outChannels + o };
  };
  const [before, after] = [matrix(first), matrix(reader)];
  const [inner, inputs, outputs] = [first.outChannels, first.inChannels, reader.outChannels];
  const product = new Float32Array(inputs * outputs);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += after.values[after.at(o, k)] * before.values[before.at(k, i)];
      product[reader.outAxis === 0 ? o * inputs + i : i * outputs + o] = sum;
    }
  }
  initializers.set(reader.weight, Tensor.float32(reader.weight, reader.outAxis === 0 ? [outputs, inputs] : [inputs, outputs], product));
  const shift = first.bias === undefined ? undefined : initializers.get(first.bias)!.floats();
  // A MatMul without a bias of its own has nowhere to put that of the layer before; it is left out, as the activation is.
  if (shift && reader.node.opType === 'Gemm') {
    const own = reader.bias === undefined ? new Float32Array(outputs) : Float32Array.from(initializers.get(reader.bias)!.floats());
    const bias = Float32Array.from({ length: outputs }, (_, o) => (own.length === 1 ? own[0] : own[o]));
    for (let o = 0; o < outputs; o++) for (let k = 0; k < inner; k++) bias[o] += after.values[after.at(o, k)] * shift[k];
    const name = `${reader.weight}.bias_of_both`;
    initializers.set(name, Tensor.float32(name, [outputs], bias));
    const index = model.graph.nodes.indexOf(reader.node);
    nodes[index] = { ...nodes[index], inputs: [nodes[index].inputs[0], nodes[index].inputs[1], name] };
  }
  return withGraph(model, { nodes, initializers });
}
