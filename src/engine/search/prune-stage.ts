/** Stage 1: the agent picks each group's prune ratio; the best policy within the goal is built. */

import { totalmem } from 'node:os';
import { absoluteBudget, type Config } from '../../protocol/config';
import type { Candidate, ModelCost, Policy } from '../../protocol/policy';
import { UserError } from '../errors';
import type { ChannelGroup } from '../graph/channel-group';
import { costAfter } from '../graph/costs';
import { type Inferred, inferTypes } from '../graph/infer';
import { findMethod } from '../methods/registry';
import { modelBytes, parseModel, saveModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { ACTIVATION_BYTES } from '../pruning/prune-sequence';
import { accuracyOf } from '../runtime/evaluate';
import { type ActorSetup, CompressionActor } from './actor';
import { createActorPool } from './actor-pool';
import { writeFileAtomic } from './atomic-file';
import { channelCost } from './channel-cost';
import { pruneBudget, widthChoices } from './choices';
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
    const { best } = searched;
    // With noise, then with the masks held.
    const result = variational ? { ...searched, trainingSteps: 2 * variational.batches.length * searched.completePolicies } : searched;
    const perTarget = bestForTargets(context.recorder.candidates.values(), targets, groups);
    if (!best) return { ...result, model, policy: { ratios: {}, bits: {} }, targets: perTarget };
    for (const { share, candidate } of perTarget) await definition.keep(candidate, folder.best(`untrained-flops-${share.toFixed(3)}.onnx`));
    const cut = await savedModel(context, 'cut.onnx', async () => {
      const decisions = decisionsOf(best);
      const quick = (await pool.run({ kind: 'build', decisions }, best.episode % config.search.actors)).model!;
      await pool.dispose();
      const built = parseModel(await buildFinal(context, decisions, quick, setup.pruning.scores));
      saveModel(built, folder.best('pruned-untrained.onnx'));
      return built;
    });
    return { ...result, model: cut, policy: best.policy, targets: perTarget };
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

/**
 * The chosen policy reconstructed on more samples; the quick form where that scores worse on the search samples by more than a margin. The
 * quick form is the best of many by this very score, so part of its lead is luck.
 */
async function buildFinal(
  { config, prepared, recorder, cores, signal }: RunContext,
  decisions: readonly WidthDecision[],
  quick: Uint8Array,
  scores: ReadonlyMap<string, Float64Array> | undefined,
): Promise<Uint8Array> {
  const { final, calibrationImages, positions, reconstruct, refit, selection } = config.pruning;
  const { finalCalibration, search } = prepared.data;
  if (!reconstruct || (final.calibrationImages <= calibrationImages && final.positions <= positions)) return quick;
  recorder.phase('reconstruct');
  const started = performance.now();
  const onDecision = (done: number, of: number): void =>
    recorder.update({ secondsLeft: (((performance.now() - started) / 1000) * (of - done)) / done }, true);
  const setup: ActorSetup = {
    model: modelBytes(prepared.model),
    scoring: search,
    calibration: firstSamples(finalCalibration, final.calibrationImages),
    pruning: {
      selection,
      scores,
      reconstruct,
      refit,
      positions: final.positions,
      seed: config.seed,
      threads: cores,
      activationBytes: finalActivationBytes(),
    },
  };
  const actor = new CompressionActor(setup, { signal, onDecision });
  try {
    const { model } = await actor.run({ kind: 'build', decisions });
    const [careful, fast] = [
      await accuracyOf(parseModel(model!), search, { threads: cores, signal }),
      await accuracyOf(parseModel(quick), search, { threads: cores, signal }),
    ];
    return careful >= fast - final.margin ? model! : quick;
  } finally {
    await actor.dispose();
  }
}

/**
 * Bytes that one cut's activations may take in the last reconstruction, which works alone and on many samples. A gigabyte holds those of
 * 8,000 images in ResNet-20 and -56; where they do not fit, each layer is computed from the inputs again.
 */
function finalActivationBytes(): number {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  return Math.max(ACTIVATION_BYTES, Math.min(2 ** 30, memory / 16));
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
