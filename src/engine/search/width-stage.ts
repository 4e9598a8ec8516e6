/** Stage 1 as `searchStage` sees it, whatever measures the policies: widths of groups, their budget, and what the method makes of both. */
import { absoluteBudget, type Config } from '../../protocol/config';
import type { Candidate, ModelCost, Policy } from '../../protocol/policy';
import { findMethod } from '../methods/registry';
import { Random } from '../random';
import { nearestWidth, ratioOf, type WidthChoices, type WidthCost } from './budget';
import { type PruneBudget, tiltedRatios, uniformRatio } from './choices';
import type { Features } from './layer-features';
import { PruneEnvironment, type PruneTarget, type WidthDecision } from './prune-environment';
import type { StageDefinition } from './search-stage';

export interface WidthGroup {
  readonly id: string;
  readonly choices: WidthChoices;
  readonly features: Features;
}

export interface WidthStageParts {
  readonly config: Config;
  readonly groups: readonly WidthGroup[];
  /** The goal as one relative cost; absent where it sets no limit. */
  readonly budget: PruneBudget | undefined;
  /** Budgets of a method that serves several; empty otherwise. */
  readonly targets: readonly PruneTarget[];
  /** FLOPs of the whole model. */
  readonly flops: WidthCost;
  /** What was decided before, which is part of every policy. */
  readonly base?: Pick<Policy, 'removed'>;
  cost(policy: Policy): ModelCost;
  /** Accuracy in [0, 1] of the model with these groups cut; median milliseconds where they are asked for. */
  measure(decisions: readonly WidthDecision[], actor: number): Promise<{ accuracy: number; latency?: number }>;
  readonly keep: StageDefinition['keep'];
}

export function widthStage({ config, groups, budget, targets, flops, base, cost, measure, keep }: WidthStageParts): StageDefinition {
  const { bounds, observation } = findMethod(config.method.name);
  const choices = groups.map((g) => g.choices);
  const keptBy = (policy: Policy): number[] => keptChannels(policy, groups);
  const overLatency = (milliseconds: number | undefined): number =>
    config.goal.latency === undefined || milliseconds === undefined ? 0 : milliseconds / config.goal.latency;
  const limited = budget !== undefined || config.goal.latency !== undefined;
  const free = bounds === 'free';
  const relativeCostOf =
    (cost: WidthCost) =>
    (actions: readonly number[]): number =>
      cost(actions.map((a, i) => nearestWidth(choices[i], a)));
  const uniformOf = (t: PruneTarget) => ({ target: targets.indexOf(t), action: uniformRatio(choices, t) });
  return {
    stage: 'prune',
    rewardText: config.reward.prune,
    uniformAction: uniformRatio(choices, budget),
    ...(budget && targets.length === 0 && { openings: tiltedRatios(choices, relativeCostOf(budget.cost)) }),
    ...(targets.length > 0 && { uniformOfTargets: goalFirst(config, targets, flops(choices.map((c) => c.channels))).map(uniformOf) }),
    rankByAccuracy: budget !== undefined,
    cost,
    problem: {
      levels: choices.map((c) => c.widths.map((w) => ratioOf(w, c.channels))),
      ...(budget && { relativeCost: relativeCostOf(budget.cost) }),
      ...(targets.length > 0 && { tasks: targets.map((t) => ({ name: String(t.share), relativeCost: relativeCostOf(t.cost) })) }),
    },
    ...(free &&
      limited && {
        relativeCost: (policy: Policy, latency?: number) => Math.max(budget?.cost(keptBy(policy)) ?? 0, overLatency(latency)),
      }),
    makeEnvironment: (actor, scorer, target) =>
      new PruneEnvironment({
        groups,
        cost: budget?.cost ?? (() => 0),
        budget: free ? undefined : budget?.budget,
        observation,
        flops,
        ...(targets.length > 0 && {
          drawTarget: () => targets[target ?? drawnTarget(config.seed, scorer.episode + actor, targets.length)],
        }),
        evaluate: (decisions) =>
          scorer.score(
            `prune:${decisions.map(([g, k]) => `${g}=${k}`).join(',')}`,
            { ...base, ...policyOf(decisions, groups) },
            decisions.length < groups.length,
            decisions.length - 1,
            actor,
            () => measure(decisions, actor),
          ),
      }),
    excess: (candidate) =>
      Math.max(0, budget ? budget.cost(keptBy(candidate.policy)) - 1 : 0, overLatency(candidate.latency?.[0]?.median) - 1),
    keep,
  };
}

/** Channels that each group keeps under a policy. */
export const keptChannels = (policy: Policy, groups: readonly WidthGroup[]): number[] =>
  groups.map((g) => Math.round(g.choices.channels * (1 - (policy.ratios[g.id] ?? 0))));

const policyOf = (decisions: readonly WidthDecision[], groups: readonly WidthGroup[]): Policy => ({
  ratios: Object.fromEntries(decisions.map(([id, kept], i) => [id, ratioOf(kept, groups[i].choices.channels)])),
  bits: {},
});

/** The targets, that of `goal.flops` before the others. @param macs of the whole model */
function goalFirst({ goal }: Config, targets: readonly PruneTarget[], macs: number): PruneTarget[] {
  const share = goal.flops === undefined ? undefined : absoluteBudget(goal.flops, macs) / macs;
  const isGoal = (t: PruneTarget): boolean => share !== undefined && Math.abs(t.share - share) < 1e-9;
  return [...targets.filter(isGoal), ...targets.filter((t) => !isGoal(t))];
}

/**
 * Which of `count` targets an episode has: each block of `count` episodes draws every target once, in an order of its own.
 * Follows from seed and number alone, so that a resumed run draws the same.
 */
function drawnTarget(seed: number, episode: number, count: number): number {
  const block = Math.floor(episode / count);
  return new Random(seed).fork(`target ${block}`).permutation(count)[episode % count];
}

/** What a search found for one of its targets. */
export interface TargetResult {
  /** Share of the original's FLOPs. */
  readonly share: number;
  readonly candidate: Candidate;
}

/** The most accurate complete candidate within each target; targets that none meets are left out. */
export function bestForTargets(
  candidates: Iterable<Candidate>,
  targets: readonly PruneTarget[],
  groups: readonly WidthGroup[],
): TargetResult[] {
  const complete = [...candidates].filter((c) => c.stage === 'prune' && !c.partial);
  return targets.flatMap(({ share, cost }) => {
    const within = complete.filter((c) => cost(keptChannels(c.policy, groups)) <= 1);
    if (within.length === 0) return [];
    const candidate = within.reduce((a, c) => (c.accuracy > a.accuracy || (c.accuracy === a.accuracy && c.id < a.id) ? c : a));
    return [{ share, candidate }];
  });
}
