/**
 * The layers of a Keras-style model and how they are connected, read from its JSON: Keras 1 and 2, TensorFlow.js (which writes the same
 * in its own hand) and Keras 3 (whose calls hold `__keras_tensor__` objects).
 */
import { UserError } from '../errors';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

/** One output of one call of a layer. */
export interface TensorReference {
  readonly layer: string;
  readonly call: number;
  readonly output: number;
}

/** What a call gives by name: tensors as places among its references, and plain values. */
export interface CallKeywords {
  /** References that were given without a name; they come first. */
  readonly positional: number;
  readonly tensors: Readonly<Record<string, number>>;
  readonly values: Readonly<Record<string, Json>>;
}

export interface LayerTopology {
  readonly className: string;
  readonly name: string;
  readonly config: JsonObject;
  /** What each call of the layer is given; empty for input layers. */
  readonly calls: ReadonlyArray<readonly TensorReference[]>;
  /** By call; absent where nothing is named. */
  readonly keywords?: readonly CallKeywords[];
  /** True for operations on tensors (x + y in Keras 3), which share their names with layers. */
  readonly operation?: boolean;
  /** Why its calls cannot be read; said only where its result is needed. */
  readonly problem?: UserError;
  /** The layers inside, where this one is a model itself. */
  readonly inner?: ModelTopology;
}

export interface ModelTopology {
  readonly name: string;
  readonly layers: readonly LayerTopology[];
  readonly inputs: readonly TensorReference[];
  readonly outputs: readonly TensorReference[];
}

const MODELS = new Set(['Sequential', 'Functional', 'Model']);

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);

/** @throws UserError where the JSON describes no model whose layers can be told */
export function readTopology(json: Json | undefined): ModelTopology {
  if (!isObject(json)) throw new UserError('the file describes no model', 'Save the whole model, not only its weights.');
  const className = json['class_name'];
  if (typeof className !== 'string' || !MODELS.has(className))
    throw new UserError(
      `the file describes a ${typeof className === 'string' ? `'${className}'` : 'thing'} and not a Sequential or Functional model`,
      'A model of a class of its own keeps its layers in code; export it to ONNX from there.',
    );
  return className === 'Sequential' ? sequential(json) : functional(json);
}

/** Old files give a Sequential's layers alone. */
function configOf(json: JsonObject): { config: JsonObject; layers: readonly Json[] } {
  const { config } = json;
  if (isList(config)) return { config: {}, layers: config };
  if (!isObject(config) || !isList(config['layers'])) throw damaged('the model lists no layers');
  return { config, layers: config['layers'] };
}

function sequential(json: JsonObject): ModelTopology {
  const { config, layers: listed } = configOf(json);
  const layers: LayerTopology[] = [];
  for (const entry of listed) {
    const layer = readLayer(entry);
    const before = layers.at(-1);
    if (!before && layer.className !== 'InputLayer') {
      const shape =
        inputShapeOf(layer.config) ?? (layer.inner && innerInputShape(layer.inner)) ?? inputShapeFrom(config['build_input_shape']);
      layers.push({ className: 'InputLayer', name: `${layer.name}_input`, config: shape ? { batch_input_shape: shape } : {}, calls: [[]] });
    }
    const source = layers.at(-1);
    layers.push(source ? { ...layer, calls: [[{ layer: source.name, call: 0, output: 0 }]] } : { ...layer, calls: [[]] });
  }
  if (layers.length === 0) throw damaged('the model has no layers');
  const end = (layer: LayerTopology): TensorReference => ({ layer: layer.name, call: 0, output: 0 });
  return { name: text(config['name']) ?? 'sequential', layers: distinct(layers), inputs: [end(layers[0])], outputs: [end(layers.at(-1)!)] };
}

function functional(json: JsonObject): ModelTopology {
  const { config, layers: listed } = configOf(json);
  const inputs = endpoints(config['input_layers'], 'input_layers');
  const outputs = endpoints(config['output_layers'], 'output_layers');
  const layers = needed(distinct(listed.map(readLayer)), outputs, inputs);
  const references = [...layers.flatMap((l) => l.calls.flat()), ...outputs];
  // Keras counts the calls of a nested model from 1, since its own making was call 0.
  const first = new Map<string, number>();
  for (const { name, inner } of layers) {
    const calls = inner ? references.filter((r) => r.layer === name).map((r) => r.call) : [];
    if (calls.length > 0)
      first.set(
        name,
        calls.reduce((least, c) => Math.min(least, c)),
      );
  }
  const fromZero = (r: TensorReference): TensorReference => ({ ...r, call: r.call - (first.get(r.layer) ?? 0) });
  return {
    name: text(config['name']) ?? 'model',
    layers: layers.map((l) => ({
      ...l,
      calls: l.calls.length > 0 || l.className !== 'InputLayer' ? l.calls.map((c) => c.map(fromZero)) : [[]],
    })),
    inputs,
    outputs: outputs.map(fromZero),
  };
}

function readLayer(json: Json): LayerTopology {
  if (!isObject(json) || typeof json['class_name'] !== 'string') throw damaged('a layer has no class name');
  const config = isObject(json['config']) ? json['config'] : {};
  const className = json['class_name'];
  const name = text(json['name']) ?? text(config['name']) ?? className.toLowerCase();
  const inner = MODELS.has(className) ? readTopology(json) : undefined;
  const nodes = json['inbound_nodes'];
  // Keras 3 notes a Sequential's shape beside its config.
  const build = isObject(json['build_config']) ? json['build_config']['input_shape'] : undefined;
  const known = build !== undefined && inputShapeOf(config) === undefined && !inner ? { ...config, build_input_shape: build } : config;
  const described = { className, name, config: known, operation: isOperation(json, config), inner };
  try {
    const calls = isList(nodes) ? nodes.map((node) => readCall(node, name)) : [];
    return { ...described, calls: calls.map((c) => c.references), keywords: calls.map((c) => c.keywords) };
  } catch (cause) {
    // Keras 3 writes how masks are computed as operations; what reads the masks follows from the layers themselves.
    if (!described.operation || !(cause instanceof UserError)) throw cause;
    return { ...described, calls: [], problem: cause };
  }
}

/** Without layers that the outputs do not need, as those are that compute masks. @throws UserError where one that is needed cannot be read */
function needed(
  layers: readonly LayerTopology[],
  outputs: readonly TensorReference[],
  inputs: readonly TensorReference[],
): readonly LayerTopology[] {
  const byName = new Map(layers.map((l) => [l.name, l]));
  const found = new Set(inputs.map((i) => i.layer));
  const stack = outputs.map((o) => o.layer);
  for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    const layer = byName.get(name);
    if (layer?.problem) throw layer.problem;
    for (const { layer: before } of layer?.calls.flat() ?? []) stack.push(before);
  }
  return layers.filter((l) => found.has(l.name));
}

/** HDF5 files do not name the module; operations have no settings of layers. */
const isOperation = (json: JsonObject, config: JsonObject): boolean =>
  text(json['module'])?.includes('.ops.') ?? (Object.keys(config).every((k) => k === 'name') && Object.keys(config).length === 1);

interface Call {
  readonly references: readonly TensorReference[];
  readonly keywords: CallKeywords;
}

function withKeywords(found: TensorReference[], named: Json | undefined, layer: string): Call {
  const positional = found.length;
  const tensors: Record<string, number> = Object.create(null);
  const values: Record<string, Json> = Object.create(null);
  for (const [key, value] of isObject(named) ? Object.entries(named) : []) {
    const before = found.length;
    collectKeyword(key, value, layer, found);
    if (found.length > before) tensors[key] = before;
    else if (value !== undefined) values[key] = value;
  }
  return { references: found, keywords: { positional, tensors, values } };
}

/** One call's tensors. @throws UserError where it is also given numbers, which the layer's config does not hold */
function readCall(node: Json, layer: string): Call {
  if (isObject(node)) {
    const found: TensorReference[] = [];
    collect(node['args'], layer, found);
    return withKeywords(found, node['kwargs'], layer);
  }
  if (!isList(node)) throw damaged(`layer '${layer}' has a call that is no list`);
  // A single tensor may stand alone: ['input', 0, 0, {}].
  const entries = typeof node[0] === 'string' ? [node] : node;
  const found = entries.map((entry) => {
    if (!isList(entry)) throw damaged(`layer '${layer}' has a call that is no list`);
    return reference(entry, layer);
  });
  return withKeywords(found, isList(entries[0]) ? entries[0][3] : undefined, layer);
}

function collect(value: Json | undefined, layer: string, found: TensorReference[]): void {
  if (value === undefined || value === null) return;
  if (isList(value)) {
    // As Keras 2 writes a tensor: its layer, call and output.
    if (typeof value[0] === 'string' && typeof value[1] === 'number') found.push(reference(value, layer));
    else for (const item of value) collect(item, layer, found);
    return;
  }
  const config = isObject(value) && value['class_name'] === '__keras_tensor__' ? value['config'] : undefined;
  const history = isObject(config) ? config['keras_history'] : undefined;
  if (!isList(history)) throw calledWithValues(layer);
  found.push(reference(history, layer));
}

/** Masks that Keras passes on by itself. */
export const IMPLICIT_MASK = /^(?:(?:query|value|key)_)?mask$/;

/** Arguments that say nothing at inference are passed over. */
function collectKeyword(key: string, value: Json | undefined, layer: string, found: TensorReference[]): void {
  if (value === null || value === undefined || typeof value === 'boolean' || key === 'name') return;
  if (IMPLICIT_MASK.test(key)) return;
  collect(value, layer, found);
}

const calledWithValues = (layer: string): UserError =>
  new UserError(
    `layer '${layer}' is called with a value that is no tensor of the model, which its config does not explain`,
    'Use a layer that holds the value (Rescaling, for example), or export the model to ONNX from its own framework.',
  );

function reference(entry: readonly Json[], layer: string): TensorReference {
  const [name, call, output] = entry;
  if (typeof name !== 'string') throw damaged(`layer '${layer}' is connected to something without a name`);
  return { layer: name, call: typeof call === 'number' ? call : 0, output: typeof output === 'number' ? output : 0 };
}

function endpoints(value: Json | undefined, field: string): TensorReference[] {
  if (!isList(value)) throw damaged(`the model's ${field} are missing`);
  const entries = typeof value[0] === 'string' ? [value] : value;
  return entries.map((entry) => {
    if (!isList(entry)) throw damaged(`the model's ${field} are no list`);
    return reference(entry, field);
  });
}

function distinct(layers: readonly LayerTopology[]): readonly LayerTopology[] {
  const names = new Set<string>();
  for (const { name } of layers) {
    if (names.has(name))
      throw new UserError(`two layers are named '${name}'`, 'Give every layer a name of its own and save the model again.');
    names.add(name);
  }
  return layers;
}

/** The shape that a layer's config states for its input, the batch first. */
export const inputShapeOf = (config: JsonObject): readonly Json[] | undefined =>
  inputShapeFrom(config['batch_input_shape']) ?? inputShapeFrom(config['batch_shape']) ?? inputShapeFrom(config['build_input_shape']);

const inputShapeFrom = (value: Json | undefined): readonly Json[] | undefined => (isList(value) ? value : undefined);

function innerInputShape(model: ModelTopology): readonly Json[] | undefined {
  const input = model.layers.find((l) => l.name === model.inputs[0]?.layer);
  return input && inputShapeOf(input.config);
}

const text = (value: Json | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

const damaged = (what: string): UserError => new UserError(what, 'The file is damaged, or of a version that is not known; save it again.');
