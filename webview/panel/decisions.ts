/** What a policy means for layers and blocks of the graph. */
import type { ChannelGroupInfo, LayerGraph, LayerNode, Sensitivity } from '../../src/protocol/layer-graph';
import type { Candidate, Policy } from '../../src/protocol/policy';
import type { RunSnapshot } from '../../src/protocol/run-summary';
import { bitsText, percent } from './figures';
import { t } from './l10n';

/** Channels and bits of a layer, or of all layers of a block together. */
export interface Decision {
  /** Output channels before and after; undefined where the graph does not say. */
  readonly channels?: { readonly before: number; readonly after: number };
  /** Share of those channels that is removed; undefined where there is no policy, or nothing of it concerns this. */
  readonly ratio?: number;
  /** Fewest and most weight bits; undefined where none were decided. */
  readonly bits?: { readonly low: number; readonly high: number };
}

/** Which groups and layers of a graph belong together; made once a graph. */
export class LayerIndex {
  readonly nodes: ReadonlyMap<string, LayerNode>;
  private readonly produced = new Map<string, ChannelGroupInfo[]>();

  constructor(readonly graph: LayerGraph) {
    this.nodes = new Map(graph.nodes.map((node) => [node.id, node]));
    for (const group of graph.groups) {
      for (const name of group.producers) this.produced.set(name, [...(this.produced.get(name) ?? []), group]);
    }
  }

  /** Groups whose channels a layer makes, not those that it only reads or carries. */
  producedBy(node: LayerNode): readonly ChannelGroupInfo[] {
    return this.produced.get(node.id) ?? this.produced.get(node.name) ?? [];
  }

  /** Output channels of a layer with weights: those of its groups, which is what is cut; else the second axis, or the last of a sequence. */
  channels(node: LayerNode): number | undefined {
    const groups = this.producedBy(node);
    if (groups.length > 0) return groups.reduce((sum, group) => sum + group.channels, 0);
    const shape = node.outputs[0]?.shape;
    const length = shape && (shape.length === 3 ? shape[2] : shape[1]);
    return typeof length === 'number' ? length : undefined;
  }

  /** What `policy` does to `nodes`. */
  decision(nodes: readonly LayerNode[], policy: Policy | null): Decision {
    let before = 0;
    let cut = 0;
    let decided = false;
    let known = false;
    let low = Number.POSITIVE_INFINITY;
    let high = 0;
    for (const node of nodes) {
      const bits = node.quantizable === undefined ? undefined : policy?.bits[node.quantizable];
      if (bits !== undefined) {
        low = Math.min(low, bits);
        high = Math.max(high, bits);
      }
      const groups = this.producedBy(node);
      // A batch normalisation or a bias follows the layer before it, and would count its channels twice.
      const channels = node.quantizable !== undefined || groups.length > 0 ? this.channels(node) : undefined;
      if (channels === undefined) continue;
      known = true;
      before += channels;
      for (const group of groups) {
        // What stays whole may go by the same name as a group, which takes its first layer's.
        const ratio = group.prunable ? policy?.ratios[group.id] : undefined;
        if (ratio === undefined) continue;
        decided = true;
        cut += group.channels - Math.round(group.channels * (1 - ratio));
      }
    }
    return {
      ...(known ? { channels: { before, after: before - cut } } : {}),
      ...(decided && before > 0 ? { ratio: cut / before } : {}),
      ...(high > 0 ? { bits: { low, high } } : {}),
    };
  }
}

/** Bits of a decision: "4 bit", or "3–5 bit" for a block. */
export function bitsRange(bits: NonNullable<Decision['bits']>): string {
  if (bits.low === bits.high) return bitsText(bits.low);
  return bits.high >= 16 ? t('mixed bits') : `${bits.low}\u2013${bitsText(bits.high)}`;
}

/** A policy to show, and whose it is. */
export interface ShownPolicy {
  readonly policy: Policy | null;
  readonly candidate?: Candidate;
  /** What it is, in a few words. */
  readonly title: string;
  /** True where it changes while the agent searches. */
  readonly live: boolean;
}

/** The chosen candidate's policy; else, while a run goes on, the one being tried; else the best. */
export function shownPolicy(run: RunSnapshot | null, selectedCandidate: string | undefined): ShownPolicy {
  if (run === null) return { policy: null, title: '', live: false };
  const chosen = run.candidates.find((candidate) => candidate.id === selectedCandidate);
  if (chosen) return { policy: chosen.policy, candidate: chosen, title: t('Chosen candidate'), live: false };
  if (run.summary.status === 'running' && run.current)
    return { policy: run.current, title: t('Being tried in episode {0}', (run.progress?.episode ?? run.summary.episode) + 1), live: true };
  const best = run.summary.best ?? run.progress?.best ?? undefined;
  if (best) return { policy: best.policy, candidate: best, title: t('Best candidate'), live: false };
  return { policy: null, title: t('Nothing chosen yet'), live: false };
}

/** "90.6 % on 2,000 images". */
export function accuracyText(accuracy: number, images: number): string {
  return t('{0} on {1} images', percent(accuracy), images.toLocaleString('en'));
}

/** Sensitivity curves of a layer: of the groups it produces, and of its own weights. */
export function curvesOf(index: LayerIndex, node: LayerNode, sensitivity: Sensitivity | null) {
  const groups = new Set(index.producedBy(node).map((group) => group.id));
  return {
    ratio: sensitivity?.groups.filter((curve) => groups.has(curve.group)) ?? [],
    bits: sensitivity?.layers.find((curve) => curve.layer === node.quantizable),
  };
}
