/**
 * Writes a graph as a TensorFlow.js layers model (`model.json` and one weight file), channels last, as tfjs itself loads it: the way back
 * for models that came from there, pruned ones included. Weights stored as codes are written as the floats they stand for.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../errors';
import { type Inferred, inferTypes } from '../graph/infer';
import { layerNames } from '../graph/layer-names';
import { attr, type Model, type Node } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { resolveWindow, windowAttributes } from '../ops/window';
import { flatOrder, sourceLengths } from './keras-context';
import { permuted, reshapedWeight, type Weight } from './weights';

interface LayerJson {
  readonly class_name: string;
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly inbound_nodes: ReadonlyArray<ReadonlyArray<readonly [string, number, number, object]>>;
}

export interface TfjsFiles {
  readonly topology: object;
  readonly specs: ReadonlyArray<{ readonly name: string; readonly shape: readonly number[]; readonly dtype: 'float32' }>;
  readonly data: Uint8Array;
}

/** Writes `model.json` at `path` and its weights beside it. Returns both files. @throws UserError naming the node that has no such layer */
export function saveTfjsLayers(model: Model, path: string): readonly string[] {
  const { topology, specs, data } = tfjsFromModel(model);
  const shard = `${basename(path).replace(/\.json$/i, '')}.weights.bin`;
  const manifest = [{ paths: [shard], weights: specs }];
  const json = { format: 'layers-model', generatedBy: 'Espalier', convertedBy: null, modelTopology: topology, weightsManifest: manifest };
  mkdirSync(dirname(path), { recursive: true });
  const weights = join(dirname(path), shard);
  writeFileSync(weights, data);
  writeFileSync(path, JSON.stringify(json));
  return [path, weights];
}

/** The same in memory. */
export function tfjsFromModel(model: Model): TfjsFiles {
  return new Writer(model).write();
}

/** Activations that tfjs has under a name of its own and that have no settings. */
const ACTIVATIONS: Readonly<Record<string, string>> = {
  Relu: 'relu',
  Sigmoid: 'sigmoid',
  Tanh: 'tanh',
  Softplus: 'softplus',
  Softsign: 'softsign',
};
const MERGES: Readonly<Record<string, string>> = { Add: 'Add', Mul: 'Multiply', Max: 'Maximum', Min: 'Minimum' };

class Writer {
  private readonly layers: LayerJson[] = [];
  private readonly specs: Array<TfjsFiles['specs'][number]> = [];
  private readonly chunks: Float32Array[] = [];
  /** Layer that makes each value. */
  private readonly makers = new Map<string, string>();
  /** Where position i of a flat value lies in the source's order. */
  private readonly orders = new Map<string, Int32Array>();
  private readonly constants = new Map<string, Weight>();
  private readonly taken = new Set<string>();
  private readonly inferred: Inferred;
  private readonly names: ReadonlyMap<Node, string>;

  constructor(private readonly model: Model) {
    this.inferred = inferTypes(model, { batch: 1 });
    this.names = layerNames(model);
    for (const [name, tensor] of model.graph.initializers) {
      if (tensor.type !== 'string') this.constants.set(name, { dims: tensor.dims, data: tensor.floats() });
    }
  }

  write(): TfjsFiles {
    const { graph } = this.model;
    for (const { name } of graph.inputs) {
      const layer = this.unique(name);
      this.makers.set(name, layer);
      const shape = [null, ...sourceLengths(this.lengths(name), 'last')];
      this.layers.push({
        class_name: 'InputLayer',
        name: layer,
        config: { name: layer, batch_input_shape: shape, dtype: 'float32' },
        inbound_nodes: [],
      });
    }
    for (const node of graph.nodes) if (!this.folds(node)) this.node(node);
    const end = (name: string): [string, number, number] => [this.makerOf(name), 0, 0];
    const config = {
      name: graph.name || 'model',
      layers: this.layers,
      input_layers: graph.inputs.map((i) => end(i.name)),
      output_layers: graph.outputs.map((o) => end(o.name)),
    };
    for (const { name } of graph.outputs) {
      if (this.orders.has(name))
        throw new UserError(`output '${name}' is a flattened image, whose order would change`, 'Save the model as ONNX.');
    }
    const data = Buffer.concat(this.chunks.map((c) => new Uint8Array(c.buffer, c.byteOffset, c.byteLength)));
    return {
      topology: { class_name: 'Model', config, keras_version: 'tfjs-layers 4.22.0', backend: 'tensor_flow.js' },
      specs: this.specs,
      data,
    };
  }

  /** Lengths without the batch. */
  private lengths(value: string): number[] {
    const shape = this.inferred.types.get(value)?.shape;
    const rest = shape?.slice(1);
    if (!rest || rest.some((d) => typeof d !== 'number'))
      throw new UserError(`the shape of value '${value}' is not known`, 'Save the model as ONNX.');
    return rest as number[];
  }

  private makerOf(value: string): string {
    const maker = this.makers.get(value);
    if (maker === undefined)
      throw new UserError(`value '${value}' is a constant where a layer's output belongs`, 'Save the model as ONNX.');
    return maker;
  }

  private unique(name: string): string {
    // Slashes part a weight's name from its layer's.
    const base = name.replaceAll('/', '_');
    let free = base;
    for (let i = 2; this.taken.has(free); i++) free = `${base}_${i}`;
    this.taken.add(free);
    return free;
  }

  /** Computes codes times scales, the form in which weights of few bits are stored. */
  private folds(node: Node): boolean {
    const inputs = node.inputs.map((i) => this.constants.get(i));
    if (inputs.length === 0 || inputs.some((w) => w === undefined)) return false;
    const [a, b] = inputs as Weight[];
    if (node.opType === 'Cast' || node.opType === 'Identity') this.constants.set(node.outputs[0], a);
    else if (node.opType === 'Mul' && elementCount(a.dims) >= elementCount(b.dims)) this.constants.set(node.outputs[0], product(a, b));
    else return false;
    return true;
  }

  private refuse(node: Node, what: string): never {
    throw new UserError(
      `${node.opType} '${this.names.get(node)}' ${what}`,
      'Save the model as ONNX, which TensorFlow.js programs run by onnxruntime-web.',
    );
  }

  private constant(node: Node, input: number): Weight {
    const found = this.constants.get(node.inputs[input] ?? '');
    return found ?? this.refuse(node, `has no constant weight at input ${input}`);
  }

  private layer(
    node: Node,
    className: string,
    config: object,
    weights: ReadonlyArray<readonly [string, Weight]> = [],
    from = node.inputs.slice(0, 1),
    part = '',
  ): string {
    const name = this.unique(part === '' ? this.names.get(node)! : `${this.names.get(node)!}/${part}`);
    this.layers.push({
      class_name: className,
      name,
      config: { name, trainable: true, ...config },
      inbound_nodes: [from.map((value) => [this.makers.get(value) ?? this.makerOf(value), 0, 0, {}] as const)],
    });
    for (const [short, weight] of weights) {
      this.specs.push({ name: `${name}/${short}`, shape: weight.dims, dtype: 'float32' });
      this.chunks.push(weight.data);
    }
    if (part === '') this.makers.set(node.outputs[0], name);
    return name;
  }

  private node(node: Node): void {
    const { opType } = node;
    const [x] = node.inputs;
    const activation = Object.hasOwn(ACTIVATIONS, opType) ? ACTIVATIONS[opType] : undefined;
    if (node.domain !== '') this.refuse(node, `is of the domain '${node.domain}', for which there is no layer`);
    if (activation) this.elementwise(node, 'Activation', { activation });
    else if (opType === 'LeakyRelu') this.elementwise(node, 'LeakyReLU', { alpha: attr.float(node, 'alpha', 0.01) });
    else if (opType === 'Elu' && attr.float(node, 'alpha', 1) === 1) this.elementwise(node, 'Activation', { activation: 'elu' });
    else if (opType === 'HardSigmoid' && Math.abs(attr.float(node, 'alpha', 0.2) - 0.2) < 1e-7 && attr.float(node, 'beta', 0.5) === 0.5)
      this.elementwise(node, 'Activation', { activation: 'hard_sigmoid' });
    else if (opType === 'Clip') this.clip(node);
    else if (opType === 'Softmax') this.softmax(node);
    else if (opType === 'Conv') this.convolution(node);
    else if (opType === 'Gemm') this.dense(node);
    else if (opType === 'BatchNormalization') this.batchNormalization(node);
    else if (opType === 'MaxPool' || opType === 'AveragePool') this.pool(node);
    else if (opType === 'GlobalAveragePool' || opType === 'GlobalMaxPool') {
      const size = this.lengths(x).slice(1);
      if (size.length !== 2) this.refuse(node, 'does not pool images');
      this.layer(node, opType === 'GlobalMaxPool' ? 'MaxPooling2D' : 'AveragePooling2D', {
        pool_size: size,
        strides: size,
        padding: 'valid',
      });
    } else if (opType === 'Flatten' || opType === 'Reshape') this.flatten(node);
    else if (opType === 'Pad') this.pad(node);
    else if (opType === 'Concat') this.concatenate(node);
    else if (Object.hasOwn(MERGES, opType)) this.merge(node);
    else if (opType === 'Identity' || opType === 'Dropout') {
      this.makers.set(node.outputs[0], this.makerOf(x));
      this.keepOrder(node);
    } else this.refuse(node, 'has no layer of the same kind in TensorFlow.js');
  }

  private keepOrder(node: Node): void {
    const order = this.orders.get(node.inputs[0]);
    if (order) this.orders.set(node.outputs[0], order);
  }

  private elementwise(node: Node, className: string, config: object): void {
    this.layer(node, className, config);
    this.keepOrder(node);
  }

  private clip(node: Node): void {
    const bound = (i: number): number | undefined => (node.inputs[i] ? this.constant(node, i).data[0] : undefined);
    if (bound(1) !== 0 || bound(2) === undefined) this.refuse(node, 'does not cut off at 0 and at a number above');
    this.elementwise(node, 'ReLU', { max_value: bound(2) });
  }

  private softmax(node: Node): void {
    const rank = this.lengths(node.inputs[0]).length + 1;
    const axis = attr.int(node, 'axis', -1);
    if ((axis < 0 ? axis + rank : axis) !== 1) this.refuse(node, 'is not taken over the channels');
    this.elementwise(node, 'Activation', { activation: 'softmax' });
  }

  /** 'valid' or 'same' where the padding is that, else a layer of zeros before it. */
  private padded(
    node: Node,
    kernel: readonly number[],
    zeros: boolean,
  ): { padding: 'valid' | 'same'; strides: readonly number[]; dilations: readonly number[]; from: string } {
    const spatial = this.lengths(node.inputs[0]).slice(1);
    const window = resolveWindow(windowAttributes(node, kernel.length, kernel), spatial);
    const { before, after } = window.pads;
    const base = { strides: window.strides, dilations: window.dilations, from: node.inputs[0] };
    if (window.ceil) this.refuse(node, 'rounds lengths up (ceil_mode)');
    if ([...before, ...after].every((p) => p === 0)) return { ...base, padding: 'valid' };
    const same = spatial.map((d, i) =>
      Math.max(0, (Math.ceil(d / window.strides[i]) - 1) * window.strides[i] + window.dilations[i] * (kernel[i] - 1) + 1 - d),
    );
    if (same.every((total, i) => before[i] === Math.floor(total / 2) && after[i] === total - before[i]))
      return { ...base, padding: 'same' };
    if (!zeros) this.refuse(node, 'pads in a way that TensorFlow.js does not');
    const name = this.layer(node, 'ZeroPadding2D', { padding: before.map((p, i) => [p, after[i]]) }, [], [node.inputs[0]], 'pad');
    this.makers.set(`${node.outputs[0]}\u0000pad`, name);
    return { ...base, padding: 'valid', from: `${node.outputs[0]}\u0000pad` };
  }

  private convolution(node: Node): void {
    const weight = this.constant(node, 1);
    if (weight.dims.length !== 4) this.refuse(node, 'does not work on images');
    const [filters, inputs, ...kernel] = weight.dims;
    const group = attr.int(node, 'group', 1);
    const { padding, strides, dilations, from } = this.padded(node, kernel, true);
    const bias: Array<readonly [string, Weight]> = node.inputs[2] ? [['bias', this.constant(node, 2)]] : [];
    const config = {
      kernel_size: kernel,
      strides,
      dilation_rate: dilations,
      padding,
      use_bias: bias.length > 0,
      activation: 'linear',
      data_format: 'channels_last',
    };
    if (group === 1) {
      this.layer(node, 'Conv2D', { ...config, filters }, [['kernel', permuted(weight, [2, 3, 1, 0])], ...bias], [from]);
      return;
    }
    if (inputs !== 1) this.refuse(node, 'works in groups of channels, which TensorFlow.js does not');
    const multiplier = filters / group;
    const apart = permuted(reshapedWeight(weight, [group, multiplier, ...kernel]), [2, 3, 0, 1]);
    this.layer(node, 'DepthwiseConv2D', { ...config, depth_multiplier: multiplier }, [['depthwise_kernel', apart], ...bias], [from]);
  }

  private dense(node: Node): void {
    if (attr.int(node, 'transA', 0) !== 0 || attr.float(node, 'alpha', 1) !== 1 || attr.float(node, 'beta', 1) !== 1)
      this.refuse(node, 'is more than a dense layer');
    const given = this.constant(node, 1);
    const weight = attr.int(node, 'transB', 0) !== 0 ? permuted(given, [1, 0]) : given;
    const kernel = this.inOrder(node.inputs[0], weight);
    const bias: Array<readonly [string, Weight]> = node.inputs[2]
      ? [['bias', reshapedWeight(this.constant(node, 2), [weight.dims[1]])]]
      : [];
    this.layer(node, 'Dense', { units: weight.dims[1], use_bias: bias.length > 0, activation: 'linear' }, [['kernel', kernel], ...bias]);
  }

  /** Rows from the graph's order of a flattened image to the source's. */
  private inOrder(value: string, weight: Weight): Weight {
    const order = this.orders.get(value);
    if (!order) return weight;
    const size = weight.data.length / weight.dims[0];
    const data = new Float32Array(weight.data.length);
    for (const [at, source] of order.entries()) data.set(weight.data.subarray(at * size, (at + 1) * size), source * size);
    return { dims: weight.dims, data };
  }

  private batchNormalization(node: Node): void {
    const weights = ['gamma', 'beta', 'moving_mean', 'moving_variance'].map(
      (short, i) => [short, this.inOrder(node.inputs[0], this.constant(node, i + 1))] as const,
    );
    const config = {
      axis: -1,
      epsilon: attr.float(node, 'epsilon', 1e-5),
      momentum: attr.float(node, 'momentum', 0.9),
      center: true,
      scale: true,
    };
    this.layer(node, 'BatchNormalization', config, weights);
    this.keepOrder(node);
  }

  private pool(node: Node): void {
    const kernel = attr.ints(node, 'kernel_shape') ?? [];
    if (kernel.length !== 2 || this.lengths(node.inputs[0]).length !== 3) this.refuse(node, 'does not pool images');
    const { padding, strides, dilations } = this.padded(node, kernel, false);
    const pads = padding !== 'valid' && attr.int(node, 'count_include_pad', 0) !== 0;
    if (dilations.some((d) => d !== 1) || pads || node.outputs.length > 1) this.refuse(node, 'pools in a way that TensorFlow.js does not');
    this.layer(node, node.opType === 'MaxPool' ? 'MaxPooling2D' : 'AveragePooling2D', { pool_size: kernel, strides, padding });
  }

  private flatten(node: Node): void {
    const before = this.lengths(node.inputs[0]);
    const after = this.lengths(node.outputs[0]);
    if (after.length !== 1 || after[0] !== elementCount(before)) this.refuse(node, 'is no flattening');
    if (before.length === 1) {
      this.makers.set(node.outputs[0], this.makerOf(node.inputs[0]));
      this.keepOrder(node);
      return;
    }
    this.layer(node, 'Flatten', {});
    const order = flatOrder(sourceLengths(before, 'last'), 'last');
    if (!order.every((source, i) => source === i)) this.orders.set(node.outputs[0], order);
  }

  private pad(node: Node): void {
    const pads = [...this.constant(node, 1).data];
    const value = node.inputs[2] ? this.constant(node, 2).data[0] : 0;
    const [n, c, top, left, n2, c2, bottom, right] = pads;
    if (
      pads.length !== 8 ||
      n + c + n2 + c2 !== 0 ||
      value !== 0 ||
      attr.string(node, 'mode', 'constant') !== 'constant' ||
      pads.some((p) => p < 0)
    )
      this.refuse(node, 'pads in a way that TensorFlow.js does not');
    this.layer(node, 'ZeroPadding2D', {
      padding: [
        [top, bottom],
        [left, right],
      ],
    });
  }

  private concatenate(node: Node): void {
    const rank = this.lengths(node.inputs[0]).length + 1;
    const axis = attr.int(node, 'axis', 1);
    const positive = axis < 0 ? axis + rank : axis;
    if (node.inputs.some((i) => this.orders.has(i))) this.refuse(node, 'joins flattened images');
    this.layer(node, 'Concatenate', { axis: positive === 1 ? -1 : rank > 2 ? positive - 1 : positive }, [], node.inputs.slice());
  }

  private merge(node: Node): void {
    if (node.inputs.some((i) => this.constants.has(i))) this.refuse(node, 'takes a constant, for which there is no layer');
    const orders = node.inputs.map((i) => this.orders.get(i)?.join());
    if (orders.some((o) => o !== orders[0])) this.refuse(node, 'merges values that lie in different orders');
    this.layer(node, MERGES[node.opType], {}, [], node.inputs.slice());
    this.keepOrder(node);
  }
}

/** a · b, where b is stretched over a as ONNX does it. */
function product(a: Weight, b: Weight): Weight {
  const rank = a.dims.length;
  const lengths = [...Array.from({ length: rank - b.dims.length }, () => 1), ...b.dims];
  const data = a.data.map((value, i) => {
    let at = 0;
    let rest = i;
    let step = 1;
    for (let axis = rank - 1; axis >= 0; axis--) {
      const position = rest % a.dims[axis];
      rest = Math.floor(rest / a.dims[axis]);
      if (lengths[axis] > 1) at += position * step;
      step *= lengths[axis];
    }
    return value * b.data[at];
  });
  return { dims: a.dims, data };
}
