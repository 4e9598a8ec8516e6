/**
 * The compressed model of one actor: channel groups are pruned one after the other, and the layers that read them are rebuilt
 * by least squares to compute what the original model computes, each seeing the input that the layers before it now give.
 */
import { UserError } from '../errors';
import { notBatchFirst } from '../graph/batch-first';
import type { ChannelGroup, WeightMember } from '../graph/channel-group';
import { type Inferred, inferTypes } from '../graph/infer';
import { layerNames } from '../graph/layer-names';
import { criteria, highestChannels } from '../importance/registry';
import { type Model, withGraph } from '../onnx/model';
import { elementCount, type Tensor } from '../onnx/tensor';
import { Random } from '../random';
import { feedsOf, type SampleLayout } from '../runtime/feeds';
import type { RuntimeTensor } from '../runtime/onnxruntime';
import { type Elimination, eliminateChannels } from './backward-elimination';
import { solveFewSamples } from './few-samples';
import {
  type ActivationShape,
  activationShape,
  columnsPerChannel,
  drawPositions,
  MomentEngine,
  type Positions,
  SampleMatrix,
  sampleOutputs,
  samplePatches,
} from './gram';
import { selectLasso } from './lasso';
import { DEFAULT_RIDGE } from './least-squares';
import {
  type LayerSample,
  outputMap,
  planReconstruction,
  presentWeights,
  type ReconstructionLayer,
  type ReconstructionPlan,
  solveLayer,
  writeSolution,
} from './reconstruct';
import { removeChannels } from './remove-channels';
import { keptChannels } from './round-widths';
import { type Activation, readsOf, runSegment } from './segment';

/** Ways to choose the channels of a group that go. */
export const channelSelections: readonly string[] = ['backward-elimination', 'lasso', ...criteria.keys()];

/** Normalised model inputs on which layers are matched: training images, never those the result is measured on. */
export interface CalibrationInputs extends SampleLayout {
  /** [count, ...shape], float32; with `fields`, rows of their values. */
  readonly inputs: Float32Array;
  readonly count: number;
}

export interface SequentialPrunerOptions {
  /** One of `channelSelections`: 'backward-elimination' (default), 'lasso', or the name of a criterion (`importance/registry.ts`). */
  readonly selection?: string;
  /** Scores of groups' channels that were computed beforehand (Taylor importance); they stand in for a criterion, whose name `selection` may then be any. */
  readonly scores?: ReadonlyMap<string, Float64Array>;
  /** Rebuild the layers that read pruned channels. Default true. */
  readonly reconstruct?: boolean;
  /** Rebuild the layers on the way as well, whose inputs carry the errors of others. Default true. */
  readonly refit?: boolean;
  /** Rounds of the fit that ignores what a ReLU cuts off; more than 1 pays off with 2,000 images or more. Default 1. */
  readonly rectifiedRounds?: number;
  /** Positions sampled in each image's output map. Default 10. */
  readonly positions?: number;
  /** Added to the normal equations' diagonal, as a fraction of its mean. Default 1e-4. */
  readonly ridge?: number;
  /** Threads of onnxruntime. Default 1: actors run side by side. */
  readonly threads?: number;
  /** Images run at a time. Default 125, fewer where a layer's maps are large. */
  readonly chunk?: number;
  /** Bytes that activations kept between steps may take, and bytes for models kept of earlier decisions. Default 192 MiB each. */
  readonly activationBytes?: number;
  readonly cacheBytes?: number;
  readonly signal?: AbortSignal;
}

/** What one decision did. */
export interface PruneStep {
  readonly group: string;
  /** Channels that stay, ascending. */
  readonly kept: readonly number[];
  /** Layers rebuilt, in order, with the error left (fraction of the target's variance, on the calibration sample). */
  readonly rebuilt: ReadonlyArray<{ readonly layer: string; readonly error: number }>;
  /** Layers that read the channels and were not rebuilt, with reasons. */
  readonly skipped: ReadonlyArray<{ readonly layer: string; readonly reason: string }>;
  /** Set where the selection asked for was not possible, with what was done instead. */
  readonly fallback?: string;
}

/** Rows that a layer is sampled at for each of its inputs, where its map has as many positions; with fewer its weights are kept near the present ones. */
const ROWS_PER_COLUMN = 4;
/** Images run at a time, and bytes that the values they are matched on may take. */
const CHUNK = 125;
const CHUNK_BYTES = 512 * 2 ** 20;

interface State {
  /** The decisions so far, as a key. */
  readonly key: string;
  /** All initializers at full size: removed inputs are zero in rebuilt layers. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Channels removed, by group id. */
  readonly removals: ReadonlyMap<string, readonly number[]>;
  /** The smaller model. */
  readonly model: Model;
  /** Node index of the layer rebuilt last; −1 where none was. */
  readonly done: number;
  readonly step?: PruneStep;
  /** Values computed so far, from which the next step goes on. */
  readonly frontier: Frontier;
}

/** Values of the current model at a cut: enough to compute everything that comes from node `index` on. */
interface Frontier {
  readonly index: number;
  readonly values: ReadonlyMap<string, Activation>;
}

interface Target {
  readonly positions: Positions;
  /** rows × outputs, of the original model. */
  readonly values: Float32Array;
}

export class SequentialPruner {
  private readonly names: ReadonlyMap<string, number>;
  private readonly plan: ReconstructionPlan;
  private readonly layerAt: ReadonlyMap<number, ReconstructionLayer>;
  private readonly byId: ReadonlyMap<string, ChannelGroup>;
  private readonly inferred: Inferred;
  /** Values whose first axis does not hold the samples. */
  private readonly otherwise: ReadonlySet<string>;
  private readonly selectionRandom: Random;
  private readonly targets = new Map<string, Target>();
  private readonly origin: State;
  private readonly cache = new Map<string, { state: State; bytes: number }>();
  private cacheSize = 0;
  private state: State;
  private activationBytes: number;
  private readonly chunk: number;

  private constructor(
    private readonly original: Model,
    private readonly groups: readonly ChannelGroup[],
    private readonly calibration: CalibrationInputs,
    private readonly options: SequentialPrunerOptions,
    private readonly random: Random,
    private readonly engine: MomentEngine,
  ) {
    this.names = new Map([...layerNames(original)].map(([node, name]) => [name, original.graph.nodes.indexOf(node)]));
    this.plan = planReconstruction(original);
    this.layerAt = new Map(this.plan.layers.map((l) => [l.index, l]));
    this.byId = new Map(groups.map((g) => [g.id, g]));
    this.inferred = inferTypes(original);
    this.otherwise = notBatchFirst(original);
    this.selectionRandom = random.fork('selection');
    this.activationBytes = options.activationBytes ?? 192 * 2 ** 20;
    this.chunk = options.chunk ?? Math.max(1, Math.min(CHUNK, Math.floor(CHUNK_BYTES / bytesPerImage(original, this.inferred, this.plan))));
    const fed = Object.entries(feedsOf(original.graph.inputs, calibration, calibration.inputs, calibration.count));
    this.origin = {
      key: '',
      tensors: original.graph.initializers,
      removals: new Map(),
      model: original,
      done: -1,
      frontier: { index: 0, values: new Map(fed.map(([name, t]) => [name, { dims: t.shape.slice(1), data: t.data, type: t.type }])) },
    };
    this.state = this.origin;
  }

  /**
   * @param groups of `model`, from `findChannelGroups`
   * @param random draws the sampled positions (once for each layer, the same for the original and every pruned model)
   * @throws UserError where the selection is unknown, or the calibration inputs are empty
   */
  static async create(
    model: Model,
    groups: readonly ChannelGroup[],
    calibration: CalibrationInputs,
    random: Random,
    options: SequentialPrunerOptions = {},
  ): Promise<SequentialPruner> {
    const selection = options.selection ?? 'backward-elimination';
    if (!options.scores && !channelSelections.includes(selection))
      throw new UserError(`there is no channel selection '${selection}'`, `Use one of ${channelSelections.join(', ')}.`);
    if (calibration.count < 1) throw new UserError('no calibration inputs were given', 'Give at least one input; 500 or more work well.');
    const engine = await MomentEngine.create({ threads: options.threads ?? 1 });
    return new SequentialPruner(model, groups, calibration, options, new Random(random.state()), engine);
  }

  /** The model as pruned so far (layers after the last decision are as they were; see `finished`). */
  get model(): Model {
    return this.state.model;
  }

  /** Channels removed so far, by group id. */
  get removals(): ReadonlyMap<string, readonly number[]> {
    return this.state.removals;
  }

  /** Back to the original model; results of earlier decisions stay at hand. */
  reset(): void {
    this.state = this.origin;
  }

  /**
   * Prunes one group and rebuilds the layers that read it. Decisions are meant to come in the order of the groups;
   * another order works, but what was rebuilt behind the group is not looked at again until a later decision or `finished`.
   * @param amount the fraction of channels to remove, in [0, 1) and rounded as the group asks; or exactly how many to keep
   * @throws UserError where there is no such group, or it was pruned before
   */
  async prune(id: string, amount: number | { readonly keep: number }): Promise<PruneStep> {
    const group = this.byId.get(id);
    if (!group)
      throw new UserError(`there is no channel group '${id}'`, `Groups of this model: ${[...this.byId.keys()].join(', ') || 'none'}.`);
    if (this.state.removals.has(id)) throw new UserError(`channel group '${id}' was pruned before in this sequence`, 'Call reset() first.');
    const keep = typeof amount === 'number' ? keptChannels(group, amount) : amount.keep;
    if (!Number.isInteger(keep) || keep < 1 || keep > group.channels)
      throw new UserError(`cannot keep ${keep} of the ${group.channels} channels of group '${id}'`, `Choose 1 to ${group.channels}.`);
    const key = `${this.state.key}|${id}=${keep}`;
    const known = this.recall(key);
    if (known?.step) {
      this.state = known;
      return known.step;
    }
    const work = new Work(this.bench, this.state);
    const step = await this.decide(work, group, keep);
    this.state = work.state(key, step);
    this.remember(this.state);
    return step;
  }

  /**
   * The model with everything behind the last decision rebuilt too, the classifier above all: what a candidate is scored as.
   * Does not change the sequence.
   */
  async finished(): Promise<Model> {
    if (!this.rebuilds || this.options.refit === false || this.state.done < 0) return this.state.model;
    const key = `${this.state.key}|finished`;
    const known = this.recall(key);
    if (known) return known.model;
    const work = new Work(this.bench, this.state);
    const rebuilt: Array<{ layer: string; error: number }> = [];
    for (const layer of this.plan.layers) if (layer.index > this.state.done) await this.rebuild(work, layer, rebuilt);
    const state = work.state(key);
    this.remember({ ...state, frontier: this.origin.frontier });
    return state.model;
  }

  /** Frees onnxruntime's sessions. */
  release(): Promise<void> {
    return this.engine.release();
  }

  private get rebuilds(): boolean {
    return this.options.reconstruct !== false;
  }

  private async decide(work: Work, group: ChannelGroup, keep: number): Promise<PruneStep> {
    const rebuilt: Array<{ layer: string; error: number }> = [];
    const skipped: Array<{ layer: string; reason: string }> = [];
    const readers: ReconstructionLayer[] = [];
    for (const member of group.consumers) {
      for (const name of member.layers) {
        const layer = this.layerAt.get(this.names.get(name) ?? -1);
        if (layer && layer.weight === member.tensor) readers.push(layer);
        else skipped.push({ layer: name, reason: this.plan.skipped.get(name) ?? 'it is not a layer with one weight' });
      }
    }
    readers.sort((a, b) => a.index - b.index);
    const firstTouched = this.firstNode(group);
    const changed = work.removals.size > 0;
    const all = Array.from({ length: group.channels }, (_, i) => i);
    if (keep === group.channels && !changed) return { group: group.id, kept: all, rebuilt, skipped };
    work.back(firstTouched);
    if (this.rebuilds) await this.computeTargets();

    // Layers before the first reader whose inputs others have changed.
    const first = readers[0]?.index ?? -1;
    if (this.rebuilds && this.options.refit !== false && changed) {
      const from = work.done >= firstTouched ? firstTouched - 1 : work.done;
      for (const layer of this.plan.layers) if (layer.index > from && layer.index < first) await this.rebuild(work, layer, rebuilt);
    }

    const selection = this.options.selection ?? 'backward-elimination';
    const bySample = selection === 'backward-elimination' || selection === 'lasso';
    let kept = all;
    let fallback: string | undefined;
    let firstSample: Sampled | undefined;
    if (keep < group.channels) {
      if (bySample && readers.length > 0) {
        const samples = await this.sample(work, readers, firstTouched);
        kept = this.selectBySample(work, group, readers, samples, keep, selection);
        firstSample = samples[0];
      } else {
        if (bySample)
          fallback = `no layer that reads group '${group.id}' can be sampled; channels were chosen by the norm of their weights`;
        const scores =
          this.options.scores?.get(group.id) ??
          criteria.get(bySample ? 'l2' : selection)!.score(group, work.full(), this.selectionRandom.fork(group.id));
        kept = highestChannels(scores, keep);
      }
    }
    const stay = new Set(kept);
    work.remove(
      group.id,
      all.filter((c) => !stay.has(c)),
      firstTouched,
    );
    if (this.rebuilds && readers.length > 0) {
      const last = readers[readers.length - 1].index;
      for (const layer of this.plan.layers) {
        if (layer.index < first || layer.index > last) continue;
        if (!readers.includes(layer) && this.options.refit === false) continue;
        // Nothing before the first reader has changed since it was sampled but that channels are gone from its input. Where other
        // layers read the channels too (the steps of a recurrent one), they may give it something else now.
        await this.rebuild(work, layer, rebuilt, layer.index === first && skipped.length === 0 ? firstSample : undefined);
      }
      work.back(firstTouched);
    }
    return { group: group.id, kept, rebuilt, skipped, fallback };
  }

  private selectBySample(
    work: Work,
    group: ChannelGroup,
    readers: readonly ReconstructionLayer[],
    samples: readonly Sampled[],
    keep: number,
    selection: string,
  ): number[] {
    const problems = readers.map((layer, k) => {
      const { sample, inputs } = samples[k];
      const { moments } = sample;
      const per = columnsPerChannel(layer.geometry);
      const member = group.consumers.find((m) => m.tensor === layer.weight)!;
      const columnOf = new Map(inputs.map((position, i) => [position, i]));
      const blocks = member.positions.map((positions) =>
        positions.flatMap((position) => Array.from({ length: per }, (_, t) => columnOf.get(position)! * per + t)),
      );
      const energy = moments.energy.reduce((a, b) => a + b, 0);
      return {
        gram: moments.gram,
        columns: moments.columns,
        cross: moments.cross,
        outputs: moments.outputs,
        blocks,
        energy,
        layer,
        sampled: samples[k],
      };
    });
    const ridge = this.options.ridge ?? DEFAULT_RIDGE;
    if (selection === 'lasso') {
      return selectLasso(
        problems.map((p) => ({ ...p, weights: work.weightsOf(p.layer, p.sampled) })),
        keep,
        { ridge },
      ).kept;
    }
    const elimination: Elimination = eliminateChannels(
      problems.map((p) => ({ ...p, outputWeights: new Float64Array(p.outputs).fill(p.energy > 0 ? 1 / p.energy : 0) })),
      keep,
      ridge,
    );
    return elimination.kept;
  }

  /** Solves a layer anew on the current model's input. */
  private async rebuild(
    work: Work,
    layer: ReconstructionLayer,
    rebuilt: Array<{ layer: string; error: number }>,
    sampled?: Sampled,
  ): Promise<void> {
    const before = sampled ?? (await this.sample(work, [layer], layer.index))[0];
    const { sample, inputs, outputs } = before;
    const per = columnsPerChannel(layer.geometry);
    const now = work.keptAlong(layer.weight, layer.inAxis);
    const stay = new Set(now);
    const columns: number[] = [];
    inputs.forEach((position, i) => {
      if (stay.has(position)) for (let t = 0; t < per; t++) columns.push(i * per + t);
    });
    const map = outputMap(layer, work.tensors, outputs);
    const solution =
      sample.matrix.rows < ROWS_PER_COLUMN * columns.length
        ? solveFewSamples(sample.matrix, sample.moments, columns, presentWeights(layer, work.tensors, map, now, outputs))
        : await solveLayer(
            this.engine,
            sample,
            columns,
            this.options.ridge ?? DEFAULT_RIDGE,
            layer.rectified ? (this.options.rectifiedRounds ?? 1) : 0,
          );
    work.write(writeSolution(layer, work.tensors, solution, map, now, outputs), layer.index);
    rebuilt.push({ layer: layer.name, error: solution.error });
  }

  /** Samples layers of the current model: inputs as they are now, outputs as the original has them. @param cut values are kept at this node for what comes next */
  private async sample(work: Work, layers: readonly ReconstructionLayer[], cut: number): Promise<Sampled[]> {
    await this.computeTargets();
    const { count } = this.calibration;
    const pending = layers.map((layer) => {
      const inputs = work.keptAlong(layer.weight, layer.inAxis);
      const outputs = work.keptAlong(layer.weight, layer.outAxis);
      const { positions, values } = this.targets.get(layer.name)!;
      const rows = count * positions.perImage;
      const matrix = new SampleMatrix(rows, inputs.length * columnsPerChannel(layer.geometry), outputs.length);
      const target = new Float32Array(rows * outputs.length);
      for (let r = 0; r < rows; r++)
        for (let j = 0; j < outputs.length; j++) target[r * outputs.length + j] = values[r * layer.outputs + outputs[j]];
      const shortcut = layer.shortcut === undefined ? undefined : new Float32Array(rows * outputs.length);
      return { layer, inputs, outputs, positions, matrix, target, shortcut };
    });
    const wanted = [...new Set(layers.flatMap((l) => (l.shortcut === undefined ? [l.input] : [l.input, l.shortcut])))];
    await work.compute(wanted, cut, (first, values) => {
      for (const p of pending) {
        const input = values.get(p.layer.input)!;
        samplePatches(p.matrix, input.data as Float32Array, shapeOf(p.layer, input), p.layer.geometry, p.positions, first);
        if (p.shortcut) {
          const other = values.get(p.layer.shortcut!)!;
          sampleOutputs(p.shortcut, other.data as Float32Array, shapeOf(p.layer, other), p.layer.geometry.kind, p.positions, first);
        }
      }
    });
    const sampled: Sampled[] = [];
    for (const { layer, inputs, outputs, matrix, target, shortcut } of pending) {
      const n = outputs.length;
      const offset = layer.bias === undefined ? outputMap(layer, work.tensors, outputs).offset : undefined;
      for (let r = 0; r < matrix.rows; r++) {
        const to = r * matrix.width + matrix.columns + 1;
        for (let j = 0; j < n; j++) {
          const i = r * n + j;
          matrix.data[to + j] = target[i] - (shortcut ? shortcut[i] : 0) - (offset ? offset[j] : 0);
        }
      }
      const moments = await this.engine.moments(matrix, layer.bias !== undefined);
      // Without a constant term the fixed offset counts as part of the shortcut.
      const rest = offset ? addOffset(shortcut, offset, target.length) : shortcut;
      const sample: LayerSample = { matrix, moments, rectified: layer.rectified ? { target, shortcut: rest } : undefined };
      sampled.push({ sample, inputs, outputs });
    }
    return sampled;
  }

  /** The original's values at every target, once. */
  private async computeTargets(): Promise<void> {
    if (this.targets.size > 0 || this.plan.layers.length === 0) return;
    const { count } = this.calibration;
    const wanted = [...new Set(this.plan.layers.map((l) => l.target))];
    await runSegment(this.original, this.origin.frontier.values, wanted, count, this.segmentOptions, (first, values) => {
      for (const layer of this.plan.layers) {
        const value = values.get(layer.target)!;
        const shape = shapeOf(layer, value);
        let target = this.targets.get(layer.name);
        if (!target) {
          // A wide layer needs more rows than inputs, or its fit is to chance.
          const perImage = Math.max(this.options.positions ?? 10, Math.ceil((ROWS_PER_COLUMN * this.columnsOf(layer)) / count));
          const positions = drawPositions(count, perImage, shape.height, shape.width, this.random.fork(layer.name));
          target = { positions, values: new Float32Array(count * positions.perImage * layer.outputs) };
          this.targets.set(layer.name, target);
        }
        sampleOutputs(target.values, value.data as Float32Array, shape, layer.geometry.kind, target.positions, first);
      }
    });
  }

  /** Inputs of a layer's rows, before anything is cut. */
  private columnsOf(layer: ReconstructionLayer): number {
    return this.original.graph.initializers.get(layer.weight)!.dims[layer.inAxis] * columnsPerChannel(layer.geometry);
  }

  private get segmentOptions() {
    return { threads: this.options.threads ?? 1, chunk: this.chunk, signal: this.options.signal };
  }

  private firstNode(group: ChannelGroup): number {
    const tensors = new Set(group.weights.map((w: WeightMember) => w.tensor));
    return this.original.graph.nodes.findIndex((n) => n.inputs.some((i) => tensors.has(i)));
  }

  private recall(key: string): State | undefined {
    const entry = this.cache.get(key);
    if (!entry) return undefined;
    this.cache.delete(key);
    this.cache.set(key, entry);
    return entry.state;
  }

  private remember(state: State): void {
    let bytes = 0;
    for (const t of state.model.graph.initializers.values()) bytes += 2 * t.bytes.byteLength;
    for (const [name, a] of state.frontier.values) if (!this.origin.frontier.values.has(name)) bytes += a.data.byteLength;
    this.cache.set(state.key, { state, bytes });
    this.cacheSize += bytes;
    const limit = this.options.cacheBytes ?? 192 * 2 ** 20;
    for (const [key, entry] of this.cache) {
      if (this.cacheSize <= limit) break;
      this.cache.delete(key);
      this.cacheSize -= entry.bytes;
    }
  }

  private readonly bench: Bench = {
    removeFrom: (tensors: ReadonlyMap<string, Tensor>, removals: ReadonlyMap<string, readonly number[]>): Model =>
      removeChannels(withGraph(this.original, { initializers: tensors }), removals, this.groups, this.inferred),
    full: (tensors: ReadonlyMap<string, Tensor>): Model => withGraph(this.original, { initializers: tensors }),
    groupOf: (id: string): ChannelGroup => this.byId.get(id)!,
    start: (): Frontier => this.origin.frontier,
    run: (
      model: Model,
      frontier: Frontier,
      wanted: readonly string[],
      visit: (first: number, values: ReadonlyMap<string, RuntimeTensor>) => void,
    ): Promise<void> => runSegment(model, frontier.values, wanted, this.calibration.count, this.segmentOptions, visit),
    splits: (value: string): boolean => !this.otherwise.has(value),
    count: (): number => this.calibration.count,
    chunk: (): number => this.segmentOptions.chunk,
    activationLimit: (): number => this.activationBytes,
  };
}

/** What a step in progress needs of its pruner. */
interface Bench {
  removeFrom(tensors: ReadonlyMap<string, Tensor>, removals: ReadonlyMap<string, readonly number[]>): Model;
  /** The original graph with other tensors. */
  full(tensors: ReadonlyMap<string, Tensor>): Model;
  groupOf(id: string): ChannelGroup;
  start(): Frontier;
  run(
    model: Model,
    frontier: Frontier,
    wanted: readonly string[],
    visit: (first: number, values: ReadonlyMap<string, RuntimeTensor>) => void,
  ): Promise<void>;
  /** True where a value can be cut along its first axis, by samples. */
  splits(value: string): boolean;
  count(): number;
  chunk(): number;
  activationLimit(): number;
}

interface Sampled {
  readonly sample: LayerSample;
  /** Positions along the layer's input and output axes that were there when it was sampled. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** A step in progress: tensors are replaced, never written to, so that the state before stays good. */
class Work {
  tensors: Map<string, Tensor>;
  removals: Map<string, readonly number[]>;
  done: number;
  private frontiers: Frontier[];
  private built: Model | undefined;

  constructor(
    private readonly bench: Bench,
    from: State,
  ) {
    this.tensors = new Map(from.tensors);
    this.removals = new Map(from.removals);
    this.done = from.done;
    this.frontiers = [bench.start(), from.frontier];
    this.built = from.model;
  }

  get model(): Model {
    this.built ??= this.bench.removeFrom(this.tensors, this.removals);
    return this.built;
  }

  full(): Model {
    return this.bench.full(this.tensors);
  }

  /** Forgets values computed behind a node that is about to change. */
  back(index: number): void {
    this.frontiers = this.frontiers.filter((f) => f.index <= index);
  }

  remove(id: string, channels: readonly number[], firstTouched: number): void {
    this.back(firstTouched);
    this.removals.set(id, channels);
    this.built = undefined;
  }

  write(tensors: readonly Tensor[], index: number): void {
    for (const t of tensors) this.tensors.set(t.name, t);
    this.built = undefined;
    this.done = index;
  }

  /** Positions along an axis of a weight that are still there. */
  keptAlong(tensor: string, axis: number): number[] {
    const gone = new Set<number>();
    for (const [id, channels] of this.removals) {
      for (const m of this.bench.groupOf(id).weights) {
        if (m.tensor === tensor && m.axis === axis) for (const c of channels) for (const p of m.positions[c]) gone.add(p);
      }
    }
    const length = this.tensors.get(tensor)!.dims[axis];
    return Array.from({ length }, (_, i) => i).filter((i) => !gone.has(i));
  }

  /** A layer's weights now, as seen at its target: sampled columns × outputs. */
  weightsOf(layer: ReconstructionLayer, { inputs, outputs }: Sampled): Float64Array {
    const tensor = this.tensors.get(layer.weight)!;
    const data = tensor.floats();
    const kernel = tensor.dims.slice(2).reduce((a, b) => a * b, 1);
    const [strideOut, strideIn] = layer.outAxis === 0 ? [tensor.dims[1] * kernel, kernel] : [1, tensor.dims[1]];
    const { factor } = outputMap(layer, this.tensors, outputs);
    const weights = new Float64Array(inputs.length * kernel * outputs.length);
    inputs.forEach((c, i) => {
      for (let k = 0; k < kernel; k++)
        outputs.forEach((o, j) => {
          weights[(i * kernel + k) * outputs.length + j] = data[o * strideOut + c * strideIn + k] * factor[j];
        });
    });
    return weights;
  }

  /** Computes values of the current model, and keeps those at the cut before node `index` to go on from. */
  async compute(
    wanted: readonly string[],
    index: number,
    visit: (first: number, values: ReadonlyMap<string, RuntimeTensor>) => void,
  ): Promise<void> {
    const { bench } = this;
    const frontier = this.frontiers.reduce((a, b) => (b.index >= a.index ? b : a));
    // Values that follow from the data, by the node that makes them; constants are computed anew where they are needed.
    const produced = new Map(this.model.graph.inputs.map((i) => [i.name, -1]));
    this.model.graph.nodes.forEach((n, i) => {
      if (readsOf(n).some((r) => produced.has(r))) for (const o of n.outputs) produced.set(o, i);
    });
    const crossing = new Set<string>();
    if (index > frontier.index) {
      this.model.graph.nodes.forEach((n, i) => {
        if (i >= index) for (const r of readsOf(n)) if ((produced.get(r) ?? index) < index) crossing.add(r);
      });
    }
    const kept = new Map<string, Activation>();
    let fits = crossing.size > 0 && [...crossing].every((name) => bench.splits(name));
    let bytes = 0;
    await bench.run(this.model, frontier, [...new Set([...wanted, ...crossing])], (first, values) => {
      const rows = Math.min(bench.chunk(), bench.count() - first);
      for (const name of crossing) {
        if (!fits) break;
        // What was there before stays as it is: the model's inputs, of whatever type.
        const before = frontier.values.get(name);
        if (before) {
          kept.set(name, before);
          continue;
        }
        const value = values.get(name)!;
        let activation = kept.get(name);
        const size = elementCount(value.shape.slice(1));
        if (!activation) {
          bytes += bench.count() * size * 4;
          if (!(value.data instanceof Float32Array) || value.shape[0] !== rows || bytes > bench.activationLimit()) {
            fits = false;
            break;
          }
          activation = { dims: value.shape.slice(1), data: new Float32Array(bench.count() * size) };
          kept.set(name, activation);
        }
        (activation.data as Float32Array).set(value.data as Float32Array, first * size);
      }
      visit(first, values);
    });
    if (fits) this.frontiers.push({ index, values: kept });
  }

  state(key: string, step?: PruneStep): State {
    const frontier = this.frontiers.reduce((a, b) => (b.index >= a.index ? b : a));
    return { key, tensors: this.tensors, removals: this.removals, model: this.model, done: this.done, step, frontier };
  }
}

/** Bytes of the values that layers are matched on, of one image: all of them are computed in one run. */
function bytesPerImage(model: Model, inferred: Inferred, plan: ReconstructionPlan): number {
  const batch = inferTypes(model, { batch: 1 });
  let bytes = 1;
  for (const target of new Set(plan.layers.map((l) => l.target))) {
    const shape = batch.types.get(target)?.shape ?? inferred.types.get(target)?.shape;
    bytes += 4 * elementCount((shape ?? []).map((d) => (typeof d === 'number' ? d : 1)));
  }
  return bytes;
}

function shapeOf(layer: ReconstructionLayer, value: RuntimeTensor): ActivationShape {
  const shape = activationShape(layer.geometry, value.shape);
  if (typeof shape === 'string') throw new Error(`layer '${layer.name}': ${shape}`);
  return shape;
}

function addOffset(values: Float32Array | undefined, offset: Float64Array, length: number): Float32Array {
  const out = values ? values.slice() : new Float32Array(length);
  for (let i = 0; i < length; i++) out[i] += offset[i % offset.length];
  return out;
}
