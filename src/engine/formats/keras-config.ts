/** From Keras-style layers and their weights to an ONNX graph; TensorFlow.js, Keras HDF5 and Keras 3 files all come through here. */
import { UserError } from '../errors';
import type { AttributeValue, Model } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { GraphBuilder, type Value } from '../ops/builder';
import { activationLayers } from './keras-activations';
import { attentionLayers } from './keras-attention';
import {
  type Carried,
  carried,
  DAMAGED,
  type Dialect,
  graphLengths,
  inSourceOrder,
  type LayerContext,
  type LayerReader,
  type Layout,
  refuse,
} from './keras-context';
import { maskLayers, withMask } from './keras-masks';
import { mergeLayers } from './keras-merges';
import { normalizationLayers } from './keras-normalizations';
import { recurrentLayers } from './keras-recurrent';
import { shapeLayers } from './keras-shapes';
import {
  IMPLICIT_MASK,
  inputShapeOf,
  isList,
  isObject,
  type LayerTopology,
  type ModelTopology,
  type TensorReference,
} from './keras-topology';
import { weightedLayers, weightOrder } from './keras-weighted';
import type { Weight, WeightSource } from './weights';

const LAYERS: Readonly<Record<string, LayerReader>> = {
  ...weightedLayers,
  ...activationLayers,
  ...shapeLayers,
  ...mergeLayers,
  ...normalizationLayers,
  ...attentionLayers,
  ...maskLayers,
  ...recurrentLayers(() => LAYERS),
};

/** Layer classes that are read, for documentation and messages. */
export const readableLayers = (): readonly string[] => ['InputLayer', ...Object.keys(LAYERS)];

const WHOLE = ['int32', 'int64'] as const;

/** Why some layers are not read; anything else that is unknown is a class of the model's author. */
const REASONS: Readonly<Record<string, string>> = {
  Lambda: 'runs code of its own, which the file does not hold',
  TFOpLambda: 'runs a TensorFlow function, which the file does not explain',
  SlicingOpLambda: 'runs a TensorFlow function, which the file does not explain',
  ...Object.fromEntries(
    ['RNN', 'ConvLSTM2D', 'StackedRNNCells'].map((name) => [name, 'is recurrent in a way that is not read from this format yet']),
  ),
  GroupQueryAttention: 'is not read from this format yet',
  GroupedQueryAttention: 'is not read from this format yet',
  Attention: 'is not read from this format yet; MultiHeadAttention is',
};

/**
 * The graph of a model, channels first, with one node named after each layer (and 'layer/part' for further nodes of it).
 * @throws UserError naming the layer that cannot be read
 */
export function modelFromKeras(topology: ModelTopology, weights: WeightSource, dialect: Dialect): Model {
  const b = new GraphBuilder();
  b.reserve(namesOf(topology));
  const graph = new GraphReader(b, weights, dialect, layoutOf(topology));
  const inputs = topology.inputs.map(({ layer }) => graph.input(topology, layer));
  const outputs = graph.model(topology, inputs, []);
  graph.finish(topology, inputs, outputs);
  return b.build(topology.name);
}

const namesOf = (topology: ModelTopology): string[] => topology.layers.flatMap((l) => [l.name, ...(l.inner ? namesOf(l.inner) : [])]);

/** Channels first or last: what the layers that have a say agree on. */
function layoutOf(topology: ModelTopology): Layout {
  const said = new Map<string, string>();
  const visit = ({ layers }: ModelTopology): void => {
    for (const { className, config, inner, name } of layers) {
      const format = config['data_format'];
      if (typeof format === 'string' && className !== 'Flatten' && !said.has(snake(format))) said.set(snake(format), name);
      if (inner) visit(inner);
    }
  };
  visit(topology);
  const [first, last] = [said.get('channels_first'), said.get('channels_last')];
  if (first !== undefined && last !== undefined)
    throw new UserError(
      `layer '${first}' keeps channels first and layer '${last}' keeps them last`,
      'Build the model with one data_format for all layers.',
    );
  return first !== undefined ? 'first' : 'last';
}

const snake = (format: string): string =>
  format === 'channelsFirst' ? 'channels_first' : format === 'channelsLast' ? 'channels_last' : format;

class GraphReader {
  private readonly taken = new Set<string>();
  private readonly constants = new Map<string, { value: Value; data: Float32Array }>();

  constructor(
    private readonly b: GraphBuilder,
    private readonly weights: WeightSource,
    private readonly dialect: Dialect,
    private readonly layout: Layout,
  ) {}

  /** A graph input, its batch free. */
  input(topology: ModelTopology, name: string): Carried {
    const layer = topology.layers.find((l) => l.name === name);
    if (!layer) throw new UserError(`the model's input '${name}' is not among its layers`, DAMAGED);
    const shape = inputShapeOf(layer.config) ?? (layer.inner ? inputShapeOf(layer.inner.layers[0]?.config ?? {}) : undefined);
    if (!shape)
      throw new UserError(
        `the shape of the model's input '${name}' is not stated`,
        'Build the model with an input shape and save it again.',
      );
    const lengths = shape.slice(1);
    if (lengths.some((d) => typeof d !== 'number' || !Number.isInteger(d) || d < 1))
      throw new UserError(
        `the model's input '${name}' leaves lengths open: [${shape.map((d) => d ?? '?').join(', ')}]`,
        'Build the model with a fixed input shape and save it again.',
      );
    // Token numbers are whole; everything else is a float.
    const type = WHOLE.find((t) => t === layer.config['dtype']) ?? 'float32';
    return carried(this.b.input(this.unique(name), ['batch', ...graphLengths(lengths as number[], this.layout)], type));
  }

  /** The outputs of a model for the given inputs; `path` holds the names of the models around it. */
  model(topology: ModelTopology, inputs: readonly Carried[], path: readonly string[]): Carried[] {
    const results = new Map<string, readonly Carried[]>();
    const key = (r: Pick<TensorReference, 'layer' | 'call'>): string => `${r.call}:${r.layer}`;
    for (const [i, r] of topology.inputs.entries()) {
      if (!inputs[i])
        throw new UserError(`the model '${topology.name}' is given ${inputs.length} inputs and takes ${topology.inputs.length}`, DAMAGED);
      results.set(key(r), [inputs[i]]);
    }
    let pending = topology.layers
      .flatMap((layer) => layer.calls.map((call, index) => ({ layer, call, index })))
      .filter((p) => !results.has(key({ layer: p.layer.name, call: p.index })));
    while (pending.length > 0) {
      const later = pending.filter(({ layer, call, index }) => {
        if (call.length === 0 || !call.every((r) => results.has(key(r)))) return true;
        const given = call.map((r) => this.result(results.get(key(r))!, r));
        results.set(key({ layer: layer.name, call: index }), this.layer(layer, given, path, index));
        return false;
      });
      if (later.length === pending.length) break;
      pending = later;
    }
    return topology.outputs.map((r) => {
      const found = results.get(key(r));
      if (!found) throw new UserError(`nothing leads from the model's inputs to its layer '${r.layer}'`, DAMAGED);
      return this.result(found, r);
    });
  }

  private result(outputs: readonly Carried[], reference: TensorReference): Carried {
    const found = outputs[reference.output];
    if (!found) throw new UserError(`layer '${reference.layer}' has no output number ${reference.output}`, DAMAGED);
    return found;
  }

  private layer(layer: LayerTopology, inputs: readonly Carried[], path: readonly string[], call: number): readonly Carried[] {
    if (layer.inner) return this.model(layer.inner, inputs, [...path, layer.name]);
    const read = Object.hasOwn(LAYERS, layer.className) ? LAYERS[layer.className] : undefined;
    if (!read) {
      const reason = Object.hasOwn(REASONS, layer.className) ? REASONS[layer.className] : 'is of a class that is not known';
      refuse({ layer: layer.name, className: layer.className }, reason);
    }
    const context = this.context(layer, inputs, path, call);
    const masked = Object.entries(context.keywords.values).some(
      ([key, value]) => IMPLICIT_MASK.test(key) && (isObject(value) || isList(value)),
    );
    // Masks that Keras passes on by itself follow from the layers; one of the author's own does not.
    if (masked && !inputs.some((i) => i.mask)) refuse(context, 'is given a mask as a tensor, which is not read');
    return [withMask(context, read(context), layer.operation === true)];
  }

  /** @param outer where a wrapper does nothing but what the layer does: its name, which the nodes and, in some files, the weights bear */
  private context(
    layer: LayerTopology,
    inputs: readonly Carried[],
    path: readonly string[],
    call: number,
    outer?: readonly string[],
  ): LayerContext {
    const { b } = this;
    const own = [...path, layer.name];
    const base = (outer ?? own).join('/');
    const label = call === 0 ? base : `${base}#${call + 1}`;
    let found: ReadonlyMap<string, Weight> | undefined;
    const weights = (): ReadonlyMap<string, Weight> => {
      const order = weightOrder(layer.className, layer.config);
      found ??= this.weights.of(own, order);
      if (found.size === 0 && outer) found = this.weights.of(outer, order);
      return found;
    };
    const named = (part: string): string => this.unique(part === '' ? label : `${label}/${part}`);
    const described = { layer: base, className: layer.className };
    return {
      ...described,
      b,
      config: layer.config,
      inputs,
      keywords: layer.keywords?.[call] ?? { positional: inputs.length, tensors: {}, values: {} },
      layout: this.layout,
      dialect: this.dialect,
      op: (opType, values, attributes = {}, part = '', options = {}) =>
        b.op(opType, values, possible(described, attributes), { ...options, name: named(part) }),
      ops: (opType, values, attributes, outputs, part = '') =>
        b.ops(opType, values, possible(described, attributes), { outputs, name: named(part) }),
      inner: (name, className, config, whole = false) =>
        this.context({ name, className, config, calls: [] }, inputs, own, call, whole ? own : undefined),
      weight: (names, dims) => {
        const wanted = typeof names === 'string' ? [names] : names;
        const weight = wanted.map((n) => weights().get(n)).find((w) => w !== undefined);
        if (!weight)
          refuse(
            described,
            `lacks its weight '${wanted[0]}'`,
            weights().size > 0
              ? `The file has ${[...weights().keys()].join(', ')} for it; save the model again.`
              : 'Save the model with its weights.',
          );
        if (weight.dims.length !== dims.length || weight.dims.some((d, i) => d !== dims[i]))
          refuse(
            described,
            `has a weight '${wanted[0]}' of dimensions [${weight.dims.join(', ')}] where [${dims.join(', ')}] belong`,
            DAMAGED,
          );
        return weight;
      },
      constant: (short, weight) => this.constant(`${base}/${short}`, weight),
    };
  }

  /** A layer that is called twice shares its weights, unless their rows had to be ordered differently. */
  private constant(name: string, weight: Weight): Value {
    const before = this.constants.get(name);
    if (before?.data.length === weight.data.length && before.data.every((v, i) => Object.is(v, weight.data[i]))) return before.value;
    const value = this.b.constant(Tensor.float32(this.unique(name), weight.dims, weight.data));
    this.constants.set(name, { value, data: weight.data });
    return value;
  }

  private unique(name: string): string {
    let free = name;
    for (let i = 2; this.taken.has(free); i++) free = `${name}#${i}`;
    this.taken.add(free);
    return free;
  }

  /** Declares the graph's outputs; flat ones that were images leave in the source's order. */
  finish(topology: ModelTopology, inputs: readonly Carried[], outputs: readonly Carried[]): void {
    const declared = new Set(inputs.map((i) => i.value.name));
    for (const [i, output] of outputs.entries()) {
      const { layer } = topology.outputs[i];
      const at = { name: layer, config: {}, calls: [], className: 'Flatten' };
      const context = this.context(at, [output], [], 0);
      let value = inSourceOrder(context, output);
      if (declared.has(value.name)) value = context.op('Identity', [value], {}, 'output', { types: [value] });
      declared.add(value.name);
      this.b.output(value, value.name, ['batch', ...value.shape.slice(1)]);
    }
  }
}

/** @throws UserError where a setting of the layer is no number that a graph can hold */
function possible(layer: Pick<LayerContext, 'layer' | 'className'>, attributes: Record<string, AttributeValue | undefined>) {
  const whole = (v: unknown): boolean => typeof v !== 'number' || Number.isSafeInteger(v);
  for (const [name, value] of Object.entries(attributes)) {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    const float = typeof value === 'object' && 'float' in value ? value.float : 0;
    if (!list.every(whole) || !Number.isFinite(Math.fround(float)))
      refuse(
        layer,
        `would need the ${name} ${JSON.stringify(typeof value === 'object' && 'float' in value ? float : value)}, which is not possible`,
        DAMAGED,
      );
  }
  return attributes;
}

/** The version of Keras that wrote a config, as far as it matters. */
export function dialectOf(kerasVersion: unknown): Dialect {
  if (typeof kerasVersion === 'string' && kerasVersion.startsWith('tfjs')) return 'tfjs';
  return typeof kerasVersion === 'string' && Number.parseInt(kerasVersion, 10) >= 3 ? 'keras3' : 'keras2';
}

/** The JSON of a file. @throws UserError naming what is wrong with it */
export function parseObject(text: string, what: string) {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${what} is not valid JSON: ${cause instanceof Error ? cause.message : String(cause)}`, DAMAGED, { cause });
  }
  const value = json as Parameters<typeof isObject>[0];
  if (!isObject(value)) throw new UserError(`${what} holds no object`, DAMAGED);
  return value;
}
