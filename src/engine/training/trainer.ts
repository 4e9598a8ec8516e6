/** Runs training steps: owns the session and the buffers, two of each parameter, which change places every step. */
import { UserError } from '../errors';
import { type Model, withGraph } from '../onnx/model';
import { elementCount, Tensor } from '../onnx/tensor';
import { partsOf, typedTensor, valuesOf } from '../runtime/feeds';
import { floatTensor, type RuntimeTensor, Session, type SessionOptions } from '../runtime/onnxruntime';
import { fakeQuantize, type WeightQuantizer } from './fake-quantization';
import { buildTrainingGraph, type ParameterSlot, type TrainingGraph, type TrainingGraphOptions } from './training-graph';

export interface TrainerOptions extends Omit<TrainingGraphOptions, 'masked' | 'quantizers'>, Pick<SessionOptions, 'threads' | 'spin'> {
  /** 1 where a weight lives, 0 where it is held at zero; one for each weight, by initializer name. */
  readonly masks?: ReadonlyMap<string, Float32Array>;
  readonly quantizers?: ReadonlyMap<string, WeightQuantizer>;
}

export interface TrainingBatch {
  /** [batch, ...shape], float32, normalised; for several inputs rows of their values, in the model's order. */
  readonly inputs: Float32Array;
  readonly labels?: Int32Array;
  /** [batch, classes] */
  readonly teacherLogits?: Float32Array;
  /** [batch, values] */
  readonly targets?: Float32Array;
  /** What transforms of the graph are given, by name. */
  readonly fed?: ReadonlyMap<string, Float32Array>;
}

export interface StepResult {
  /** Mean over the batch, before the step. */
  readonly loss: number;
  /** Samples of the batch whose highest score was right, before the step. */
  readonly correct: number;
}

/**
 * Everything that changes in training, as plain buffers, fit for `node:v8` serialisation. Random operators (Dropout) start their draws
 * again after a restore into a new trainer (see `Trainer.draws`).
 */
export interface TrainerState {
  readonly steps: number;
  readonly weights: Readonly<Record<string, Float32Array>>;
  readonly velocities: Readonly<Record<string, Float32Array>>;
  readonly statistics: Readonly<Record<string, Float32Array>>;
  /** Masks and scales of quantisers as they were last set; absent: left as they are. */
  readonly masks?: Readonly<Record<string, Float32Array>>;
  readonly scales?: Readonly<Record<string, Float32Array>>;
}

/** The loss is no longer a number: the steps were too long. */
export class TrainingDiverged extends UserError {}

interface Buffers {
  readonly weights: Map<string, Float32Array>;
  readonly velocities: Map<string, Float32Array>;
  readonly statistics: Map<string, Float32Array>;
}

export class Trainer {
  private steps = 0;
  /** Which of the two sets of buffers holds the present values. */
  private current = 0;

  private constructor(
    private readonly source: Model,
    readonly graph: TrainingGraph,
    private readonly session: Session,
    private readonly buffers: readonly [Buffers, Buffers],
    private readonly runs: ReadonlyArray<() => Promise<void>>,
    private readonly feeds: {
      readonly inputs: readonly RuntimeTensor[];
      readonly labels: Int32Array;
      readonly teacher: Float32Array;
      readonly targets: Float32Array;
      readonly learningRate: Float32Array;
      readonly fed: ReadonlyMap<string, Float32Array>;
    },
    private readonly results: { readonly loss: Float32Array; readonly correct: Float32Array; readonly observed: Map<string, Float32Array> },
    private readonly masks: ReadonlyMap<string, Float32Array>,
    private readonly quantizers: ReadonlyMap<string, WeightQuantizer>,
  ) {}

  /**
   * @throws UserError where the model cannot be trained (the node and operator are named)
   * @throws RangeError where a mask or the scales of a quantizer do not fit their weight
   */
  static async create(model: Model, options: TrainerOptions): Promise<Trainer> {
    const masks = new Map([...(options.masks ?? [])].map(([name, mask]) => [name, Float32Array.from(mask)]));
    const quantizers = new Map([...(options.quantizers ?? [])].map(([name, q]) => [name, { ...q, scales: Float32Array.from(q.scales) }]));
    const graph = buildTrainingGraph(model, { ...options, masked: [...masks.keys()], quantizers });
    checkParts(graph, masks, quantizers);
    const feeds = {
      inputs: graph.inputs.map((i) => typedTensor(i, new Float32Array(elementCount(i.shape)), i.shape)),
      labels: new Int32Array(graph.batch),
      teacher: new Float32Array(graph.batch * graph.classes),
      targets: new Float32Array(graph.batch * graph.classes),
      learningRate: new Float32Array(1),
      fed: new Map(graph.fed.map((f) => [f.name, new Float32Array(f.shape.reduce((a, d) => a * d, 1))])),
    };
    const results = {
      loss: new Float32Array(1),
      correct: new Float32Array(1),
      observed: new Map(graph.observed.map((o) => [o.name, new Float32Array(o.shape.reduce((a, d) => a * d, 1))])),
    };
    const buffers: [Buffers, Buffers] = [allocate(graph), allocate(graph)];
    for (const p of graph.parameters) writeMasked(buffers[0].weights.get(p.name)!, p.initial, masks.get(p.name));
    for (const s of graph.statistics) buffers[0].statistics.get(s.name)!.set(s.initial);
    const session = await Session.create(graph.model, { threads: options.threads, spin: options.spin });

    const shared: Record<string, RuntimeTensor> = {
      ...Object.fromEntries(graph.inputs.map((i, k) => [i.name, feeds.inputs[k]])),
      [graph.learningRate]: floatTensor(feeds.learningRate, []),
    };
    if (graph.labels) shared[graph.labels] = { type: 'int32', shape: [graph.batch], data: feeds.labels };
    if (graph.targets) shared[graph.targets] = floatTensor(feeds.targets, [graph.batch, graph.classes]);
    if (graph.teacher) shared[graph.teacher] = floatTensor(feeds.teacher, [graph.batch, graph.classes]);
    for (const f of graph.fed) shared[f.input] = floatTensor(feeds.fed.get(f.name)!, f.shape);
    for (const p of graph.parameters) {
      if (p.mask) shared[p.mask] = floatTensor(masks.get(p.name)!, [p.size]);
      if (p.scales) shared[p.scales] = floatTensor(quantizers.get(p.name)!.scales, [quantizers.get(p.name)!.scales.length]);
    }
    const out: Record<string, RuntimeTensor> = {
      [graph.loss]: floatTensor(results.loss, []),
      [graph.correct]: floatTensor(results.correct, []),
    };
    for (const o of graph.observed) out[o.output] = floatTensor(results.observed.get(o.name)!, o.shape);
    const runs = [0, 1].map((from) => {
      const read = { ...shared };
      const write = { ...out };
      const [before, after] = [buffers[from], buffers[1 - from]];
      for (const p of graph.parameters) {
        read[p.weight.input] = floatTensor(before.weights.get(p.name)!, [p.size]);
        read[p.velocity.input] = floatTensor(before.velocities.get(p.name)!, [p.size]);
        write[p.weight.output] = floatTensor(after.weights.get(p.name)!, [p.size]);
        write[p.velocity.output] = floatTensor(after.velocities.get(p.name)!, [p.size]);
      }
      for (const s of graph.statistics) {
        read[s.input] = floatTensor(before.statistics.get(s.name)!, s.dims);
        write[s.output] = floatTensor(after.statistics.get(s.name)!, s.dims);
      }
      return session.bind(read, write);
    });
    return new Trainer(model, graph, session, buffers, runs, feeds, results, masks, quantizers);
  }

  /** Samples a step. */
  get batch(): number {
    return this.graph.batch;
  }

  /** Steps made so far, those before a restore included. */
  get stepCount(): number {
    return this.steps;
  }

  /**
   * One step of gradient descent.
   * @throws RangeError where the batch is of another size than the graph's
   * @throws TrainingDiverged where the loss is no longer a number; weights are then those before the step
   */
  async step(batch: TrainingBatch, learningRate: number): Promise<StepResult> {
    this.fillInputs(batch.inputs);
    if (this.graph.targets) this.fill('targets', this.feeds.targets, batch.targets);
    if (this.graph.labels) this.fill('labels', this.feeds.labels, batch.labels);
    if (this.graph.teacher) this.fill('teacher scores', this.feeds.teacher, batch.teacherLogits);
    for (const [name, into] of this.feeds.fed) this.fill(`'${name}'`, into, batch.fed?.get(name));
    this.feeds.learningRate[0] = learningRate;
    await this.runs[this.current]();
    const loss = this.results.loss[0];
    if (!Number.isFinite(loss)) {
      throw new TrainingDiverged(
        `training diverged at step ${this.steps + 1}: the loss is ${loss}`,
        'Lower the learning rate (recovery.learningRate), or check that the inputs are normalised.',
      );
    }
    this.current = 1 - this.current;
    this.steps++;
    return { loss, correct: this.results.correct[0] };
  }

  private fillInputs(rows: Float32Array): void {
    const parts = partsOf(this.graph.inputs, this.graph.layout);
    const size = this.batch * parts[0].row;
    if (rows.length !== size)
      throw new RangeError(`the batch has ${rows.length} values of inputs where ${size} belong (batch ${this.batch})`);
    parts.forEach((part, k) => {
      const { data, shape } = this.feeds.inputs[k];
      // The arrays that the session is bound to are of one type each, that of the values written to them.
      (data as Float32Array).set(typedTensor(part.input, valuesOf(part, rows, this.batch), shape).data as Float32Array);
    });
  }

  private fill(what: string, into: Float32Array | Int32Array, from: Float32Array | Int32Array | undefined): void {
    if (from?.length !== into.length)
      throw new RangeError(`the batch has ${from?.length ?? 'no'} values of ${what} where ${into.length} belong (batch ${this.batch})`);
    into.set(from);
  }

  /** What transforms observed in the last step, by name; overwritten by the next step. */
  observed(name: string): Float32Array {
    const value = this.results.observed.get(name);
    if (!value) throw new Error(`nothing is observed under the name '${name}'`);
    return value;
  }

  /** Present values of a parameter (of the model's, or a transform's own). Not quantised; overwritten by the step after next. */
  parameter(name: string): Float32Array {
    const value = this.buffers[this.current].weights.get(name);
    if (!value) throw new Error(`'${name}' is not trained`);
    return value;
  }

  /** Present weights and running statistics by name. Not quantised; overwritten by the step after next. */
  values(): Map<string, Float32Array> {
    const { weights, statistics } = this.buffers[this.current];
    return new Map([...weights, ...statistics]);
  }

  /** True where the graph draws random numbers at each step, whose generator is not part of `state`. */
  get draws(): boolean {
    return this.graph.model.graph.nodes.some((n) => n.opType.startsWith('Random'));
  }

  /** A copy of the present mask of a masked parameter. */
  mask(name: string): Float32Array {
    const own = this.masks.get(name);
    if (!own) throw new Error(`'${name}' has no mask`);
    return own.slice();
  }

  /** A copy of the present scales of a quantised parameter. */
  scales(name: string): Float32Array {
    const quantizer = this.quantizers.get(name);
    if (!quantizer) throw new Error(`'${name}' is not quantised`);
    return quantizer.scales.slice();
  }

  /** New scales for a quantised parameter, used from the next step on. */
  setScales(name: string, scales: Float32Array): void {
    const quantizer = this.quantizers.get(name);
    if (!quantizer) throw new Error(`'${name}' is not quantised`);
    if (scales.length !== quantizer.scales.length)
      throw new RangeError(`'${name}' has ${quantizer.scales.length} scales, not ${scales.length}`);
    quantizer.scales.set(scales);
  }

  /** Another mask for a masked parameter; its weights at zeros of the mask become zero at once. */
  setMask(name: string, mask: Float32Array): void {
    const own = this.masks.get(name);
    if (!own) throw new Error(`'${name}' has no mask`);
    if (mask.length !== own.length) throw new RangeError(`the mask of '${name}' has ${own.length} values, not ${mask.length}`);
    own.set(mask);
    const weights = this.parameter(name);
    writeMasked(weights, weights, own);
  }

  /**
   * The model with the trained weights and running statistics; shares nothing with the trainer.
   * @param options.quantized weights of quantised parameters as the forward pass sees them
   */
  model(options: { quantized?: boolean } = {}): Model {
    const { weights, statistics } = this.buffers[this.current];
    const initializers = new Map(this.source.graph.initializers);
    for (const p of this.graph.parameters) {
      if (p.auxiliary) continue;
      const quantizer = options.quantized ? this.quantizers.get(p.name) : undefined;
      const values = weights.get(p.name)!;
      initializers.set(p.name, Tensor.float32(p.name, p.dims, quantizer ? fakeQuantize(values, p.dims, quantizer) : values.slice()));
    }
    for (const s of this.graph.statistics) initializers.set(s.name, Tensor.float32(s.name, s.dims, statistics.get(s.name)!.slice()));
    return withGraph(this.source, { initializers });
  }

  /** A copy of everything that training changes. */
  state(): TrainerState {
    const { weights, velocities, statistics } = this.buffers[this.current];
    const copy = (from: ReadonlyMap<string, Float32Array>): Record<string, Float32Array> =>
      Object.fromEntries([...from].map(([name, values]) => [name, values.slice()]));
    return {
      steps: this.steps,
      weights: copy(weights),
      velocities: copy(velocities),
      statistics: copy(statistics),
      masks: copy(this.masks),
      scales: copy(new Map([...this.quantizers].map(([name, q]) => [name, q.scales]))),
    };
  }

  /** Goes on from a state of a trainer of the same model. @throws RangeError where it belongs to another */
  restore(state: TrainerState): void {
    const target = this.buffers[this.current];
    const parts = ['weights', 'velocities', 'statistics'] as const;
    for (const part of parts) {
      for (const [name, into] of target[part]) {
        if (state[part][name]?.length !== into.length) throw new RangeError(`the state does not fit: ${part} of '${name}'`);
      }
    }
    const scales = new Map([...this.quantizers].map(([name, q]) => [name, q.scales]));
    for (const [what, present, saved] of [
      ['mask', this.masks, state.masks],
      ['scales', scales, state.scales],
    ] as const) {
      for (const [name, values] of Object.entries(saved ?? {})) {
        if (present.get(name)?.length !== values.length) throw new RangeError(`the state does not fit: ${what} of '${name}'`);
      }
    }
    for (const part of parts) for (const [name, into] of target[part]) into.set(state[part][name]);
    for (const [name, values] of Object.entries(state.masks ?? {})) this.masks.get(name)!.set(values);
    for (const [name, values] of Object.entries(state.scales ?? {})) scales.get(name)!.set(values);
    this.steps = state.steps;
  }

  /** Frees the session. */
  dispose(): Promise<void> {
    return this.session.release();
  }
}

function allocate(graph: TrainingGraph): Buffers {
  const each = (slots: ReadonlyArray<{ name: string; size: number }>): Map<string, Float32Array> =>
    new Map(slots.map((s) => [s.name, new Float32Array(s.size)]));
  return {
    weights: each(graph.parameters),
    velocities: each(graph.parameters),
    statistics: each(graph.statistics.map((s) => ({ name: s.name, size: s.initial.length }))),
  };
}

function writeMasked(into: Float32Array, from: Float32Array, mask: Float32Array | undefined): void {
  for (let i = 0; i < into.length; i++) into[i] = mask && mask[i] === 0 ? 0 : from[i];
}

function checkParts(
  graph: TrainingGraph,
  masks: ReadonlyMap<string, Float32Array>,
  quantizers: ReadonlyMap<string, WeightQuantizer>,
): void {
  const byName = new Map<string, ParameterSlot>(graph.parameters.map((p) => [p.name, p]));
  for (const [name, mask] of masks) {
    const size = byName.get(name)?.size;
    if (size === undefined) throw new RangeError(`there is a mask for '${name}', which is not a trained weight`);
    if (mask.length !== size) throw new RangeError(`the mask of '${name}' has ${mask.length} values where ${size} belong`);
    if (mask.some((m) => m !== 0 && m !== 1)) throw new RangeError(`the mask of '${name}' holds other values than 0 and 1`);
  }
  for (const [name, { scales, axis }] of quantizers) {
    const dims = byName.get(name)?.dims;
    if (!dims) throw new RangeError(`there is a quantiser for '${name}', which is not a trained weight`);
    if (scales.length !== dims[axis]) throw new RangeError(`'${name}' needs ${dims[axis]} scales, not ${scales.length}`);
    if (scales.some((s) => !(s > 0))) throw new RangeError(`the scales of '${name}' must be above 0`);
  }
}
