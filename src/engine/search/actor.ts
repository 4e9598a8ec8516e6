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
import { type QuantizedLayer, quantizeLayer, withDequantizedWeights } from '../quantization/quantized-layer';
import { accuracyOf, type ScoringSet } from '../runtime/evaluate';
import { measureLatency } from '../runtime/latency';
import type { WidthDecision } from './prune-environment';

/** Inputs without a purpose of their own: normalised samples in memory that threads share. */
export interface SampleSet {
  readonly inputs: Float32Array;
  readonly shape: readonly number[];
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
    readonly positions: number;
    readonly seed: number;
  };
}

export type ActorTask =
  /** Cut these groups in this order (reconstructing as set up), score the result. */
  | { readonly kind: 'prune'; readonly decisions: readonly WidthDecision[]; readonly latency?: boolean }
  /** The same, returning the model's bytes instead of scoring it. */
  | { readonly kind: 'build'; readonly decisions: readonly WidthDecision[] }
  /** Quantise the weights of these layers, score the result. */
  | { readonly kind: 'quantize'; readonly bits: Readonly<Record<string, number>> };

export interface ActorResult {
  readonly accuracy?: number;
  /** Median milliseconds at batch 1, where asked for. */
  readonly latency?: number;
  readonly model?: Uint8Array;
}

export class CompressionActor {
  private readonly model: Model;
  private pruner?: SequentialPruner;
  private layers?: readonly Layer[];
  private readonly quantized = new Map<string, QuantizedLayer>();

  constructor(private readonly setup: ActorSetup) {
    this.model = parseModel(setup.model);
  }

  async run(task: ActorTask): Promise<ActorResult> {
    switch (task.kind) {
      case 'prune': {
        const model = await this.pruned(task.decisions);
        const accuracy = await accuracyOf(model, this.setup.scoring, { threads: 1 });
        if (!task.latency) return { accuracy };
        const [measured] = await measureLatency([modelBytes(model)], this.setup.scoring.shape, 1, { threads: 1 });
        return { accuracy, latency: measured?.median };
      }
      case 'build':
        return { model: modelBytes(await this.pruned(task.decisions)) };
      case 'quantize':
        return { accuracy: await accuracyOf(this.withBits(task.bits), this.setup.scoring, { threads: 1 }) };
    }
  }

  private async pruned(decisions: readonly WidthDecision[]): Promise<Model> {
    if (!this.pruner) {
      const groups: readonly ChannelGroup[] = findChannelGroups(this.model).groups;
      this.pruner = new SequentialPruner(this.model, groups, this.setup.calibration, { ...this.setup.pruning, threads: 1 });
    }
    return this.pruner.apply(decisions);
  }

  private withBits(bits: Readonly<Record<string, number>>): Model {
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
    return withDequantizedWeights(this.model, chosen);
  }

  async dispose(): Promise<void> {
    await this.pruner?.dispose();
  }
}
