/**
 * Which single weights variational pruning masks: element scores of `pruning/variational.ts` from the noise that each unit took, the weights
 * of the moment and the signal of each input, ranked over all layers.
 */
import type { Config } from '../../protocol/config';
import { UserError } from '../errors';
import { countCosts } from '../graph/costs';
import type { Layer } from '../graph/layers';
import type { Model } from '../onnx/model';
import { type AllocationLayer, allocateElements } from '../pruning/element-allocation';
import { elementScores, selectElements } from '../pruning/variational';
import type { Random } from '../random';
import { noiseSite } from '../training/information-dropout';

export type VariationalSettings = Config['pruning']['variational'];

export interface ElementMaskOptions {
  readonly settings: VariationalSettings;
  /** Drop probability p of each output unit, by the layer's output; layers without noise are left out. */
  readonly dropProbability: ReadonlyMap<string, Float32Array>;
  /** Root mean square of each input channel, by the layer's name. */
  readonly rms: ReadonlyMap<string, Float32Array>;
  /** Multiply-accumulates of the network before anything was pruned. */
  readonly originalMacs: number;
  /** Of stochastic masks. */
  readonly draws: Random;
}

export class ElementMasks {
  private readonly dims: readonly (readonly number[])[];
  private readonly weights: number;
  private readonly macs: number;

  /** @param model as it was trained with noise @param layers of it, those whose weights may be masked */
  constructor(
    model: Model,
    private readonly layers: readonly Layer[],
    private readonly options: ElementMaskOptions,
  ) {
    this.dims = layers.map((l) => model.graph.initializers.get(l.weight)!.dims);
    this.weights = this.dims.reduce((sum, d) => sum + d.reduce((a, b) => a * b, 1), 0);
    this.macs = countCosts(model).macs;
  }

  /**
   * Masks on the way to the target sparsity, by the weights' names.
   * @param share of the target sparsity, in [0, 1]
   * @param step numbers the draws of stochastic masks: each step has its own, so that a resumed run draws the same
   */
  at(share: number, step: number, weightsOf: (layer: Layer) => Float32Array): Map<string, Float32Array> {
    const { settings, originalMacs, draws } = this.options;
    const sparsity = settings.targetSparsity * share;
    if (settings.stochastic) {
      const own = draws.fork(`step ${step}`);
      return this.named((l, i) => selectElements({ ...this.scored(l, i, weightsOf(l)), fraction: sparsity, stochastic: own }));
    }
    const allocation = this.layers.map((l, i): AllocationLayer => {
      const weights = weightsOf(l);
      return { scores: elementScores({ ...this.scored(l, i, weights), fraction: 0 }), macsPerWeight: l.macs / weights.length };
    });
    const macs =
      settings.targetFlops === undefined
        ? undefined
        : this.macs - (this.macs - Math.min(this.macs, settings.targetFlops * originalMacs)) * share;
    const kept = Math.max(this.layers.length, Math.floor(this.weights * (1 - sparsity)));
    const masks = allocateElements(allocation, { weights: kept, macs });
    return this.named((_, i) => masks[i]);
  }

  private named(maskOf: (layer: Layer, index: number) => Float32Array): Map<string, Float32Array> {
    return new Map(this.layers.map((l, i) => [l.weight, maskOf(l, i)]));
  }

  private scored(layer: Layer, index: number, weights: Float32Array) {
    const { dropProbability, rms, settings } = this.options;
    return {
      weights,
      dims: this.dims[index],
      unitAxis: layer.outAxis,
      inputAxis: layer.inAxis,
      groups: layer.groups,
      dropProbability: dropProbability.get(layer.node.outputs[0]) ?? new Float32Array(layer.outChannels),
      rms: rms.get(layer.name)!,
      useDropProbability: settings.useDropProbability,
    };
  }
}

/** Outputs of the layers whose activations can take noise. */
export const noisyLayers = (model: Model, layers: readonly Layer[]): string[] =>
  layers.filter((l) => canTakeNoise(model, l)).map((l) => l.node.outputs[0]);

function canTakeNoise(model: Model, layer: Layer): boolean {
  if (layer.kind === 'recurrent') return false;
  try {
    noiseSite(model, layer.node.outputs[0]);
    return true;
  } catch (e) {
    if (e instanceof UserError) return false;
    throw e;
  }
}
