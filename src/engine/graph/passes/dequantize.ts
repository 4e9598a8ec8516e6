import { UserError } from '../../errors';
import { attr, type Model, makeNode, type Node, withGraph } from '../../onnx/model';
import { elementCount, Tensor } from '../../onnx/tensor';
import { layerNames } from '../layer-names';
import { isIntegerOperator, isStoredCodes, quantizedForm } from '../quantized-form';
import { constantsToInitializers } from './constants-to-initializers';
import { removeDeadCode } from './dead-code';
import { foldScale } from './fold-scale';
import { fuseBias } from './fuse-bias';
import { freshName, type Pass, type PassResult, useCounts } from './pass';
import { removeIdentity } from './remove-identity';

/**
 * Turns a quantised model back into floats: what it computes then differs by the rounding of activations, which is gone, while weights
 * keep their rounded values.
 * 1. Constant codes behind DequantizeLinear, or behind Cast and Mul, become float weights.
 * 2. QuantizeLinear and DequantizeLinear of activations are taken out. Where codes cannot be below zero and nothing before says so, a
 *    Relu that the quantiser had left to the codes comes back (a Clip to 6 where the codes end there).
 * 3. QLinearConv, QLinearMatMul and onnxruntime's QLinearAdd, QLinearMul, QGemm, QLinearConcat and pools become the operators on floats.
 * 4. DynamicQuantizeLinear with ConvInteger or MatMulInteger: the product is made of floats at once, and its scale is 1.
 * @throws UserError naming the first node that has no such form
 */
export function dequantize(model: Model): PassResult {
  if (quantizedForm(model) === undefined) return { model, modified: false };
  const passes: readonly Pass[] = [
    constantsToInitializers,
    (m) => ({ model: new Dequantizer(m).run(), modified: true }),
    removeIdentity,
    removeDeadCode,
    foldScale,
    fuseBias,
    removeDeadCode,
  ];
  const result = passes.reduce((m, pass) => pass(m).model, model);
  const left = result.graph.nodes.find((n) => isIntegerOperator(n) || isStoredCodes(result, n));
  if (left)
    throw new UserError(
      `${left.opType} '${layerNames(result).get(left)}' cannot be turned back into floats`,
      'Compress the float model that the quantised one was made from.',
    );
  return { model: result, modified: true };
}

/** Operators that only move values, on codes as on floats. */
const MOVES = new Set([
  'MaxPool',
  'Reshape',
  'Flatten',
  'Transpose',
  'Squeeze',
  'Unsqueeze',
  'Identity',
  'Slice',
  'Gather',
  'Concat',
  'Split',
  'Expand',
  'Tile',
  'DepthToSpace',
  'SpaceToDepth',
]);
/** Operators whose results are not negative where their inputs are not. */
const KEEP_SIGN = new Set([...MOVES, 'AveragePool', 'GlobalAveragePool', 'GlobalMaxPool', 'Add', 'Mul', 'Resize', 'Clip', 'Dropout']);
const NOT_NEGATIVE = new Set(['Relu', 'Sigmoid', 'Softmax', 'HardSigmoid', 'Abs', 'Exp', 'Sqrt', 'Softplus']);
const CODE_TYPES = new Set(['int8', 'uint8', 'int32', 'int16', 'uint16', 'int4', 'uint4']);

class Dequantizer {
  private readonly nodes: Node[] = [];
  private readonly initializers: Map<string, Tensor>;
  /** Float values by the codes that stood for them. */
  private readonly floats = new Map<string, string>();
  private readonly producers = new Map<string, Node>();
  private readonly taken: { has(name: string): boolean };
  private readonly inputs: ReadonlySet<string>;
  /** Scales that DynamicQuantizeLinear found, all taken to be 1. */
  private readonly ones = new Set<string>();

  constructor(private readonly model: Model) {
    const { graph } = model;
    this.initializers = new Map(graph.initializers);
    const uses = useCounts(graph);
    const made = new Set(graph.nodes.flatMap((n) => [n.name, ...n.outputs]));
    this.taken = { has: (name) => this.initializers.has(name) || uses.has(name) || made.has(name) || this.producers.has(name) };
    this.inputs = new Set(graph.inputs.map((i) => i.name));
  }

  run(): Model {
    for (const node of this.model.graph.nodes) this.step(node);
    return withGraph(this.model, { nodes: this.nodes, initializers: this.initializers });
  }

  private emit(node: Node): true {
    this.nodes.push(node);
    for (const o of node.outputs) if (o !== '') this.producers.set(o, node);
    return true;
  }

  private float(name: string): string {
    return this.floats.get(name) ?? name;
  }

  private tensor(name: string | undefined): Tensor | undefined {
    return name === undefined || name === '' ? undefined : this.initializers.get(name);
  }

  private store(name: string, dims: readonly number[], data: Float32Array): string {
    const own = freshName(this.taken, name);
    this.initializers.set(own, Tensor.float32(own, dims, data));
    return own;
  }

  /** (codes − zero) · scale, with one scale for all or one for each place along `axis`. */
  private decoded(codes: Tensor, scale: Tensor, zero: Tensor | undefined, axis: number): Float32Array | undefined {
    if (!CODE_TYPES.has(codes.type)) return undefined;
    const scales = scale.floats();
    const zeros = zero?.numbers() ?? [0];
    const at = axis < 0 ? axis + codes.dims.length : axis;
    const length = codes.dims[at] ?? 1;
    if ((scales.length !== 1 && scales.length !== length) || (zeros.length !== 1 && zeros.length !== length)) return undefined;
    const inner = elementCount(codes.dims.slice(at + 1));
    const place = (i: number): number => Math.floor(i / inner) % length;
    return Float32Array.from(
      codes.numbers(),
      (c, i) => Math.fround(c - (zeros.length === 1 ? zeros[0] : zeros[place(i)])) * (scales.length === 1 ? scales[0] : scales[place(i)]),
    );
  }

  /** Passes a value on under the name that the original graph gives it, where it is an output; else readers take it directly. */
  private alias(name: string, to: string): true {
    this.floats.set(name, to);
    if (this.model.graph.outputs.some((o) => o.name === name))
      this.emit(makeNode('Identity', [to], [name], {}, { name: freshName(this.taken, `${name}_identity`) }));
    return true;
  }

  /** The node on floats. */
  private replaced(node: Node, opType: string, inputs: readonly string[], output: { zero?: Tensor; scale?: Tensor } = {}): true {
    const keep = new Map([...node.attributes].filter(([k]) => !['channels_last'].includes(k)));
    const [name] = node.outputs;
    const made: Node = { ...node, opType, domain: '', inputs: inputs.map((i) => this.float(i)), attributes: keep };
    const least = this.cutAtZero(output.scale, output.zero);
    if (least === undefined || this.notNegative(name)) return this.emit(made);
    const before = freshName(this.taken, `${name}_before`);
    this.emit({ ...made, outputs: [before] });
    return this.restore(before, name, least);
  }

  /** The largest value that codes without negative ones stand for; undefined where codes go below zero. */
  private cutAtZero(scale: Tensor | undefined, zero: Tensor | undefined): number | undefined {
    if (!scale || !zero || scale.size !== 1 || zero.size !== 1 || (zero.type !== 'uint8' && zero.type !== 'int8')) return undefined;
    const [z] = zero.numbers();
    const [least, most] = zero.type === 'uint8' ? [0, 255] : [-128, 127];
    return z === least ? (most - z) * scale.floats()[0] : undefined;
  }

  private restore(from: string, to: string, most: number): true {
    const name = freshName(this.taken, `${to}_relu`);
    if (Math.abs(most - 6) > 0.05) return this.emit(makeNode('Relu', [from], [to], {}, { name }));
    const ends = [0, 6].map((v) => this.store(`${to}_end${v}`, [], Float32Array.of(v)));
    return this.emit(makeNode('Clip', [from, ...ends], [to], {}, { name }));
  }

  /** What feeds the model is taken as it comes. */
  private notNegative(name: string, depth = 0): boolean {
    if (this.inputs.has(name)) return true;
    const node = this.producers.get(name);
    if (!node || depth > 100) return false;
    if (NOT_NEGATIVE.has(node.opType)) return true;
    if (!KEEP_SIGN.has(node.opType)) return false;
    const several = node.opType === 'Add' || node.opType === 'Mul' || node.opType === 'Concat';
    return (several ? node.inputs : node.inputs.slice(0, 1)).every(
      (i) =>
        this.notNegative(i, depth + 1) ||
        (this.initializers
          .get(i)
          ?.floats()
          .every((v) => v >= 0) ??
          false),
    );
  }

  private step(node: Node): true {
    const { inputs, outputs, opType } = node;
    const [first, ...others] = outputs;
    if (isStoredCodes(this.model, node)) {
      const codes = this.tensor(inputs[0])!;
      this.initializers.set(first, Tensor.float32(first, codes.dims, Float32Array.from(codes.numbers())));
      return true;
    }
    if (opType === 'Mul' && node.domain === '' && inputs.every((i) => this.initializers.has(i))) {
      // Codes by their scales.
      const [a, b] = inputs.map((i) => this.tensor(i)!);
      const product = a.type === 'float32' && b.type === 'float32' ? multiplied(a, b) : undefined;
      if (product) {
        this.initializers.set(first, product.renamed(first));
        return true;
      }
    }
    if (!isIntegerOperator(node)) {
      // A Cast behind an integer product has nothing left to turn.
      if (opType === 'Cast' && this.floats.has(inputs[0])) return this.alias(first, this.float(inputs[0]));
      if (inputs.some((i) => this.ones.has(i)) && opType === 'Mul') {
        const other = inputs.find((i) => !this.ones.has(i));
        if (other !== undefined) return this.alias(first, this.float(other));
      }
      // Codes that are only moved are moved as floats.
      const moved = MOVES.has(opType)
        ? node.inputs.map((i) => this.float(i))
        : node.inputs.map((i) => (this.tensor(i) ? i : this.float(i)));
      return this.emit({ ...node, inputs: moved });
    }
    switch (opType) {
      case 'QuantizeLinear': {
        const least = this.cutAtZero(this.tensor(inputs[1]), this.tensor(inputs[2]));
        const from = this.float(inputs[0]);
        if (least === undefined || this.notNegative(from)) return this.alias(first, from);
        const cut = freshName(this.taken, `${inputs[0]}_cut`);
        this.restore(from, cut, least);
        return this.alias(first, cut);
      }
      case 'DequantizeLinear': {
        const codes = this.tensor(inputs[0]);
        const scale = this.tensor(inputs[1]);
        if (!codes) return this.alias(first, this.float(inputs[0]));
        const data = scale && this.decoded(codes, scale, this.tensor(inputs[2]), attr.int(node, 'axis', 1));
        if (!data) return this.emit(node);
        this.initializers.set(first, Tensor.float32(first, codes.dims, data));
        return true;
      }
      case 'DynamicQuantizeLinear':
        this.alias(first, this.float(inputs[0]));
        if (others[0]) this.ones.add(others[0]);
        return true;
      case 'ConvInteger':
      case 'MatMulInteger': {
        const codes = this.tensor(inputs[1]);
        const zero = this.tensor(inputs[3]);
        // Zero points of a matrix lie along its columns, of a kernel along its first axis.
        const data = codes && this.decoded(codes, Tensor.scalar('', 1), zero, opType === 'ConvInteger' ? 0 : codes.dims.length - 1);
        if (!codes || !data || !this.floats.has(inputs[0])) return this.emit(node);
        const name = freshName(this.taken, `${first}_product`);
        this.emit({
          ...node,
          opType: opType === 'ConvInteger' ? 'Conv' : 'MatMul',
          inputs: [this.float(inputs[0]), this.store(`${codes.name}_float`, codes.dims, data)],
          outputs: [name],
        });
        return this.alias(first, name);
      }
      case 'QLinearConv':
        return this.product(node, 'Conv', 0, inputs[8]);
      case 'QLinearMatMul':
        return this.product(node, 'MatMul', -1, undefined);
      case 'QGemm':
        return this.gemm(node);
      case 'QLinearAdd':
      case 'QLinearMul':
        return this.replaced(node, opType.slice(7), [inputs[0], inputs[3]], {
          scale: this.tensor(inputs[6]),
          zero: this.tensor(inputs[7]),
        });
      case 'QLinearAveragePool':
      case 'QLinearGlobalAveragePool':
        if (attr.int(node, 'channels_last', 0) !== 0) return this.emit(node);
        return this.replaced(node, opType.slice(7), [inputs[0]]);
      case 'QLinearSigmoid':
      case 'QLinearLeakyRelu':
        return this.replaced(node, opType.slice(7), [inputs[0]]);
      case 'QLinearConcat':
        return this.replaced(
          node,
          'Concat',
          inputs.slice(2).filter((_, i) => i % 3 === 0),
        );
      default:
        return this.emit(node);
    }
  }

  /** QLinearConv and QLinearMatMul: x, its scale and zero, w, its scale and zero, the result's scale and zero, and a bias in codes. */
  private product(node: Node, opType: string, axis: number, biasName: string | undefined): true {
    const { inputs } = node;
    const [codes, scale] = [this.tensor(inputs[3]), this.tensor(inputs[4])];
    const data = codes && scale && this.decoded(codes, scale, this.tensor(inputs[5]), axis);
    if (!codes && opType === 'MatMul') return this.replaced(node, opType, [inputs[0], inputs[3]]);
    if (!codes || !scale || !data) return this.emit(node);
    const made = [inputs[0], this.store(`${codes.name}_float`, codes.dims, data)];
    const bias = this.biasOf(biasName, this.tensor(inputs[1]), scale);
    if (biasName && !bias) return this.emit(node);
    return this.replaced(node, opType, bias ? [...made, bias] : made, { scale: this.tensor(inputs[6]), zero: this.tensor(inputs[7]) });
  }

  /** A bias in codes of the product of both scales. */
  private biasOf(name: string | undefined, input: Tensor | undefined, weight: Tensor): string | undefined {
    const bias = this.tensor(name);
    if (!bias || input?.size !== 1) return undefined;
    const scales = weight.floats();
    const [own] = input.floats();
    return this.store(
      `${bias.name}_float`,
      bias.dims,
      Float32Array.from(bias.numbers(), (v, i) => v * own * (scales.length === 1 ? scales[0] : scales[i])),
    );
  }

  /** QGemm: a, its scale and zero, b, its scale and zero, a bias, the result's scale and zero (absent: a float result). */
  private gemm(node: Node): true {
    const { inputs } = node;
    const [codes, scale] = [this.tensor(inputs[3]), this.tensor(inputs[4])];
    const data = codes && scale && this.decoded(codes, scale, this.tensor(inputs[5]), attr.int(node, 'transB', 0) ? 0 : 1);
    const bias = scale && this.biasOf(inputs[6], this.tensor(inputs[1]), scale);
    if (!codes || !data || (inputs[6] && !bias)) return this.emit(node);
    const made = [inputs[0], this.store(`${codes.name}_float`, codes.dims, data), ...(bias ? [bias] : [])];
    return this.replaced(node, 'Gemm', made, { scale: this.tensor(inputs[7]), zero: this.tensor(inputs[8]) });
  }
}

/** Two constants multiplied, the second broadcast to the first (or the other way round). */
function multiplied(a: Tensor, b: Tensor): Tensor | undefined {
  if (b.size > a.size) return multiplied(b, a);
  const lengths = [...a.dims.slice(0, a.dims.length - b.dims.length).map(() => 1), ...b.dims];
  if (lengths.length !== a.dims.length || lengths.some((d, i) => d !== 1 && d !== a.dims[i])) return undefined;
  const [x, y] = [a.floats(), b.floats()];
  const steps = lengths.map((d, i) => (d === 1 ? 0 : elementCount(lengths.slice(i + 1))));
  const data = Float32Array.from(x, (v, at) => {
    let [rest, from] = [at, 0];
    for (let axis = lengths.length - 1; axis >= 0; axis--) {
      from += (rest % a.dims[axis]) * steps[axis];
      rest = Math.floor(rest / a.dims[axis]);
    }
    return v * y[from];
  });
  return Tensor.float32(a.name, a.dims, data);
}
