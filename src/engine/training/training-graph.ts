/**
 * A whole training step as one ONNX graph: forward pass, loss, backward pass, SGD with momentum, running statistics. It is derived from
 * any inference graph whose operators have gradients; onnxruntime runs it at native speed.
 *
 * Inputs: the model's inputs, `labels` (int32 [N]), `teacher` ([N, classes]) where the loss needs them, `learning_rate` (scalar), and flat
 * tensors for every parameter (weight, velocity, mask and scales where it has them) and running statistic.
 * Outputs: the next weights, velocities and statistics, `loss`, `correct`, the scores, and whatever transforms observe.
 */
import { UserError } from '../errors';
import { inferTypes } from '../graph/infer';
import { capturedNames, hasSubgraph, type Model, type Node, opsetOf, withGraph } from '../onnx/model';
import { type DataType, elementCount, isFloat, type Tensor } from '../onnx/tensor';
import { GraphBuilder, type Value } from '../ops/builder';
import type { TrainingContext } from '../ops/operator';
import type { Random } from '../random';
import type { SampleLayout } from '../runtime/feeds';
import { batchedInputs, layoutOf, withBatch } from './batched';
import { emit, energyAlong, reshape } from './emit';
import { emitFakeQuantized, type WeightQuantizer } from './fake-quantization';
import { ancestors, logitsName } from './logits';
import { emitLoss, type LossOptions, needsLabels, needsTargets, needsTeacher, ofValues } from './losses';
import { carryOver, GRAPH_OPSET, modernized } from './operator-set';
import { emitStep, type OptimizerOptions } from './optimizer';
import { Tape } from './tape';
import { trainableParameters } from './trainable';

/** What a transform may use; all it emits through `tape.op` is differentiated. */
export interface TransformContext {
  readonly tape: Tape;
  /** A value of the model that is computed before the transformed one. */
  value(name: string): Value;
  /** A parameter of the transform's own, trained beside the model's. `decays` default false. */
  parameter(name: string, shape: readonly number[], initial: Float32Array, decays?: boolean): Value;
  random: TrainingContext['random'];
  /** Adds a scalar to the loss. */
  addLoss(term: Value): void;
  /** Makes a value readable after each step under this name. */
  observe(name: string, value: Value): void;
  /** A value that is given at each step under this name (`TrainingBatch.fed`). */
  feed(name: string, shape: readonly number[]): Value;
}

/** Replaces a value of the forward pass by another of the same shape (noise on activations). */
export type ValueTransform = (context: TransformContext, value: Value) => Value;

export interface TrainingGraphOptions extends OptimizerOptions {
  /** Samples a step; the graph's shapes are fixed for it. */
  readonly batch: number;
  readonly loss?: LossOptions;
  /** Keeps a weight from being trained by returning false; default: all are. */
  readonly trainable?: (name: string, tensor: Tensor) => boolean;
  /** Names of parameters that have a mask: their masked weights are held at zero. */
  readonly masked?: readonly string[];
  readonly quantizers?: ReadonlyMap<string, Pick<WeightQuantizer, 'bits' | 'axis'>>;
  /** Use running statistics as constants, as in inference; scale and bias are still trained. Default false. */
  readonly freezeBatchNorm?: boolean;
  /** By name of the value that is replaced. */
  readonly transforms?: ReadonlyMap<string, ValueTransform>;
  /**
   * Axes by name of a value: the squared gradient of the loss by the value is observed under that name, summed over all other axes. Nothing
   * is observed where no gradient passes.
   */
  readonly gradientEnergies?: ReadonlyMap<string, number>;
  /**
   * Seeds random operators (Dropout, information dropout); needed only where there are any. Draws are the same for the same seed and
   * session; a session made anew (resume) starts its draws again.
   */
  readonly random?: Random;
}

/** A tensor that a step reads from one name and writes to another. */
export interface Slot {
  readonly input: string;
  readonly output: string;
}

export interface ParameterSlot {
  /** The initializer's name, or the transform's own. */
  readonly name: string;
  readonly dims: readonly number[];
  readonly size: number;
  readonly initial: Float32Array;
  readonly weight: Slot;
  readonly velocity: Slot;
  /** Input of the mask, flat. */
  readonly mask?: string;
  /** Input of the scales, [channels]. */
  readonly scales?: string;
  /** True for parameters of transforms, which are no part of the trained model. */
  readonly auxiliary: boolean;
}

export interface StatisticSlot extends Slot {
  /** The initializer's name. */
  readonly name: string;
  readonly dims: readonly number[];
  readonly initial: Float32Array;
}

export interface TrainingGraph {
  readonly model: Model;
  readonly batch: number;
  /** Shapes with the batch. */
  readonly inputs: ReadonlyArray<{ readonly name: string; readonly type: DataType; readonly shape: readonly number[] }>;
  /** How a row of a batch holds their values. */
  readonly layout: SampleLayout;
  readonly classes: number;
  /** Input names, where the loss uses them. */
  readonly labels?: string;
  readonly teacher?: string;
  readonly targets?: string;
  readonly learningRate: string;
  readonly parameters: readonly ParameterSlot[];
  readonly statistics: readonly StatisticSlot[];
  readonly loss: string;
  readonly correct: string;
  readonly logits: string;
  readonly observed: ReadonlyArray<{ readonly name: string; readonly output: string; readonly shape: readonly number[] }>;
  /** What transforms want to be given at each step, by their names for it. */
  readonly fed: ReadonlyArray<{ readonly name: string; readonly input: string; readonly shape: readonly number[] }>;
}

/**
 * @throws UserError naming the node and operator that a gradient would have to pass and cannot, or where nothing can be trained
 */
export function buildTrainingGraph(source: Model, options: TrainingGraphOptions): TrainingGraph {
  const { batch, loss: lossOptions = {}, freezeBatchNorm = false } = options;
  const model = withBatch(source, batch);
  const inputs = batchedInputs(model, batch);
  const opset = opsetOf(model);
  const b = new GraphBuilder(Math.max(opset, GRAPH_OPSET));
  reserveNames(b, model);

  const values = new Map<string, Value>(inputs.map(({ info, shape }) => [info.name, b.input(info.name, shape, info.type)]));
  const learningRate = b.input(b.fresh('learning_rate'), []);
  const labelsInput = needsLabels(lossOptions) ? b.input(b.fresh('labels'), [batch], 'int32') : undefined;
  const statistics: StatisticSlot[] = [];
  const tape = new Tape(b, {
    statistic(running, value, momentum) {
      const tensor = model.graph.initializers.get(running);
      if (!tensor) throw new UserError(`the running statistic '${running}' is not a constant of the model, so it cannot be updated`);
      if (statistics.some((s) => s.name === running)) return;
      const before = b.input(b.fresh(`s_${running}`), tensor.dims);
      const part = (v: Value, factor: number): Value => emit(b, 'Mul', [v, b.scalar(factor)], tensor.dims);
      const after = emit(b, 'Add', [part(before, momentum), part(value, 1 - momentum)], tensor.dims);
      b.output(after);
      statistics.push({ name: running, dims: tensor.dims, initial: tensor.floats(), input: before.name, output: after.name });
    },
    random: randomSource(b, options.random),
  });

  const parameters = new Map<string, Parameter>();
  const addParameter = (name: string, dims: readonly number[], initial: Float32Array, auxiliary: boolean, decays: boolean): Value => {
    const parameter = emitParameter(b, name, dims, initial, auxiliary, decays, options);
    parameters.set(name, parameter);
    tape.watch(parameter.value);
    return parameter.value;
  };

  const logitsValue = logitsName(model, ofValues(lossOptions));
  // What is compared with a teacher may lie on the way to another output.
  const nodes = ancestors(model, [logitsValue, ...(options.transforms?.keys() ?? [])]);
  const { types } = inferTypes(
    { ...model, graph: { ...model.graph, nodes } },
    {
      inputShapes: Object.fromEntries(inputs.map(({ info, shape }) => [info.name, shape])),
    },
  );
  const decayAll = options.decayBiases ?? true;
  for (const [name, t] of trainableParameters({ ...model, graph: { ...model.graph, nodes } }, options.trainable)) {
    values.set(name, addParameter(name, t.dims, t.floats(), false, decayAll || t.dims.length > 1));
  }
  const lookUp = (name: string): Value | undefined => {
    if (name === '') return undefined;
    const known = values.get(name);
    if (known) return known;
    const constant = model.graph.initializers.get(name) ?? types.get(name)?.value;
    if (!constant) throw new Error(`value '${name}' is used before it is made`);
    const value = b.constant(constant.name === name ? constant : constant.renamed(name));
    values.set(name, value);
    return value;
  };

  const terms: Value[] = [];
  const observed: Array<{ name: string; output: string; shape: readonly number[] }> = [];
  const fed: Array<{ name: string; input: string; shape: readonly number[] }> = [];
  const transformContext: TransformContext = {
    tape,
    value: (name) => lookUp(name)!,
    parameter: (name, shape, initial, decays = false) => addParameter(name, shape, initial, true, decays),
    random: randomSource(b, options.random),
    addLoss: (term) => void terms.push(term),
    observe: (name, value) => void observed.push({ name, output: value.name, shape: value.shape }),
    feed: (name, shape) => {
      const value = b.input(b.fresh(`fed_${name}`), shape);
      fed.push({ name, input: value.name, shape });
      return value;
    },
  };
  for (const node of nodes) {
    // What follows from shapes alone is a constant of the graph, made when it is first used.
    if (node.outputs.every((o) => o === '' || types.get(o)?.value)) continue;
    const operands = node.inputs.map(lookUp);
    const outputTypes = node.outputs.map((o) => types.get(o) ?? { type: 'float32' as const });
    const training = !(freezeBatchNorm && node.opType === 'BatchNormalization');
    const outputs = tape.run(node, operands, outputTypes, opset, { training, carried: carryOver(b, node, operands, opset) });
    node.outputs.forEach((name, i) => {
      if (name === '' || !outputs[i]) return;
      const transform = options.transforms?.get(name);
      values.set(name, transform ? transform(transformContext, outputs[i]) : outputs[i]);
    });
  }
  for (const name of options.transforms?.keys() ?? [])
    if (!values.has(name)) throw new Error(`no value '${name}' to transform on the way to the scores`);
  if (parameters.size === 0) throw new UserError('nothing in the model can be trained: no node has a weight that is not held fixed');

  const scores = lookUp(logitsValue)!;
  const logits = flatScores(tape, scores, batch, !needsLabels(lossOptions));
  const aims = needsTargets(lossOptions) ? b.input(b.fresh('targets'), logits.shape) : undefined;
  const teacherInput = needsTeacher(lossOptions) ? b.input(b.fresh('teacher'), logits.shape) : undefined;
  const labels = labelsInput && b.op('Cast', [labelsInput], { to: 7 }, { types: [{ type: 'int64', shape: [batch] }] });
  const emitted = emitLoss(b, logits, labels, teacherInput, lossOptions, aims);
  tape.accumulate(logits, emitted.gradient);
  let lossValue = emitted.loss;
  for (const term of terms) {
    tape.accumulate(term, b.scalar(1));
    lossValue = emit(b, 'Add', [lossValue, term], []);
  }
  tape.backward();
  for (const [name, axis] of options.gradientEnergies ?? []) {
    const value = values.get(name);
    const gradient = value && tape.gradient(value);
    if (gradient) transformContext.observe(name, energyAlong(b, gradient, axis));
  }

  const slots = [...parameters.values()].map((p) => finishParameter(b, tape, p, learningRate, options, nodes));
  b.output(lossValue);
  b.output(emitted.correct);
  b.output(logits);
  for (const o of observed) b.output({ name: o.output, type: 'float32', shape: o.shape });
  const domains = [...model.opsets].filter(([domain]) => domain !== '');
  return {
    model: modernized(withoutDeadNodes(b.build('training_step', [['com.microsoft', 1], ...domains]))),
    batch,
    inputs: inputs.map(({ info, shape }) => ({ name: info.name, type: info.type, shape })),
    layout: layoutOf(inputs),
    classes: logits.shape[1],
    labels: labelsInput?.name,
    teacher: teacherInput?.name,
    targets: aims?.name,
    learningRate: learningRate.name,
    parameters: slots,
    statistics,
    loss: lossValue.name,
    correct: emitted.correct.name,
    logits: logits.name,
    observed,
    fed,
  };
}

/** Gradients that nobody asked for, and constants that were only read while building, are left out. */
function withoutDeadNodes(model: Model): Model {
  const outputs = model.graph.outputs.map((o) => o.name);
  const nodes = ancestors(model, outputs);
  const used = new Set([...outputs, ...nodes.flatMap((n) => (hasSubgraph(n) ? [...n.inputs, ...capturedNames(n)] : n.inputs))]);
  return withGraph(model, { nodes, initializers: new Map([...model.graph.initializers].filter(([name]) => used.has(name))) });
}

interface Parameter {
  readonly name: string;
  readonly dims: readonly number[];
  readonly initial: Float32Array;
  readonly auxiliary: boolean;
  readonly decays: boolean;
  /** Flat inputs. */
  readonly weight: Value;
  readonly velocity: Value;
  readonly mask?: Value;
  readonly scales?: Value;
  /** What the forward pass sees, under the initializer's own name. */
  readonly value: Value;
  /** Gradient by the weight from that by the value. */
  backward(gradient: Value): Value;
}

function emitParameter(
  b: GraphBuilder,
  name: string,
  dims: readonly number[],
  initial: Float32Array,
  auxiliary: boolean,
  decays: boolean,
  options: TrainingGraphOptions,
): Parameter {
  const size = elementCount(dims);
  const weight = b.input(b.fresh(`w_${name}`), [size]);
  const velocity = b.input(b.fresh(`v_${name}`), [size]);
  const mask = new Set(options.masked).has(name) ? b.input(b.fresh(`mask_${name}`), [size]) : undefined;
  const common = { name, dims, initial, auxiliary, decays, weight, velocity, mask };
  const quantizer = options.quantizers?.get(name);
  if (!quantizer) return { ...common, value: reshape(b, weight, dims, name), backward: (gradient) => gradient };
  const scales = b.input(b.fresh(`scales_${name}`), [dims[quantizer.axis]]);
  const quantized = emitFakeQuantized(b, weight, dims, scales, quantizer, name);
  return { ...common, scales, value: quantized.value, backward: (gradient) => quantized.backward(gradient) };
}

function finishParameter(
  b: GraphBuilder,
  tape: Tape,
  p: Parameter,
  learningRate: Value,
  options: TrainingGraphOptions,
  nodes: readonly Node[],
): ParameterSlot {
  const arriving = tape.gradient(p.value);
  if (!arriving) {
    const user = nodes.find((n) => n.inputs.includes(p.name));
    throw new UserError(
      `the weight '${p.name}'${user ? ` of node '${user.name || user.outputs[0]}' (${user.opType})` : ''} does not influence the loss through any operator with a gradient`,
      'Keep it fixed (skip the layer), or do without fine-tuning (recovery.epochs: 0).',
    );
  }
  const gradient = reshape(b, p.backward(arriving), [elementCount(p.dims)]);
  const next = emitStep(b, { ...p, gradient, matrix: options.muon && kernelMatrix(p, nodes) }, learningRate, options);
  b.output(next.weight);
  b.output(next.velocity);
  return {
    name: p.name,
    dims: p.dims,
    size: elementCount(p.dims),
    initial: p.initial,
    auxiliary: p.auxiliary,
    weight: { input: p.weight.name, output: next.weight.name },
    velocity: { input: p.velocity.name, output: next.velocity.name },
    mask: p.mask?.name,
    scales: p.scales?.name,
  };
}

/** [filters, inputs · kernel] of a kernel that only convolutions use; none for one that reads a channel a group: its filters are no mixtures. */
function kernelMatrix({ name, dims }: Parameter, nodes: readonly Node[]): [number, number] | undefined {
  const users = nodes.filter((n) => n.inputs.includes(name));
  if (users.length === 0 || dims[1] === 1 || !users.every((n) => n.opType === 'Conv' && n.inputs[1] === name)) return undefined;
  return [dims[0], elementCount(dims) / dims[0]];
}

/**
 * Scores as [N, classes]; axes of length 1 after the classes (a network that ends in a pooling or 1×1 convolution) are dropped, and where no label asks for
 * classes, values of any shape become one row a sample.
 */
function flatScores(tape: Tape, scores: Value, batch: number, anyShape: boolean): Value {
  if (!scores.shape || !isFloat(scores.type)) throw new UserError(`the shape of the model's output '${scores.name}' is not known`);
  if (scores.shape.length === 2 && scores.shape[0] === batch) return scores;
  const classes = elementCount(scores.shape) / batch;
  if (scores.shape[0] !== batch || (scores.shape[1] !== classes && !anyShape)) {
    throw new UserError(
      `output '${scores.name}' has the shape [${scores.shape.join(', ')}] for ${batch} samples; training needs one score a class, [${batch}, classes]`,
      'Only classifiers can be trained here.',
    );
  }
  return tape.op('Reshape', [scores, tape.b.ints([batch, classes])]);
}

/** Names of the model must stay free for its own nodes. */
export function reserveNames(b: GraphBuilder, model: Model): void {
  const { inputs, initializers, nodes } = model.graph;
  b.reserve([...inputs.map((i) => i.name), ...initializers.keys(), ...nodes.flatMap((n) => n.outputs)].filter((n) => n !== ''));
}

/** Random tensors of a graph; each has a seed of its own, and is drawn anew at every run. */
export function randomSource(b: GraphBuilder, random: Random | undefined): TrainingContext['random'] {
  return (kind, shape) => {
    if (!random) throw new Error('a graph with random operators needs a generator');
    // A float attribute holds whole numbers up to 2^24.
    const seed = { float: random.below(2 ** 24) };
    return kind === 'uniform'
      ? emit(b, 'RandomUniform', [], shape, { shape, seed, low: { float: 0 }, high: { float: 1 } })
      : emit(b, 'RandomNormal', [], shape, { shape, seed, mean: { float: 0 }, scale: { float: 1 } });
  };
}
