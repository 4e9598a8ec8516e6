/** One piece of a sensitivity scan: a channel group at several widths, or a layer at several bit-widths. */
import type { ChannelGroup } from '../graph/channel-group';
import { findChannelGroups } from '../graph/channel-groups';
import { inferTypes } from '../graph/infer';
import { quantizableLayers } from '../graph/layers';
import { foldBatchNorm } from '../graph/passes/fold-batch-norm';
import { parseModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { maskChannels, otherChannels, removeChannels } from '../pruning/remove-channels';
import { quantizeLayer, withDequantizedWeights } from '../quantization/quantized-layer';
import type { ScoringSet } from '../runtime/evaluate';
import { Carry, scoreVariants, suffixMacs, type VariantOptions } from './variant-scoring';

export type SensitivityUnit =
  | {
      readonly kind: 'group';
      readonly group: string /** Channels that stay, for each point. */;
      readonly kept: ReadonlyArray<readonly number[]>;
    }
  | { readonly kind: 'layer'; readonly layer: string; readonly bits: readonly number[] }
  /** The untouched model. */
  | { readonly kind: 'baseline' };

/** onnxruntime's blocked layout holds channels by 16 or 8: other widths run slower than the full one. */
const BLOCK = 16;

export class UnitScorer {
  /** Batch norms folded, as onnxruntime runs it anyway: so all forms of it share one folded weight. */
  private readonly folded: Model;
  private readonly groups: ReadonlyMap<string, ChannelGroup>;
  private readonly carry = new Carry();

  constructor(
    model: Model,
    private readonly set: ScoringSet,
  ) {
    this.folded = foldBatchNorm(model).model;
    this.groups = new Map(findChannelGroups(this.folded).groups.map((g) => [g.id, g]));
  }

  /** @param bytes a model after the normalising passes */
  static fromBytes(bytes: Uint8Array, set: ScoringSet): UnitScorer {
    return new UnitScorer(parseModel(bytes), set);
  }

  /**
   * Samples answered rightly at each point of the unit; each call must take the same share of the work.
   * Units best come in the order of the graph, so that each goes on from the values of the one before.
   */
  score(unit: SensitivityUnit, options: VariantOptions): Promise<number[]> {
    return scoreVariants(this.folded, this.variants(unit), this.set, { ...options, carry: this.carry });
  }

  private variants(unit: SensitivityUnit): Model[] {
    const { folded } = this;
    if (unit.kind === 'baseline') return [folded];
    if (unit.kind === 'layer') {
      const layer = quantizableLayers(folded).find((l) => l.name === unit.layer)!;
      return unit.bits.map((bits) => withDequantizedWeights(folded, [quantizeLayer(folded, layer, bits)]));
    }
    const group = this.groups.get(unit.group)!;
    return unit.kept.map((kept) => cheapestForm(folded, group, otherChannels(group, kept)));
  }
}

/**
 * The model without these channels, in the form that leaves least to compute behind the shared part. Both forms answer alike:
 * with the readers' weights zeroed, all before the first reader is shared; with the channels cut out, the layers are smaller, but the
 * producers count as changed. A cut goes down to the next full block only, the rest of the removed channels are zeroed.
 */
function cheapestForm(model: Model, group: ChannelGroup, removed: readonly number[]): Model {
  if (removed.length === 0) return model;
  const masked = maskChannels(model, new Map([[group.id, removed]]), [group]);
  const kept = group.channels - removed.length;
  const width = group.channels < BLOCK ? kept : Math.min(group.channels, Math.ceil(kept / BLOCK) * BLOCK);
  const cut = removed.slice(0, group.channels - width);
  if (cut.length === 0) return masked;
  const smaller = removeChannels(masked, new Map([[group.id, cut]]), [group]);
  const macs = (form: Model): number => suffixMacs(model, form, inferTypes(form, { batch: 1 }));
  return macs(smaller) < macs(masked) ? smaller : masked;
}
