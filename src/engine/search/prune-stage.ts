/** Stage 1: the agent picks each group's prune ratio; the best policy within the goal is built. */

import { absoluteBudget, type Config } from '../../protocol/config';
import type { Candidate, ModelCost, Policy } from '../../protocol/policy';
import { UserError } from '../errors';
import type { ChannelGroup } from '../graph/channel-group';
import { costAfter } from '../graph/costs';
import { type Inferred, inferTypes } from '../graph/infer';
import { findMethod } from '../methods/registry';
import { modelBytes, parseModel, saveModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import type { ActorSetup } from './actor';
import { createActorPool } from './actor-pool';
import { writeFileAtomic } from './atomic-file';
import { CarefulBuilder, type Finalist } from './careful-builder';
import { channelCost } from './channel-cost';
import { pruneBudget, widthChoices } from './choices';
import { finalistsOf, finalistsSection } from './finalists';
import { type Features, layerFeatures } from './layer-features';
import { firstSamples, type Prepared } from './prepare';
import type { PruneTarget, WidthDecision } from './prune-environment';
import type { RolloutMasking } from './rollout-masking';
import type { RunContext } from './run-context';
import { savedModel } from './saved-model';
import { type StageResult, searchStage } from './search-stage';
import { shortTuningBatches } from './short-tuning-batches';
import { taylorScoresFor } from './taylor-scores';
import { withoutWide } from './wide-groups';
import { bestForTargets, keptChannels, type TargetResult, type WidthGroup, widthStage } from './width-stage';

export interface PruneStageResult extends StageResult {
  /** The best policy applied: cut and reconstructed, nothing trained. The model as it was where nothing was pruned. */
  readonly model: Model;
  readonly policy: Policy;
  /** What was found for each target, where the method serves several (CACP): built, not trained, in `best/untrained-flops-SHARE.onnx`. */
  readonly targets: readonly TargetResult[];
  /** True where the method has trained the model itself: no recovery follows. */
  readonly trained?: boolean;
  /** Bytes of the coded weights on disk, where the method codes them: stage 2 is then done. */
  readonly storedBytes?: number;
  /** Lines of the report about what only this method has. */
  readonly section?: readonly string[];
}

/** Searches prune ratios and builds the best policy. @throws UserError where no group can be pruned or the goal is out of reach */
export async function pruneStage(context: RunContext): Promise<PruneStageResult> {
  const { config, prepared, folder } = context;
  const { model, costs } = prepared;
  const open = prepared.groups
    .map((group) => ({ group, choices: widthChoices(group, config) }))
    .filter((g): g is { group: ChannelGroup; choices: NonNullable<typeof g.choices> } => g.choices !== undefined);
  const movable = open.filter((g) => g.choices.widths.length > 1 || g.choices.widths[0] < g.choices.channels);
  if (movable.length === 0) {
    const reason = prepared.frozen[0]?.reason;
    throw new UserError(
      `no channel group of the model can be pruned${reason ? `; the first reason: ${prepared.frozen[0].id} ${reason}` : ''}`,
      'Turn stage 1 off ("stages": { "prune": false }), or allow more in "layers".',
    );
  }
  const after = costAfter(model, prepared.groups);
  const decided = withoutWide(context, movable, after);
  const { types } = inferTypes(model, { batch: 1 });
  const groups = decided.map((g): WidthGroup => ({ id: g.group.id, choices: g.choices, features: groupFeatures(g.group, context, types) }));
  const ids = groups.map((g) => g.id);
  const choices = groups.map((g) => g.choices);
  const budget = pruneBudget(ids, choices, costs, after, config, config.stages.quantize);
  const costWithout = channelCost(
    costs,
    prepared.groups.reduce((a, g) => a + g.channels, 0),
  );

  const keptOf = (policy: Policy): Record<string, number> =>
    Object.fromEntries(
      groups
        .filter((g) => policy.ratios[g.id] !== undefined)
        .map((g) => [g.id, Math.round(g.choices.channels * (1 - policy.ratios[g.id]))]),
    );
  const cost = (policy: Policy): ModelCost => {
    const kept = keptOf(policy);
    const removed = groups.reduce((a, g) => a + (g.choices.channels - (kept[g.id] ?? g.choices.channels)), 0);
    return costWithout(after(kept), removed);
  };
  const setup = await pruneActorSetup(config, prepared);
  const { variational } = setup;
  const pool = createActorPool(setup, config.search.actors, context.threads?.actor);
  const needsLatency = config.goal.latency !== undefined || /\blatency\b/.test(config.reward.prune);
  const targets = (findMethod(config.method.name).targets?.(config) ?? []).flatMap((flops): PruneTarget[] => {
    const goal = { ...config.goal, flops };
    try {
      const budget = pruneBudget(ids, choices, costs, after, { ...config, goal }, config.stages.quantize)!;
      return [{ share: absoluteBudget(flops, costs.macs) / costs.macs, ...budget }];
    } catch (e) {
      // What the config asks for must be within reach; of the method's own targets, those that are not are left out.
      const asked = config.method.options['targets'] !== undefined || flops === config.goal.flops;
      if (asked || !(e instanceof UserError)) throw e;
      context.recorder.warning(`the target of ${(100 * flops).toFixed(0)} % of the FLOPs is left out: ${e.message}`);
      return [];
    }
  });
  const definition = widthStage({
    config,
    groups,
    budget,
    targets,
    flops: (widths) => after(Object.fromEntries(widths.map((w, i) => [ids[i], w]))).macs,
    cost,
    measure: async (decisions, actor) => {
      const masked = variational !== undefined && decisions.length === groups.length;
      const { accuracy, latency } = await pool.run({ kind: 'prune', decisions, latency: needsLatency, masked }, actor);
      return { accuracy: accuracy!, latency };
    },
    keep: async (candidate, path) => {
      // The actor that scored it still has every step of it at hand.
      const { model: built } = await pool.run(
        { kind: 'build', decisions: decisionsOf(candidate) },
        candidate.episode % config.search.actors,
      );
      writeFileAtomic(path, built!);
    },
  });
  const decisionsOf = ({ policy }: Candidate): WidthDecision[] =>
    keptChannels(policy, groups).map((kept, i): WidthDecision => [ids[i], kept]);
  try {
    const searched: StageResult = await searchStage(context, definition);
    const { best: winner } = searched;
    // With noise, then with the masks held.
    const result = variational ? { ...searched, trainingSteps: 2 * variational.batches.length * searched.completePolicies } : searched;
    const perTarget = bestForTargets(context.recorder.candidates.values(), targets, groups);
    if (!winner) return { ...result, model, policy: { ratios: {}, bits: {} }, targets: perTarget };
    for (const { share, candidate } of perTarget) await definition.keep(candidate, folder.best(`untrained-flops-${share.toFixed(3)}.onnx`));
    const alike = definition.rankByAccuracy && targets.length === 0 && !variational;
    const within = (c: Candidate): boolean => definition.excess(c) <= definition.excess(winner);
    // What the actors hold in memory is not needed any more.
    await pool.dispose();
    const finalists = alike ? finalistsOf(context.recorder.candidates.values(), config.pruning.final.finalists, within) : [winner];
    const builder = new CarefulBuilder(context, setup);
    const finalist = (c: Candidate): Finalist => ({
      id: c.id,
      decisions: decisionsOf(c),
      ...(!variational && { accuracy: c.accuracy }),
    });
    const compared = await builder.compared(finalists.map(finalist));
    const best = [winner, ...finalists].find((c) => c.id === compared[0].id)!;
    const cut = await savedModel(context, 'cut.onnx', async () => {
      const built = parseModel(await builder.built(finalist(best)));
      saveModel(built, folder.best('pruned-untrained.onnx'));
      return built;
    });
    return { ...result, best, model: cut, policy: best.policy, targets: perTarget, section: finalistsSection(compared, finalists) };
  } finally {
    await pool.dispose();
  }
}

/** What candidates of the stage are cut, reconstructed, masked and scored with: in the search, and when one is exported. */
export async function pruneActorSetup(config: Config, prepared: Prepared): Promise<ActorSetup> {
  const { selection, reconstruct, refit, positions, calibrationImages } = config.pruning;
  return {
    model: modelBytes(prepared.model),
    scoring: prepared.data.search,
    calibration: firstSamples(prepared.data.calibration, calibrationImages),
    pruning: { selection, scores: await taylorScoresFor(config, prepared), reconstruct, refit, positions, seed: config.seed },
    variational: await rolloutMasking(config, prepared),
  };
}

/** Variational pruning of candidates, where the config asks for it. @throws UserError where there is nothing to train on */
async function rolloutMasking(config: Config, prepared: Prepared): Promise<RolloutMasking | undefined> {
  const { variational: settings } = config.pruning;
  if (!settings.enabled || settings.rolloutSteps === 0) return undefined;
  const batches = await shortTuningBatches(config, prepared, settings.rolloutSteps, config.recovery.batch);
  if (batches.length === 0)
    throw new UserError(
      'variational pruning of candidates needs training samples with class labels',
      'Set "pruning.variational.rolloutSteps" to 0, or give the data a train part with labels.',
    );
  return { settings, batches, learningRate: config.recovery.learningRate, originalMacs: prepared.costs.macs, seed: config.seed };
}

/** n, c, kernel, stride and input map of the group's first producing layer; FLOPs of all layers it touches. */
function groupFeatures(group: ChannelGroup, { prepared }: RunContext, types: Inferred['types']): Features {
  const touched = new Set([...group.producers, ...group.consumers, ...group.parameters].flatMap((m) => m.layers));
  const first = prepared.layers.find((l) => group.producers.some((p) => p.layers.includes(l.name))) ?? prepared.layers[0];
  const flops = prepared.layers.filter((l) => touched.has(l.name)).reduce((a, l) => a + l.macs, 0);
  const [, , height, width] = types.get(first.node.inputs[0])?.shape ?? [];
  const size = (dimension: unknown): number => (typeof dimension === 'number' ? dimension : 1);
  return {
    ...layerFeatures(first, prepared.groups.indexOf(group)),
    outChannels: group.channels,
    flops,
    map: [size(height), size(width)],
  };
}
