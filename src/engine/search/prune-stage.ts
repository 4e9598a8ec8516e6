/** Stage 1: the agent picks each group's prune ratio; the best policy within the goal is built. */

import type { Candidate, ModelCost, Policy } from '../../protocol/policy';
import { UserError } from '../errors';
import type { ChannelGroup } from '../graph/channel-group';
import { costAfter } from '../graph/costs';
import { modelBytes, parseModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { createActorPool } from './actor-pool';
import { writeFileAtomic } from './atomic-file';
import { ratioOf } from './budget';
import { pruneBudget, uniformRatio, widthChoices } from './choices';
import { type Features, layerFeatures } from './layer-features';
import { PruneEnvironment, type WidthDecision } from './prune-environment';
import type { RunContext } from './run-context';
import { type StageDefinition, type StageResult, searchStage } from './search-stage';

export interface PruneStageResult extends StageResult {
  /** The best policy applied: cut and reconstructed, nothing trained. The model as it was where nothing was pruned. */
  readonly model: Model;
  readonly policy: Policy;
}

/** Searches prune ratios and builds the best policy. @throws UserError where no group can be pruned or the goal is out of reach */
export async function pruneStage(context: RunContext): Promise<PruneStageResult> {
  const { config, prepared, folder } = context;
  const { model, costs } = prepared;
  const open = prepared.groups
    .map((group) => ({ group, choices: widthChoices(group, config) }))
    .filter((g): g is { group: ChannelGroup; choices: NonNullable<typeof g.choices> } => g.choices !== undefined);
  const decided = open.filter((g) => g.choices.widths.length > 1 || g.choices.widths[0] < g.choices.channels);
  if (decided.length === 0) {
    const reason = prepared.frozen[0]?.reason;
    throw new UserError(
      `no channel group of the model can be pruned${reason ? `; the first reason: ${prepared.frozen[0].id} ${reason}` : ''}`,
      'Turn stage 1 off ("stages": { "prune": false }), or allow more in "layers".',
    );
  }
  const groups = decided.map((g) => ({ id: g.group.id, choices: g.choices, features: groupFeatures(g.group, context) }));
  const ids = groups.map((g) => g.id);
  const choices = groups.map((g) => g.choices);
  const after = costAfter(model, prepared.groups);
  const budget = pruneBudget(ids, choices, costs, after, config, config.stages.quantize);
  const wholeChannels = prepared.groups.reduce((a, g) => a + g.channels, 0);
  const density = costs.effectiveParams / costs.params;

  const keptOf = (policy: Policy): Record<string, number> =>
    Object.fromEntries(
      groups
        .filter((g) => policy.ratios[g.id] !== undefined)
        .map((g) => [g.id, Math.round(g.choices.channels * (1 - policy.ratios[g.id]))]),
    );
  const cost = (policy: Policy): ModelCost => {
    const kept = keptOf(policy);
    const { macs, params, weightBytes } = after(kept);
    const removed = groups.reduce((a, g) => a + (g.choices.channels - (kept[g.id] ?? g.choices.channels)), 0);
    return {
      macs,
      params,
      weightBytes,
      effectiveMacs: Math.round(macs * density),
      effectiveParams: Math.round(params * density),
      channels: wholeChannels - removed,
    };
  };
  const pool = createActorPool(
    {
      model: modelBytes(model),
      scoring: prepared.data.search,
      calibration: prepared.data.calibration,
      pruning: {
        selection: config.pruning.selection,
        reconstruct: config.pruning.reconstruct,
        positions: config.pruning.positions,
        seed: config.seed,
      },
    },
    config.search.actors,
    context.threads?.actor,
  );
  const needsLatency = config.goal.latency !== undefined || /\blatency\b/.test(config.reward.prune);
  const definition: StageDefinition = {
    stage: 'prune',
    rewardText: config.reward.prune,
    uniformAction: uniformRatio(choices, budget),
    rankByAccuracy: budget !== undefined,
    cost,
    makeEnvironment: (actor, scorer) => {
      const environment: PruneEnvironment = new PruneEnvironment({
        groups,
        cost: budget?.cost ?? (() => 0),
        budget: budget?.budget,
        evaluate: (decisions) =>
          scorer.score(
            `prune:${decisions.map(([g, k]) => `${g}=${k}`).join(',')}`,
            policyOf(decisions, groups),
            decisions.length < groups.length,
            decisions.length - 1,
            actor,
            async () => {
              const { accuracy, latency } = await pool.run({ kind: 'prune', decisions, latency: needsLatency }, actor);
              return { accuracy: accuracy!, latency };
            },
          ),
      });
      return environment;
    },
    withinGoal: (candidate) => keepsLimits(candidate, context, budget?.cost, groups),
  };
  try {
    const result = await searchStage(context, definition);
    if (!result.best) {
      return { ...result, model, policy: { ratios: {}, bits: {} } };
    }
    const built = folder.best('pruned-untrained.onnx');
    const decisions = groups.map((g): WidthDecision => [g.id, Math.round(g.choices.channels * (1 - result.best!.policy.ratios[g.id]))]);
    const { model: bytes } = await pool.run({ kind: 'build', decisions }, 0);

    writeFileAtomic(built, bytes!);
    return { ...result, model: parseModel(bytes!), policy: result.best.policy };
  } finally {
    await pool.dispose();
  }
}

const policyOf = (decisions: readonly WidthDecision[], groups: ReadonlyArray<{ id: string; choices: { channels: number } }>): Policy => ({
  ratios: Object.fromEntries(decisions.map(([id, kept], i) => [id, ratioOf(kept, groups[i].choices.channels)])),
  bits: {},
});

/** n, c, kernel and stride of the group's first producing layer; FLOPs of all layers it touches. */
function groupFeatures(group: ChannelGroup, { prepared }: RunContext): Features {
  const touched = new Set([...group.producers, ...group.consumers, ...group.parameters].flatMap((m) => m.layers));
  const first = prepared.layers.find((l) => group.producers.some((p) => p.layers.includes(l.name))) ?? prepared.layers[0];
  const flops = prepared.layers.filter((l) => touched.has(l.name)).reduce((a, l) => a + l.macs, 0);
  return { ...layerFeatures(first, prepared.groups.indexOf(group)), outChannels: group.channels, flops };
}

function keepsLimits(
  candidate: Candidate,
  { config }: RunContext,
  cost: ((kept: readonly number[]) => number) | undefined,
  groups: ReadonlyArray<{ id: string; choices: { channels: number } }>,
): boolean {
  const kept = groups.map((g) => Math.round(g.choices.channels * (1 - (candidate.policy.ratios[g.id] ?? 0))));
  if (cost && cost(kept) > 1) return false;
  const latency = candidate.latency?.[0]?.median;
  return config.goal.latency === undefined || latency === undefined || latency <= config.goal.latency;
}
