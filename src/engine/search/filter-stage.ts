/**
 * Stage 1 filter by filter, as RLP prunes (Yang, Xu 2020): one search for each layer, each with an agent of its own that reads the layer's
 * filters. 'entire': from the lowest layer to the highest, the whole network fine-tuned after each. 'individual': each layer alone in the
 * original network; the decisions are put together at the end.
 */
import { existsSync } from 'node:fs';
import type { Config } from '../../protocol/config';
import { overrideFor } from '../../protocol/layer-overrides';
import type { Candidate, ModelCost, Policy } from '../../protocol/policy';
import type { Observation } from '../agents/agent';
import { UserError } from '../errors';
import type { ChannelGroup } from '../graph/channel-group';
import { findChannelGroups } from '../graph/channel-groups';
import { costAfter } from '../graph/costs';
import { forEachWeight } from '../importance/weight-slices';
import { findMethod } from '../methods/registry';
import { loadModel, modelBytes, parseModel, saveModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { removeChannels } from '../pruning/remove-channels';
import { fitModel } from '../training/fit';
import { createActorPool } from './actor-pool';
import { writeFileAtomic } from './atomic-file';
import { channelCost } from './channel-cost';
import { groupNames, isResidual } from './choices';
import { FilterEnvironment } from './filter-environment';
import { firstSamples } from './prepare';
import type { PruneStageResult } from './prune-stage';
import { trainingBatches, trainingStepsOf, tuningOptions } from './recover';
import { RewardTracker } from './reward-tracker';
import { type RunContext, rewardContext } from './run-context';
import { savedModel } from './saved-model';
import { type StageDefinition, type StageResult, searchStage } from './search-stage';

/** A layer whose filters are decided one by one. */
export interface FilterLayer {
  readonly id: string;
  /** What the agent sees of each filter. */
  readonly filters: readonly Observation[];
  /** Fewest and most filters that may go. */
  readonly fewest: number;
  readonly most: number;
}

export type FilterVariant = 'entire' | 'individual';

/** Filters removed by group id, ascending indices of the original; in the order in which layers were decided. */
export type FilterRemovals = Readonly<Record<string, readonly number[]>>;

export interface FilterStageParts {
  readonly layers: readonly FilterLayer[];
  readonly variant: FilterVariant;
  cost(policy: Policy): ModelCost;
  /**
   * Accuracy in [0, 1] of the network at a layer's turn without some of its filters.
   * @param index of the layer
   */
  measure(index: number, removed: readonly number[], actor: number): Promise<{ accuracy: number }>;
  /** 'entire': takes a layer's decision for good, before the next layer's turn. */
  settle(index: number, removed: readonly number[]): Promise<void>;
  /** Accuracy of the original without all of these. Only 'individual' asks. */
  together(removals: FilterRemovals): Promise<number>;
  keep(index: number, removed: readonly number[], path: string): Promise<void>;
}

export interface FilterSearchResult extends StageResult {
  readonly policy: Policy;
}

/** One search for each layer, one after another. Episodes and scorings are shared out evenly. */
export async function filterSearch(context: RunContext, parts: FilterStageParts): Promise<FilterSearchResult> {
  const { config, recorder } = context;
  const { layers, variant } = parts;
  const { episodes } = config.search;
  // What the decisions come to together is a scoring too.
  const scorings = config.search.scorings === undefined || variant === 'entire' ? config.search.scorings : config.search.scorings - 1;
  const perLayer = Math.max(1, Math.floor(episodes / layers.length));
  const removals: Record<string, readonly number[]> = {};
  const total = { scorings: 0, completePolicies: 0, updates: 0 };
  let best: Candidate | undefined;
  let end: StageResult['end'] = 'complete';
  for (const [index, layer] of layers.entries()) {
    const allowed =
      scorings === undefined
        ? undefined
        : Math.floor(((index + 1) * scorings) / layers.length) - Math.floor((index * scorings) / layers.length);
    // Nothing left to measure with, or time is up: the layer stays whole.
    const result =
      allowed === 0 ? undefined : await searchLayer(context, parts, index, variant === 'entire' ? removals : {}, perLayer, allowed);
    if (allowed === 0) end = 'scorings-limit';
    if (result) {
      total.scorings += result.scorings;
      total.completePolicies += result.completePolicies;
      total.updates += result.updates;
      if (result.end !== 'complete') end = result.end;
    }
    best = result?.best ?? best;
    removals[layer.id] = result?.best?.policy.channels?.[layer.id] ?? [];
    if (variant === 'entire') await parts.settle(index, removals[layer.id]);
  }
  const policy = policyOf(layers, removals);
  if (variant === 'entire') return { ...total, end, policy, best };
  const accuracy = await recorder.once('prune:together', () => parts.together(removals));
  const tracker = new RewardTracker(config.reward.prune, config.reward.constants, rewardContext(context));
  const cost = parts.cost(policy);
  const measures = {
    params: cost.params,
    bytes: cost.weightBytes,
    sparsity: 1 - cost.effectiveParams / context.original.params,
    layer: layers.length - 1,
  };
  const candidate: Candidate = {
    id: 'p-together',
    stage: 'prune',
    policy,
    accuracy,
    images: context.prepared.data.search.count,
    cost,
    reward: tracker.value({ accuracy, flops: cost.macs, measures: { ...measures, channels: cost.channels ?? 0 } }),
    episode: perLayer * layers.length,
    origin: config.method.name,
    partial: false,
  };
  recorder.candidate(candidate);
  return { ...total, scorings: total.scorings + 1, completePolicies: total.completePolicies + 1, end, policy, best: candidate };
}

function searchLayer(
  context: RunContext,
  parts: FilterStageParts,
  index: number,
  settled: FilterRemovals,
  episodes: number,
  scorings: number | undefined,
): Promise<StageResult> {
  const { config, original } = context;
  const layer = parts.layers[index];
  const count = layer.filters.length;
  const bound = config.goal.maxAccuracyDrop;
  const withRemoved = (removed: readonly number[]): Policy => policyOf(parts.layers, { ...settled, [layer.id]: removed });
  const removedBy = (policy: Policy): readonly number[] => policy.channels?.[layer.id] ?? [];
  const definition: StageDefinition = {
    stage: 'prune',
    part: {
      name: `layer-${index}`,
      episodes,
      before: index * episodes,
      scorings,
      owns: (policy) => Object.keys(policy.channels ?? {}).join('\n') === [...Object.keys(settled), layer.id].join('\n'),
    },
    rewardText: config.reward.prune,
    uniformAction: 0,
    rankByAccuracy: false,
    cost: parts.cost,
    // ψ = N/C counts the filters of this layer alone.
    measures: (policy) => ({ channels: count - removedBy(policy).length }),
    problem: { levels: layer.filters.map(() => [0, 1]), sequence: layer.filters },
    makeEnvironment: (actor, scorer) =>
      new FilterEnvironment({
        filters: layer.filters,
        fewest: layer.fewest,
        most: layer.most,
        evaluate: (removed, decided) =>
          scorer.score(`filters:${index}:${decided}:${removed.join(',')}`, withRemoved(removed), decided < count, decided - 1, actor, () =>
            parts.measure(index, removed, actor),
          ),
      }),
    // Beyond the drop bound φ is negative: such a candidate only wins where nothing else was found.
    excess: ({ accuracy }) => (bound === undefined ? 0 : Math.max(0, (original.accuracy - accuracy) / bound - 1)),
    keep: (candidate, path) => parts.keep(index, removedBy(candidate.policy), path),
  };
  return searchStage({ ...context, original: { ...original, channels: count } }, definition);
}

/** Shares and indices, of the layers that were decided. */
const policyOf = (layers: readonly FilterLayer[], removals: FilterRemovals): Policy => ({
  ratios: Object.fromEntries(
    Object.entries(removals).map(([id, gone]) => [id, gone.length / layers.find((l) => l.id === id)!.filters.length]),
  ),
  bits: {},
  channels: { ...removals },
});

/** Numbers of a filter that an agent sees at most; longer filters are averaged in runs of equal length. */
const MOST_WEIGHTS = 512;

/**
 * The weights that make each channel, of all layers that make it, scaled so that the layer's largest is 1 or 0 and nothing is 0.5.
 * @returns one observation a channel
 */
export function filterObservations(group: ChannelGroup, model: Model): Observation[] {
  const own = Array.from({ length: group.channels }, (_, channel) => {
    const values: number[] = [];
    for (const member of group.producers) forEachWeight(model, member, channel, (w) => values.push(w));
    return values;
  });
  const largest = own.reduce((most, values) => values.reduce((m, v) => Math.max(m, Math.abs(v)), most), 0) || 1;
  return own.map((values) => {
    const length = Math.min(values.length, MOST_WEIGHTS);
    return Array.from({ length }, (_, i) => {
      const [from, to] = [Math.floor((i * values.length) / length), Math.floor(((i + 1) * values.length) / length)];
      const mean = values.slice(from, to).reduce((sum, v) => sum + v, 0) / (to - from);
      return 0.5 + (0.5 * mean) / largest;
    });
  });
}

/** The layers that may be pruned, in the order of the graph. Overrides are shares of filters; widths are not rounded. */
export function filterLayers(model: Model, groups: readonly ChannelGroup[], config: Config): FilterLayer[] {
  return groups.flatMap((group): FilterLayer[] => {
    const override = overrideFor(config.layers, groupNames(group));
    const named = override?.ratio !== undefined || override?.minRatio !== undefined || override?.maxRatio !== undefined;
    if (override?.skip || group.channels < 2 || group.producers.length === 0) return [];
    if (config.pruning.residual === 'keep' && !named && isResidual(group)) return [];
    const n = group.channels;
    const limit = (share: number): number => Math.min(n - 1, Math.round(share * n));
    const [fewest, most] = [limit(override?.ratio ?? override?.minRatio ?? 0), limit(override?.ratio ?? override?.maxRatio ?? 1)];
    return most === 0 ? [] : [{ id: group.id, filters: filterObservations(group, model), fewest, most: Math.max(fewest, most) }];
  });
}

/** Searches filters layer by layer. @throws UserError where no group can be pruned, or the variant is unknown */
export async function filterStage(context: RunContext): Promise<PruneStageResult> {
  const { config, prepared, folder } = context;
  const { model, groups } = prepared;
  const layers = filterLayers(model, groups, config);
  if (layers.length === 0) {
    const reason = prepared.frozen[0]?.reason;
    throw new UserError(
      `no channel group of the model can be pruned${reason ? `; the first reason: ${prepared.frozen[0].id} ${reason}` : ''}`,
      'Turn stage 1 off ("stages": { "prune": false }), or allow more in "layers".',
    );
  }
  const { variant, epochs, learningRate } = findMethod(config.method.name).filters!(config);
  const after = costAfter(model, groups);
  const sizes = new Map(groups.map((g) => [g.id, g.channels]));
  const costWithout = channelCost(
    prepared.costs,
    groups.reduce((sum, g) => sum + g.channels, 0),
  );
  const cost = ({ channels: gone = {} }: Policy): ModelCost => {
    const kept = Object.fromEntries(Object.entries(gone).map(([id, list]) => [id, sizes.get(id)! - list.length]));
    const removed = Object.values(gone).reduce((sum, list) => sum + list.length, 0);
    return costWithout(after(kept), removed);
  };
  const poolOf = (network: Model) =>
    createActorPool(
      {
        model: modelBytes(network),
        scoring: prepared.data.search,
        calibration: firstSamples(prepared.data.calibration, 1),
        pruning: { selection: 'l1', reconstruct: false, positions: 1, seed: config.seed },
      },
      config.search.actors,
      context.threads?.actor,
    );
  let network = model;
  let pool = poolOf(network);
  const settled: Record<string, readonly number[]> = {};
  try {
    const result = await filterSearch(context, {
      layers,
      variant,
      cost,
      measure: async (index, removed, actor) => {
        const { accuracy } = await pool.run({ kind: 'remove', removals: [[layers[index].id, removed]] }, actor);
        return { accuracy: accuracy! };
      },
      settle: async (index, removed) => {
        const id = layers[index].id;
        settled[id] = removed;
        if (removed.length === 0) return;
        const cut = removeChannels(network, new Map([[id, removed]]), findChannelGroups(network).groups);
        const name = `filters-${index}`;
        network = await savedModel(context, `${name}.onnx`, () => fineTuned(context, cut, name, epochs, learningRate));
        await pool.dispose();
        pool = poolOf(network);
      },
      together: async (removals) => {
        const { accuracy } = await pool.run({ kind: 'remove', removals: Object.entries(removals) }, 0);
        return accuracy!;
      },
      keep: async (index, removed, path) => {
        const { model: cut } = await pool.run({ kind: 'build-removed', removals: [[layers[index].id, removed]] }, 0);
        writeFileAtomic(path, cut!);
      },
    });
    if (variant === 'individual') {
      const removals = Object.entries(result.policy.channels ?? {});
      network = parseModel((await pool.run({ kind: 'build-removed', removals }, 0)).model!);
    }
    saveModel(network, folder.best('pruned-untrained.onnx'));
    const tuned = variant === 'entire' ? Object.values(settled).filter((removed) => removed.length > 0).length : 0;
    return { ...result, trainingSteps: trainingStepsOf(context, tuned * epochs), model: network, targets: [] };
  } finally {
    await pool.dispose();
  }
}

/** The model of a candidate of this stage: its last layer cut out of the network that it was scored in. */
export function rebuildFiltered(policy: Policy, { config, prepared, folder }: Pick<RunContext, 'config' | 'prepared' | 'folder'>): Model {
  const removals = Object.entries(policy.channels ?? {});
  let base = prepared.model;
  let rest = removals;
  if (findMethod(config.method.name).filters!(config).variant === 'entire') {
    // A layer that lost nothing left no network of its own.
    for (let index = removals.length - 2; index >= 0; index--) {
      const path = folder.checkpoint(`filters-${index}.onnx`);
      if (!existsSync(path)) continue;
      base = loadModel(path);
      rest = removals.slice(index + 1);
      break;
    }
  }
  return removeChannels(base, new Map(rest), findChannelGroups(base).groups);
}

/** The whole network trained for some epochs; as it is where there is nothing to train on. */
async function fineTuned(context: RunContext, model: Model, purpose: string, epochs: number, learningRate: number): Promise<Model> {
  const source = epochs > 0 ? trainingBatches(context, purpose) : undefined;
  if (!source) return model;
  try {
    return (await fitModel(model, source, { ...tuningOptions(context, epochs, learningRate), onProgress: undefined })).model;
  } finally {
    await source.close();
  }
}
