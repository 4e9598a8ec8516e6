/**
 * What one parallel actor does: it holds its own copy of the model being compressed and measures policies on it. It runs in a worker
 * thread (session.run blocks its thread) with one onnxruntime thread, so that the same policy gives the same figures whoever measures it.
 */
import type { PruningSettings } from '../../protocol/config';
import type { ChannelGroup } from '../graph/channel-group';
import { findChannelGroups } from '../graph/channel-groups';
import { type Layer, quantizableLayers } from '../graph/layers';
import { modelBytes, parseModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { SequentialPruner } from '../pruning/prune-sequence';
import { removeChannels } from '../pruning/remove-channels';
import { exportQuantized } from '../quantization/export-quantized';
import { type QuantizedLayer, quantizeLayer, withDequantizedWeights } from '../quantization/quantized-layer';
import { Random } from '../random';
import { accuracyOf, type ScoringSet } from '../runtime/evaluate';
import type { SampleLayout } from '../runtime/feeds';
import { measureLatency } from '../runtime/latency';
import { type BitTuning, tunedAtBits } from './bit-tuning';
import type { WidthDecision } from './prune-environment';
import { maskedAfterNoise, type RolloutMasking } from './rollout-masking';
import { StudentBuilder, type StudentDesign, type StudentTeaching } from './student';
import type { MaskDecision } from './weight-mask-environment';
import { type MaskTuning, WeightMaskTrajectory } from './weight-mask-trajectory';

/** Inputs without a purpose of their own: normalised samples in memory that threads share. */
export interface SampleSet extends SampleLayout {
  readonly inputs: Float32Array;
  readonly count: number;
}

export interface ActorSetup {
  /** The float model of this stage, as file bytes. */
  readonly model: Uint8Array;
  readonly scoring: ScoringSet;
  readonly calibration: SampleSet;
  readonly pruning: {
    readonly selection: PruningSettings['selection'];
    readonly reconstruct: boolean;
    /** See `SequentialPrunerOptions`. */
    readonly scores?: ReadonlyMap<string, Float64Array>;
    readonly refit?: boolean;
    readonly positions: number;
    /** See `SequentialPrunerOptions`. */
    readonly rectifiedRounds?: number;
    readonly seed: number;
    /** More than one where the actor works alone. Default 1. */
    readonly threads?: number;
    /** See `SequentialPrunerOptions`. */
    readonly activationBytes?: number;
  };
  /** Straight-through fine-tuning before a complete bit policy is scored; absent: none. */
  readonly tuning?: BitTuning;
  /** Variational pruning of complete candidates; absent: none. */
  readonly variational?: RolloutMasking;
  /** Fine-tuning after each layer that is masked; absent: none. */
  readonly masking?: MaskTuning;
  /** How students are taught; absent: not at all. */
  readonly student?: StudentTeaching;
}

/** What an actor in the thread of its owner may be given besides: functions do not travel to others. */
export interface ActorWatch {
  /** Ends cutting and reconstructing between two pieces of work. */
  readonly signal?: AbortSignal;
  /** Called after each group that was cut: how many are done, and of how many. */
  readonly onDecision?: (done: number, of: number) => void;
}

/** One batch of training samples, kept in memory so that every policy is tuned on the same ones. */
export interface TuningBatch {
  readonly inputs: Float32Array;
  readonly labels: Int32Array;
}

export type ActorTask =
  /** Cut these groups in this order (reconstructing as set up), score the result. */
  | {
      readonly kind: 'prune';
      readonly decisions: readonly WidthDecision[];
      readonly latency?: boolean;
      /** Mask single weights too, as set up. */
      readonly masked?: boolean;
    }
  /** The same, returning the model's bytes instead of scoring it; without masks where training them fails. */
  | { readonly kind: 'build'; readonly decisions: readonly WidthDecision[]; readonly masked?: boolean }
  /** Mask the weights of these layers in this order, fine-tuning after each as set up; score the result, 0 where the fine-tuning diverges. */
  | { readonly kind: 'mask'; readonly decisions: readonly MaskDecision[]; readonly latency?: boolean }
  /** The same, returning the model's bytes; not fine-tuned where that diverges. */
  | { readonly kind: 'build-mask'; readonly decisions: readonly MaskDecision[] }
  /** Take these channels (indices by group) out; score the result. */
  | { readonly kind: 'remove'; readonly removals: ReadonlyArray<readonly [group: string, channels: readonly number[]]> }
  /** The same, returning the model's bytes. */
  | { readonly kind: 'build-removed'; readonly removals: ReadonlyArray<readonly [group: string, channels: readonly number[]]> }
  /** Build a student and teach it as set up; score it. */
  | { readonly kind: 'student'; readonly design: StudentDesign }
  /** The same, returning the model's bytes; as it was cut where teaching it failed. */
  | { readonly kind: 'build-student'; readonly design: StudentDesign }
  /** The model with these bits as it would be written: codes, float activations. */
  | { readonly kind: 'export'; readonly bits: Readonly<Record<string, number>> }
  /** Quantise the weights of these layers, score the result. */
  | { readonly kind: 'quantize'; readonly bits: Readonly<Record<string, number>>; readonly tune?: boolean };

export interface ActorResult {
  readonly accuracy?: number;
  /** Median milliseconds at batch 1, where asked for. */
  readonly latency?: number;
  /** Training it diverged: it scores 0. */
  readonly diverged?: boolean;
  readonly model?: Uint8Array;
}

export class CompressionActor {
  private readonly model: Model;
  private pruner?: SequentialPruner;
  private layers?: readonly Layer[];
  private readonly quantized = new Map<string, QuantizedLayer>();
  private masked?: WeightMaskTrajectory;
  private groups?: readonly ChannelGroup[];
  private builder?: StudentBuilder;

  constructor(
    private readonly setup: ActorSetup,
    private readonly watch: ActorWatch = {},
  ) {
    this.model = parseModel(setup.model);
  }

  async run(task: ActorTask): Promise<ActorResult> {
    switch (task.kind) {
      case 'prune': {
        const pruned = await this.pruned(task.decisions);
        return this.scored(await this.maskedToo(pruned, task.masked), () => pruned, task.latency);
      }
      case 'mask': {
        const masked = this.trajectory();
        return this.scored(await masked.at(task.decisions), () => masked.untrained(task.decisions), task.latency);
      }
      case 'build': {
        const pruned = await this.pruned(task.decisions);
        return { model: modelBytes((await this.maskedToo(pruned, task.masked)) ?? pruned) };
      }
      case 'build-mask':
        return { model: modelBytes((await this.trajectory().at(task.decisions)) ?? this.trajectory().untrained(task.decisions)) };
      case 'remove':
        return { accuracy: await accuracyOf(this.without(task.removals), this.setup.scoring, { threads: 1 }) };
      case 'build-removed':
        return { model: modelBytes(this.without(task.removals)) };
      case 'student': {
        const student = await this.students().taught(task.design);
        return { accuracy: student ? await accuracyOf(student, this.setup.scoring, { threads: 1 }) : 0 };
      }
      case 'build-student':
        return { model: modelBytes((await this.students().taught(task.design)) ?? this.students().cut(task.design)) };
      case 'export': {
        const layers = this.quantizedLayers(task.bits);
        return { model: modelBytes(layers.length > 0 ? exportQuantized(this.model, { layers }) : this.model) };
      }
      case 'quantize': {
        const layers = this.quantizedLayers(task.bits);
        const tunes = task.tune && this.setup.tuning && layers.length > 0;
        const tuned = tunes ? await tunedAtBits(this.model, layers, this.setup.tuning!) : undefined;
        const model = tuned ?? withDequantizedWeights(this.model, layers);
        return { accuracy: await accuracyOf(model, this.setup.scoring, { threads: 1 }) };
      }
    }
  }

  /** @param untrained the same candidate before training, which is timed where that diverged: a reward that reads the latency needs one */
  private async scored(model: Model | undefined, untrained: () => Model, latency: boolean | undefined): Promise<ActorResult> {
    const accuracy = model ? await accuracyOf(model, this.setup.scoring, { threads: 1 }) : 0;
    const result: ActorResult = { accuracy, ...(!model && { diverged: true }) };
    if (!latency) return result;
    const [measured] = await measureLatency([modelBytes(model ?? untrained())], this.setup.scoring, 1, { threads: 1 });
    return { ...result, latency: measured?.median };
  }

  private without(removals: ReadonlyArray<readonly [group: string, channels: readonly number[]]>): Model {
    this.groups ??= findChannelGroups(this.model).groups;
    return removeChannels(this.model, new Map(removals), this.groups);
  }

  private students(): StudentBuilder {
    this.builder ??= new StudentBuilder(this.model, this.setup.student);
    return this.builder;
  }

  private trajectory(): WeightMaskTrajectory {
    this.masked ??= new WeightMaskTrajectory(this.model, quantizableLayers(this.model), this.setup.masking);
    return this.masked;
  }

  private async pruned(decisions: readonly WidthDecision[]): Promise<Model> {
    const { seed, threads = 1, ...options } = this.setup.pruning;
    this.pruner ??= await SequentialPruner.create(
      this.model,
      findChannelGroups(this.model).groups,
      this.setup.calibration,
      new Random(seed).fork('calibration'),
      { ...options, threads, signal: this.watch.signal },
    );
    this.pruner.reset();
    for (const [i, [group, keep]] of decisions.entries()) {
      await this.pruner.prune(group, { keep });
      this.watch.onDecision?.(i + 1, decisions.length);
    }
    return this.pruner.finished();
  }

  private maskedToo(model: Model, wanted: boolean | undefined): Promise<Model | undefined> | Model {
    const { variational, calibration } = this.setup;
    return wanted && variational ? maskedAfterNoise(model, calibration, variational) : model;
  }

  private quantizedLayers(bits: Readonly<Record<string, number>>): QuantizedLayer[] {
    this.layers ??= quantizableLayers(this.model);
    const chosen: QuantizedLayer[] = [];
    for (const layer of this.layers) {
      const b = bits[layer.name];
      if (b === undefined || b > 8) continue;
      const key = `${b}:${layer.name}`;
      let entry = this.quantized.get(key);
      if (!entry) {
        entry = quantizeLayer(this.model, layer, b);
        this.quantized.set(key, entry);
      }
      chosen.push(entry);
    }
    return chosen;
  }

  async dispose(): Promise<void> {
    const { pruner, masked } = this;
    this.pruner = undefined;
    this.masked = undefined;
    await pruner?.release();
    await masked?.dispose();
  }
}
