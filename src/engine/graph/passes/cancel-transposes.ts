import { attr, attribute, hasSubgraph, type Model, makeNode, type Node, opsetOf, type Shape, withGraph } from '../../onnx/model';
import { elementCount, Tensor } from '../../onnx/tensor';
import { inferTypes } from '../infer';
import { compose, invert, isIdentityOrder, movesOnlyOnes, transposedTensor } from './axis-order';
import { capturedValues, freshName, type Pass, readValues, useCounts } from './pass';

/**
 * Moves transposes down the graph until they meet their inverse, as networks need that keep channels last around convolutions that
 * want them first (TensorFlow's, and what tf2onnx writes of them). A Transpose is put off rather than made; each node that reads the
 * value works on the untransposed one where it can:
 * 1. another Transpose: both become one, or none;
 * 2. elementwise operators, with constants of any broadcastable shape (turned once, here) and values in the same order of axes;
 * 3. operators along named axes: Concat, Split, Softmax, Pad, Slice, Resize, reductions, Squeeze, Unsqueeze, Shape;
 * 4. a Reshape to rows (N, all else), where the weights of every layer that reads them can have their rows put in order, and any
 *    Reshape where only axes of length 1 change places;
 * 5. MatMul along an image's channels by a constant matrix: it becomes a convolution of one place.
 * Elsewhere the Transpose is made after all, once for each value. The pass leaves the model alone where no fewer transposes result.
 */
export const cancelTransposes: Pass = (model) => {
  if (!model.graph.nodes.some(isTranspose)) return { model, modified: false };
  const rewritten = new Rewriter(model).run();
  const count = (m: Model): number => m.graph.nodes.filter(isTranspose).length;
  return count(rewritten) < count(model) ? { model: rewritten, modified: true } : { model, modified: false };
};

const isTranspose = (n: Node): boolean => n.opType === 'Transpose' && n.domain === '';

/** A value that is not made: axis i of it is axis `perm[i]` of `source`. */
interface Turned {
  readonly source: string;
  readonly perm: readonly number[];
}

const UNARY = new Set([
  ...['Relu', 'LeakyRelu', 'Elu', 'Selu', 'Celu', 'Sigmoid', 'HardSigmoid', 'HardSwish', 'Tanh', 'Softplus', 'Softsign', 'Gelu', 'Mish'],
  ...['Clip', 'Abs', 'Neg', 'Exp', 'Log', 'Sqrt', 'Reciprocal', 'Erf', 'Floor', 'Ceil', 'Round', 'Sign', 'Identity', 'Cast', 'Not'],
  ...['ThresholdedRelu', 'Sin', 'Cos', 'Dropout'],
]);
const ELEMENTWISE = new Set([
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Min', 'Max', 'Sum', 'Mean', 'Where', 'PRelu', 'Mod'],
  ...['Equal', 'Greater', 'Less', 'GreaterOrEqual', 'LessOrEqual', 'And', 'Or', 'Xor'],
]);

class Rewriter {
  private readonly nodes: Node[] = [];
  private readonly initializers: Map<string, Tensor>;
  private readonly turned = new Map<string, Turned>();
  private readonly renamed = new Map<string, string>();
  /** Flat values whose position i holds what the original has at `order[i]`. */
  private readonly orders = new Map<string, Int32Array>();
  /** Transposes that were made, by source and permutation. */
  private readonly made = new Map<string, string>();
  private readonly shapes = new Map<string, Shape>();
  private readonly producers = new Map<string, Node>();
  private readonly consumers = new Map<string, Node[]>();
  private readonly taken: Set<string>;
  /** Values that must exist under their own name. */
  private readonly fixed: ReadonlySet<string>;
  private readonly opset: number;

  constructor(private readonly model: Model) {
    const { graph } = model;
    this.opset = opsetOf(model);
    this.initializers = new Map(graph.initializers);
    for (const [name, { shape }] of inferTypes(model).types) if (shape) this.shapes.set(name, shape);
    this.taken = new Set([...useCounts(graph).keys(), ...graph.initializers.keys(), ...graph.nodes.flatMap((n) => [n.name, ...n.outputs])]);
    this.fixed = new Set([...graph.outputs.map((o) => o.name), ...capturedValues(graph)]);
    for (const node of graph.nodes)
      for (const name of new Set(readValues(node))) {
        const list = this.consumers.get(name);
        if (list) list.push(node);
        else this.consumers.set(name, [node]);
      }
  }

  run(): Model {
    for (const node of this.model.graph.nodes) {
      if (isTranspose(node) && this.putOff(node)) continue;
      const reads = hasSubgraph(node) ? [] : node.inputs;
      if (reads.some((i) => this.turned.has(this.resolve(i))) && this.push(node)) continue;
      if (reads.some((i) => this.orders.has(this.resolve(i))) && this.reorder(node)) continue;
      this.emit({ ...node, inputs: node.inputs.map((i) => this.value(i)) });
    }
    return withGraph(this.model, { nodes: this.nodes, initializers: this.initializers });
  }

  private fresh(base: string): string {
    const name = freshName(this.taken, base);
    this.taken.add(name);
    return name;
  }

  private resolve(name: string): string {
    let n = name;
    for (let next = this.renamed.get(n); next !== undefined; next = this.renamed.get(n)) n = next;
    return n;
  }

  private emit(node: Node): void {
    this.nodes.push(node);
    for (const o of node.outputs) if (o !== '') this.producers.set(o, node);
  }

  private shape(name: string): Shape | undefined {
    return this.shapes.get(this.resolve(name));
  }

  private constant(name: string): Tensor | undefined {
    return this.initializers.get(this.resolve(name));
  }

  private numbers(name: string | undefined): number[] | undefined {
    return name === undefined || name === '' ? undefined : this.constant(name)?.numbers();
  }

  private ints(base: string, values: readonly number[]): string {
    const name = this.fresh(base);
    this.initializers.set(name, Tensor.ints(name, values));
    return name;
  }

  /** The value as a node that knows nothing of all this reads it. */
  private value(name: string): string {
    const own = this.resolve(name);
    const turned = this.turned.get(own);
    return turned ? this.turn(turned.source, turned.perm) : own;
  }

  /** A transposed value, made once. Where only axes of length 1 move, a Reshape does it. */
  private turn(source: string, perm: readonly number[]): string {
    if (isIdentityOrder(perm)) return source;
    const key = keyOf(source, perm);
    const before = this.made.get(key);
    if (before !== undefined) return before;
    const shape = this.shapes.get(source);
    const name = this.fresh(`${source}_transposed`);
    const target = shape && movesOnlyOnes(shape, perm) ? lengthsFor(perm.map((p) => shape[p])) : undefined;
    if (target && shape) {
      // Two reshapes in a row are one.
      const maker = this.producers.get(source);
      const from = maker?.opType === 'Reshape' ? maker.inputs[0] : source;
      this.emit(makeNode('Reshape', [from, this.ints(`${name}_shape`, target)], [name]));
    } else this.emit(makeNode('Transpose', [source], [name], { perm: [...perm] }));
    this.made.set(key, name);
    if (shape)
      this.shapes.set(
        name,
        perm.map((p) => shape[p]),
      );
    return name;
  }

  /** Declares that a value is another one with its axes in another order; what must exist under its own name is made. */
  private defer(name: string, source: string, perm: readonly number[]): void {
    if (isIdentityOrder(perm)) {
      if (this.fixed.has(name)) this.emit(makeNode('Identity', [source], [name], {}, { name: this.fresh(`${name}_identity`) }));
      this.renamed.set(name, source);
      return;
    }
    if (this.fixed.has(name)) {
      this.emit(makeNode('Transpose', [source], [name], { perm: [...perm] }, { name: this.fresh(`${name}_transposed`) }));
      this.made.set(keyOf(source, perm), name);
    }
    this.turned.set(name, { source, perm });
  }

  /** Case 1, and the Transpose that starts it. */
  private putOff(node: Node): boolean {
    const [input] = node.inputs;
    const [output] = node.outputs;
    const own = this.resolve(input);
    if (this.orders.has(own)) return false;
    const rank = this.shape(input)?.length ?? this.turned.get(own)?.perm.length;
    const perm = attr.ints(node, 'perm') ?? (rank === undefined ? undefined : Array.from({ length: rank }, (_, i) => rank - 1 - i));
    if (!perm || this.initializers.has(own)) return false;
    const before = this.turned.get(own);
    if (before) this.defer(output, before.source, compose(before.perm, perm));
    else this.defer(output, own, perm);
    return true;
  }

  /** Emits the node on untransposed inputs; its outputs are transposed by the given permutations. */
  private through(
    node: Node,
    inputs: readonly string[],
    perms: ReadonlyArray<readonly number[]>,
    changes: { attributes?: Record<string, number | readonly number[]>; opType?: string } = {},
  ): true {
    const outputs = node.outputs.map((o, i) => {
      if (o === '' || perms[i] === undefined) return o;
      const unchanged = isIdentityOrder(perms[i]);
      const physical = this.fixed.has(o) && !unchanged ? this.fresh(`${o}_inner`) : unchanged ? o : this.fresh(`${o}_first`);
      const shape = this.shapes.get(o);
      if (shape && !unchanged)
        this.shapes.set(
          physical,
          invert(perms[i]).map((l) => shape[l]),
        );
      return physical;
    });
    const attributes = new Map(node.attributes);
    for (const [name, value] of Object.entries(changes.attributes ?? {})) attributes.set(name, attribute(name, value));
    this.emit({ ...node, opType: changes.opType ?? node.opType, inputs, outputs, attributes });
    node.outputs.forEach((o, i) => {
      if (o !== '' && outputs[i] !== o) this.defer(o, outputs[i], perms[i]);
    });
    return true;
  }

  /** Cases 2 to 5. Returns false where the node has to read transposed values. */
  private push(node: Node): boolean {
    if (node.domain !== '') return false;
    const { opType } = node;
    if (ELEMENTWISE.has(opType)) return this.together(node, undefined);
    if (opType === 'Concat') return this.together(node, attr.int(node, 'axis', 0));
    const first = this.turned.get(this.resolve(node.inputs[0] ?? ''));
    if (!first || node.inputs.slice(1).some((i) => this.turned.has(this.resolve(i)))) return false;
    const { source, perm } = first;
    const rank = perm.length;
    const rest = node.inputs.slice(1).map((i) => (i === '' ? '' : this.value(i)));
    const real = (axis: number): number => perm[axis < 0 ? axis + rank : axis];
    const inverse = invert(perm);
    if (UNARY.has(opType)) {
      if (opType === 'Dropout' && (node.outputs[1] ?? '') !== '') return false;
      return this.through(node, [source, ...rest], [perm]);
    }
    switch (opType) {
      case 'QuantizeLinear':
      case 'DequantizeLinear': {
        if (node.attributes.has('block_size')) return false;
        const axis = attr.int(node, 'axis', 1);
        return this.through(node, [source, ...rest], [perm], { attributes: this.opset >= 13 ? { axis: real(axis) } : {} });
      }
      case 'Split':
        return this.through(
          node,
          [source, ...rest],
          node.outputs.map(() => perm),
          { attributes: { axis: real(attr.int(node, 'axis', 0)) } },
        );
      case 'Softmax':
      case 'LogSoftmax':
        if (this.opset < 13) return false;
        return this.through(node, [source], [perm], { attributes: { axis: real(attr.int(node, 'axis', -1)) } });
      case 'Pad': {
        const given = attr.ints(node, 'pads') ?? this.numbers(node.inputs[1]);
        if (given?.length !== 2 * rank || (node.inputs[3] ?? '') !== '') return false;
        const pads = [...inverse, ...inverse.map((l) => l + rank)].map((l) => given[l]);
        if (node.attributes.has('pads')) return this.through(node, [source], [perm], { attributes: { pads } });
        return this.through(node, [source, this.ints(`${node.outputs[0]}_pads`, pads), ...rest.slice(1)], [perm]);
      }
      case 'Slice': {
        const starts = attr.ints(node, 'starts') ?? this.numbers(node.inputs[1]);
        const axes = attr.ints(node, 'axes') ?? this.numbers(node.inputs[3]) ?? starts?.map((_, i) => i);
        if (!starts || !axes || (node.inputs[3] ?? '') !== this.resolve(node.inputs[3] ?? '')) return false;
        const mapped = axes.map(real);
        if (node.attributes.has('starts')) return this.through(node, [source], [perm], { attributes: { axes: mapped } });
        const [begin, end, , ...steps] = [...rest, '', ''];
        const inputs = [source, begin, end, this.ints(`${node.outputs[0]}_axes`, mapped), ...steps.filter((s) => s !== '')];
        return this.through(node, inputs, [perm]);
      }
      case 'Resize': {
        if (node.attributes.has('axes') || this.opset < 11) return false;
        const inputs = [source, '', ...rest.slice(1)];
        for (const at of [2, 3]) {
          const tensor = inputs[at] ? this.constant(inputs[at]) : undefined;
          if (inputs[at] && tensor?.size === 0) continue;
          if (!inputs[at]) continue;
          if (tensor?.size !== rank) return false;
          inputs[at] = this.store(`${node.outputs[0]}_scales`, picked(tensor, inverse));
        }
        return this.through(node, inputs, [perm]);
      }
      case 'Shape': {
        if (node.attributes.size > 0) return false;
        const physical = this.fresh(`${node.outputs[0]}_inner`);
        this.emit({ ...node, inputs: [source], outputs: [physical] });
        const order = this.ints(`${node.outputs[0]}_order`, perm);
        this.emit(makeNode('Gather', [physical, order], [node.outputs[0]], { axis: 0 }, { name: this.fresh(`${node.outputs[0]}_gather`) }));
        return true;
      }
      case 'Unsqueeze':
        return this.unsqueeze(node, source, perm);
      case 'MatMul':
        return this.convolution(node, source, perm);
      case 'Reshape':
      case 'Flatten':
        return this.reshape(node, source, perm);
      default:
        return opType === 'Squeeze' || (opType.startsWith('Reduce') && !node.attributes.has('noop_with_empty_axes'))
          ? this.reduce(node, source, perm)
          : false;
    }
  }

  /** Operators that read several values in one order of axes: elementwise ones, and Concat along `axis`. */
  private together(node: Node, axis: number | undefined): boolean {
    const rank = this.shapes.get(node.outputs[0])?.length;
    const deferred = node.inputs.map((i) => this.turned.get(this.resolve(i)));
    const perm = deferred.find((d) => d?.perm.length === rank)?.perm;
    if (!perm || rank === undefined || node.outputs.length !== 1) return false;
    const inverse = invert(perm);
    let needed = 0;
    const plans = node.inputs.map((name, i): (() => string) | undefined => {
      if (name === '') return () => '';
      const own = this.resolve(name);
      const turned = deferred[i];
      const shape = turned ? undefined : this.shapes.get(own);
      const tensor = this.initializers.get(own);
      if (!turned && this.orders.has(own)) return undefined;
      if (turned) {
        if (turned.perm.length !== rank) return undefined;
        const back = inverse.map((l) => turned.perm[l]);
        if (!this.free(turned.source, back)) needed++;
        return () => this.turn(turned.source, back);
      }
      if (!shape || shape.length > rank || (axis !== undefined && shape.length !== rank)) return undefined;
      if (axis === undefined && shape.every((d) => d === 1)) return () => own;
      if (tensor) return () => this.turnedConstant(tensor, rank, inverse);
      if (shape.length !== rank) return undefined;
      if (!this.free(own, inverse)) needed++;
      return () => this.turn(own, inverse);
    });
    const otherwise = deferred.filter((d) => d && !this.made.has(keyOf(d.source, d.perm))).length;
    if (plans.some((p) => !p) || needed > otherwise) return false;
    const inputs = plans.map((p) => p!());
    const change = axis === undefined ? {} : { attributes: { axis: perm[axis < 0 ? axis + rank : axis] } };
    return this.through(node, inputs, [perm], change);
  }

  /** True where turning the value costs nothing. */
  private free(source: string, perm: readonly number[]): boolean {
    const shape = this.shapes.get(source);
    return (
      isIdentityOrder(perm) ||
      this.made.has(keyOf(source, perm)) ||
      (shape !== undefined && movesOnlyOnes(shape, perm) && lengthsFor(shape) !== undefined)
    );
  }

  /** A constant brought to `rank` axes as broadcasting does, then turned. */
  private turnedConstant(tensor: Tensor, rank: number, perm: readonly number[]): string {
    const dims = [...Array.from({ length: rank - tensor.dims.length }, () => 1), ...tensor.dims];
    const key = `${tensor.name}|${rank}|${perm.join()}`;
    const before = this.made.get(key);
    if (before !== undefined) return before;
    const name = this.store(`${tensor.name}_first`, transposedTensor(tensor.reshaped(dims), perm));
    this.made.set(key, name);
    return name;
  }

  private store(base: string, tensor: Tensor): string {
    const name = this.fresh(base);
    this.initializers.set(name, tensor.renamed(name));
    this.shapes.set(name, tensor.dims);
    return name;
  }

  private reduce(node: Node, source: string, perm: readonly number[]): boolean {
    const rank = perm.length;
    const byInput = (node.inputs[1] ?? '') !== '';
    const axes = attr.ints(node, 'axes') ?? this.numbers(node.inputs[1]);
    if (byInput && !axes) return false;
    const squeezes = node.opType === 'Squeeze';
    if (squeezes && !axes) return false;
    const away = new Set((axes ?? Array.from({ length: rank }, (_, i) => i)).map((a) => (a < 0 ? a + rank : a)));
    const keeps = !squeezes && attr.int(node, 'keepdims', 1) !== 0;
    const left = perm.filter((_, l) => !away.has(l));
    const sorted = left.toSorted((a, b) => a - b);
    const result = keeps ? perm : left.map((p) => sorted.indexOf(p));
    const mapped = [...away].map((l) => perm[l]).sort((a, b) => a - b);
    if (!axes) return this.through(node, [source], [result]);
    if (byInput) return this.through(node, [source, this.ints(`${node.outputs[0]}_axes`, mapped)], [result]);
    return this.through(node, [source], [result], { attributes: { axes: mapped } });
  }

  /** A new axis goes beside the one that its neighbour of the two that is not the last lies on, so that spatial axes stay together. */
  private unsqueeze(node: Node, source: string, perm: readonly number[]): boolean {
    const axes = attr.ints(node, 'axes') ?? this.numbers(node.inputs[1]);
    const rank = perm.length + 1;
    if (axes?.length !== 1) return false;
    const logical = axes[0] < 0 ? axes[0] + rank : axes[0];
    const next = logical < perm.length - 1;
    const place = next ? perm[logical] : logical > 0 ? perm[logical - 1] + 1 : 0;
    const shifted = perm.map((p) => (p >= place ? p + 1 : p));
    const result = [...shifted.slice(0, logical), place, ...shifted.slice(logical)];
    if (node.attributes.has('axes')) return this.through(node, [source], [result], { attributes: { axes: [place] } });
    return this.through(node, [source, this.ints(`${node.outputs[0]}_axes`, [place])], [result]);
  }

  /** Case 5. */
  private convolution(node: Node, source: string, perm: readonly number[]): boolean {
    const weight = this.constant(node.inputs[1]);
    const rank = perm.length;
    if (rank < 4 || perm[rank - 1] !== 1 || perm[0] !== 0 || weight?.type !== 'float32' || weight.dims.length !== 2) return false;
    const turned = transposedTensor(weight, [1, 0]);
    const ones = Array.from({ length: rank - 2 }, () => 1);
    const kernel = this.store(`${weight.name}_kernel`, turned.reshaped([...turned.dims, ...ones]));
    return this.through(node, [source, kernel], [perm], { opType: 'Conv', attributes: { kernel_shape: ones } });
  }

  /** Case 4. */
  private reshape(node: Node, source: string, perm: readonly number[]): boolean {
    const shape = this.shapes.get(source);
    const [output] = node.outputs;
    const result = this.shapes.get(output);
    if (!shape || !result) return false;
    const flat = node.opType === 'Flatten';
    if (flat && (attr.int(node, 'axis', 1) !== 1 || perm[0] !== 0)) return false;
    const target = flat ? undefined : this.numbers(node.inputs[1]);
    // A target of 0 means a length of the input, whose axes have moved.
    const absolute = flat || target?.every((d, i) => d !== 0 || (i === 0 && perm[0] === 0));
    if (!absolute) return false;
    const inputs = [source, ...node.inputs.slice(1).map((i) => this.value(i))];
    if (movesOnlyOnes(shape, perm)) {
      this.emit({ ...node, inputs });
      return true;
    }
    const lengths = shape.slice(1);
    if (result.length !== 2 || perm[0] !== 0 || !lengths.every((d): d is number => typeof d === 'number')) return false;
    if (result[1] !== elementCount(lengths) || !this.takesOrder(output, result[1])) return false;
    const name = this.fresh(`${output}_first`);
    this.emit({ ...node, inputs, outputs: [name] });
    this.shapes.set(name, result);
    this.renamed.set(output, name);
    this.orders.set(name, flatOrder(lengths, perm));
    return true;
  }

  /** True where everything that reads a flat value can take it in another order. */
  private takesOrder(name: string, size: number): boolean {
    if (this.fixed.has(name)) return false;
    return (this.consumers.get(name) ?? []).every((n) => {
      if (n.domain !== '' || hasSubgraph(n) || n.inputs.slice(1).includes(name)) return false;
      const second = this.model.graph.initializers.get(n.inputs[1] ?? '');
      if (n.opType === 'MatMul' || n.opType === 'Gemm')
        return second?.type === 'float32' && second.dims.length === 2 && attr.int(n, 'transA', 0) === 0;
      if (n.outputs.slice(1).some((o) => o !== '')) return false;
      if (UNARY.has(n.opType)) return this.takesOrder(n.outputs[0], size);
      if (!ELEMENTWISE.has(n.opType) || n.inputs.length !== 2 || !second) return false;
      const fits = second.size === 1 || (second.size === size && second.dims.at(-1) === size);
      return fits && second.dims.length <= 2 && this.takesOrder(n.outputs[0], size);
    });
  }

  /** A node that `takesOrder` said yes for. */
  private reorder(node: Node): boolean {
    const source = this.resolve(node.inputs[0]);
    const order = this.orders.get(source);
    if (!order) return false;
    const second = this.constant(node.inputs[1] ?? '');
    if (node.opType === 'MatMul' || node.opType === 'Gemm') {
      const rows = attr.int(node, 'transB', 0) ? 1 : 0;
      const weight = this.store(`${second!.name}_ordered`, along(second!, rows, order));
      this.emit({ ...node, inputs: [source, weight, ...node.inputs.slice(2).map((i) => this.value(i))] });
      return true;
    }
    const inputs = [source, ...node.inputs.slice(1).map((i) => this.value(i))];
    if (ELEMENTWISE.has(node.opType) && second && second.size > 1)
      inputs[1] = this.store(`${second.name}_ordered`, along(second, second.dims.length - 1, order));
    this.emit({ ...node, inputs });
    this.orders.set(node.outputs[0], order);
    return true;
  }
}

/** For each flat position of an untransposed sample the position that the transposed one has it at. */
function flatOrder(lengths: readonly number[], perm: readonly number[]): Int32Array {
  const size = elementCount(lengths);
  const inner = perm.slice(1).map((p) => p - 1);
  const positions = Int32Array.from({ length: size }, (_, i) => i);
  const there = transposedTensor(new Tensor('', 'int32', lengths, new Uint8Array(positions.buffer)), inner);
  const moved = new Int32Array(size);
  for (const [to, from] of new Int32Array(there.bytes.buffer).entries()) moved[from] = to;
  return moved;
}

/** Slices along an axis, the i-th being the `order[i]`-th of the tensor. */
function along(tensor: Tensor, axis: number, order: Int32Array): Tensor {
  const width = (tensor.bytes.byteLength / tensor.size) * elementCount(tensor.dims.slice(axis + 1));
  const bytes = new Uint8Array(tensor.bytes.byteLength);
  const length = tensor.dims[axis];
  for (let outer = 0; outer < elementCount(tensor.dims.slice(0, axis)); outer++)
    for (const [to, from] of order.entries()) {
      const base = outer * length;
      bytes.set(tensor.bytes.subarray((base + from) * width, (base + from + 1) * width), (base + to) * width);
    }
  return new Tensor(tensor.name, tensor.type, tensor.dims, bytes);
}

const keyOf = (source: string, perm: readonly number[]): string => `${source}|${perm.join()}`;

const picked = (tensor: Tensor, order: readonly number[]): Tensor => along(tensor, 0, Int32Array.from(order));

/** A target for Reshape: at most one length that is not known stays open; undefined where more are. */
function lengthsFor(shape: Shape): number[] | undefined {
  const open = shape.filter((d) => typeof d !== 'number').length;
  return open > 1 || shape.includes(0) ? undefined : shape.map((d) => (typeof d === 'number' ? d : -1));
}
