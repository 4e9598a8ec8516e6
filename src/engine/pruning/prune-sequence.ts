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
import type { Tensor } from '../onnx/tensor';
import { Random } from '../random';
import { feedsOf } from '../runtime/feeds';
import type { RuntimeTensor } from '../runtime/onnxruntime';
import { solveFewSamples } from './few-samples';
import { columnsPerChannel, MomentEngine } from './gram';
import { type CalibrationInputs, imagesAtATime, LayerSampler, ROWS_PER_COLUMN, type SampledLayer } from './layer-sampler';
import { DEFAULT_RIDGE } from './least-squares';
import { type Frontier, type PruneStep, type PruningState, StateCache } from './pruning-state';
import { PruningWork, type WorkContext } from './pruning-work';
import {
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
import { runSegment, type SegmentOptions } from './segment';
import { selectBySample } from './select-by-sample';

/** Ways to choose the channels of a group that go. */
export const channelSelections: readonly string[] = ['backward-elimination', 'lasso', ...criteria.keys()];

export interface SequentialPrunerOptions {
  /** One of `channelSelections`: 'backward-elimination' (default), 'lasso', or the name of a criterion (`importance/registry.ts`). */
  readonly selection?: string;
  /** Scores of groups' channels that were computed beforehand (Taylor importance); they stand in for a criterion, whose name `selection` may then be any. */
  readonly scores?: ReadonlyMap<string, Float64Array>;
  /** Rebuild the layers that read pruned channels. Default true. */
  readonly reconstruct?: boolean;
  /** Rebuild the layers on the way as well, whose inputs carry the errors of others. Default true. */
  readonly refit?: boolean;
  /** Rounds of the fit that ignores what a ReLU cuts off. Default 1; what more of them bring is in `bench -- studies --only calibration`. */
  readonly rectifiedRounds?: number;
  /** Positions sampled in each image's output map. Default 10. */
  readonly positions?: number;
  /** Added to the normal equations' diagonal, as a fraction of its mean: keeps a layer near its present weights. Default: less with more images. */
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

/** Bytes that activations kept between steps may take, and as many for models kept of earlier decisions. */
export const ACTIVATION_BYTES = 192 * 2 ** 20;

/**
 * The present weights count as much in a layer's fit as this many images of independent inputs would: rows of one image are alike, so a plain
 * fit follows the images it has. Ridges of 0.03 to 0.3 do about as well for ResNet-20 fitted to 500 images and MobileNet-v2 fitted to 187, and
 * better than 1e-4 or 1 (`bench -- studies --only calibration`, `bench -- mobilenet-v2`).
 */
const PRIOR_IMAGES = 30;
/** With fewer than a hundred images a larger share would hardly let the layer take over what its pruned channels did. */
const LARGEST_RIDGE = 0.3;

const ridgeFor = (images: number): number => Math.max(DEFAULT_RIDGE, Math.min(LARGEST_RIDGE, PRIOR_IMAGES / images));

export class SequentialPruner {
  private readonly names: ReadonlyMap<string, number>;
  private readonly plan: ReconstructionPlan;
  private readonly layerAt: ReadonlyMap<number, ReconstructionLayer>;
  private readonly byId: ReadonlyMap<string, ChannelGroup>;
  private readonly inferred: Inferred;
  /** Values whose first axis does not hold the samples. */
  private readonly otherwise: ReadonlySet<string>;
  private readonly selectionRandom: Random;
  private readonly sampler: LayerSampler;
  private readonly origin: PruningState;
  private readonly cache: StateCache;
  private readonly segmentOptions: SegmentOptions & { readonly chunk: number };
  private state: PruningState;

  private constructor(
    private readonly original: Model,
    private readonly groups: readonly ChannelGroup[],
    private readonly calibration: CalibrationInputs,
    private readonly options: SequentialPrunerOptions,
    random: Random,
    private readonly engine: MomentEngine,
  ) {
    this.names = new Map([...layerNames(original)].map(([node, name]) => [name, original.graph.nodes.indexOf(node)]));
    this.plan = planReconstruction(original);
    this.layerAt = new Map(this.plan.layers.map((l) => [l.index, l]));
    this.byId = new Map(groups.map((g) => [g.id, g]));
    this.inferred = inferTypes(original);
    this.otherwise = notBatchFirst(original);
    this.selectionRandom = random.fork('selection');
    this.segmentOptions = {
      threads: options.threads ?? 1,
      chunk: options.chunk ?? imagesAtATime(original, this.inferred, this.plan),
      signal: options.signal,
    };
    const fed = Object.entries(feedsOf(original.graph.inputs, calibration, calibration.inputs, calibration.count));
    this.origin = {
      key: '',
      tensors: original.graph.initializers,
      removals: new Map(),
      model: original,
      done: -1,
      frontier: { index: 0, values: new Map(fed.map(([name, t]) => [name, { dims: t.shape.slice(1), data: t.data, type: t.type }])) },
    };
    const { values } = this.origin.frontier;
    this.cache = new StateCache(options.cacheBytes ?? ACTIVATION_BYTES, values);
    this.sampler = new LayerSampler(original, this.plan, values, calibration, engine, random, {
      ...this.segmentOptions,
      positions: options.positions ?? 10,
    });
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
    const known = this.cache.recall(key);
    if (known?.step) {
      this.state = known;
      return known.step;
    }
    const work = new PruningWork(this.context, this.state);
    const step = await this.decide(work, group, keep);
    this.state = work.state(key, step);
    this.cache.remember(this.state);
    return step;
  }

  /**
   * The model with everything behind the last decision rebuilt too, the classifier above all: what a candidate is scored as.
   * Does not change the sequence.
   */
  async finished(): Promise<Model> {
    if (!this.rebuilds || this.options.refit === false || this.state.done < 0) return this.state.model;
    const key = `${this.state.key}|finished`;
    const known = this.cache.recall(key);
    if (known) return known.model;
    const work = new PruningWork(this.context, this.state);
    const rebuilt: Array<{ layer: string; error: number }> = [];
    for (const layer of this.plan.layers) if (layer.index > this.state.done) await this.rebuild(work, layer, rebuilt);
    const state = work.state(key);
    this.cache.remember({ ...state, frontier: this.origin.frontier });
    return state.model;
  }

  /** Frees onnxruntime's sessions. */
  release(): Promise<void> {
    return this.engine.release();
  }

  private get rebuilds(): boolean {
    return this.options.reconstruct !== false;
  }

  private async decide(work: PruningWork, group: ChannelGroup, keep: number): Promise<PruneStep> {
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
    if (this.rebuilds) await this.sampler.computeTargets();

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
    let firstSample: SampledLayer | undefined;
    if (keep < group.channels) {
      if (bySample && readers.length > 0) {
        const samples = await this.sampler.sample(work, readers, firstTouched);
        kept = selectBySample(group, readers, samples, work.tensors, {
          selection: selection === 'lasso' ? 'lasso' : 'backward-elimination',
          keep,
          ridge: this.options.ridge ?? DEFAULT_RIDGE,
        });
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

  /** Solves a layer anew on the current model's input. */
  private async rebuild(
    work: PruningWork,
    layer: ReconstructionLayer,
    rebuilt: Array<{ layer: string; error: number }>,
    sampled?: SampledLayer,
  ): Promise<void> {
    const before = sampled ?? (await this.sampler.sample(work, [layer], layer.index))[0];
    const { sample, inputs, outputs } = before;
    const per = columnsPerChannel(layer.geometry);
    const now = work.keptAlong(layer.weight, layer.inAxis);
    const stay = new Set(now);
    const columns: number[] = [];
    inputs.forEach((position, i) => {
      if (stay.has(position)) for (let t = 0; t < per; t++) columns.push(i * per + t);
    });
    const map = outputMap(layer, work.tensors, outputs);
    const prior = presentWeights(layer, work.tensors, map, now, outputs);
    const solution =
      sample.matrix.rows < ROWS_PER_COLUMN * columns.length
        ? solveFewSamples(sample.matrix, sample.moments, columns, prior)
        : await solveLayer(this.engine, sample, columns, {
            ridge: this.options.ridge ?? ridgeFor(this.calibration.count),
            prior,
            rounds: layer.rectified ? (this.options.rectifiedRounds ?? 1) : 0,
          });
    work.write(writeSolution(layer, work.tensors, solution, map, now, outputs), layer.index);
    rebuilt.push({ layer: layer.name, error: solution.error });
  }

  private firstNode(group: ChannelGroup): number {
    const tensors = new Set(group.weights.map((w: WeightMember) => w.tensor));
    return this.original.graph.nodes.findIndex((n) => n.inputs.some((i) => tensors.has(i)));
  }

  private readonly context: WorkContext = {
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
    activationLimit: (): number => this.options.activationBytes ?? ACTIVATION_BYTES,
  };
}
