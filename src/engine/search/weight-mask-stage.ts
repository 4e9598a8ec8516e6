/** Stage 1 for methods that mask single weights: the agent picks each layer's sparsity; the best policy within the goal is built. */
import { absoluteBudget, type Config } from '../../protocol/config';
import type { Candidate, ModelCost, Policy } from '../../protocol/policy';
import { UserError } from '../errors';
import { findMethod } from '../methods/registry';
import { modelBytes, parseModel, saveModel } from '../onnx/file';
import { type ActorSetup, CompressionActor } from './actor';
import { createActorPool } from './actor-pool';
import { writeFileAtomic } from './atomic-file';
import { type Features, layerFeatures } from './layer-features';
import { firstSamples, type Prepared } from './prepare';
import type { PruneStageResult } from './prune-stage';
import type { RunContext } from './run-context';
import { savedModel } from './saved-model';
import { type StageDefinition, searchStage } from './search-stage';
import { shortTuningBatches } from './short-tuning-batches';
import { type MaskBudget, type MaskDecision, WeightMaskEnvironment } from './weight-mask-environment';
import { type MaskLevel, maskedCost, maskLayers } from './weight-mask-layers';

/** A layer as the stage decides it. */
export interface MaskUnit {
  readonly name: string;
  readonly weights: number;
  readonly levels: readonly MaskLevel[];
  readonly features: Features;
}

export interface MaskStageParts {
  readonly config: Config;
  readonly units: readonly MaskUnit[];
  /** The goal as one relative cost; absent where it sets no limit. */
  readonly budget: MaskBudget | undefined;
  /** Of the original model, in [0, 1]. */
  readonly accuracy: number;
  cost(policy: Policy): ModelCost;
  /** Accuracy in [0, 1] of the model with these layers masked; median milliseconds where they are asked for. */
  measure(decisions: readonly MaskDecision[], actor: number): Promise<{ accuracy: number; latency?: number }>;
  readonly keep: StageDefinition['keep'];
}

/** The stage as `searchStage` sees it, whatever measures the policies. */
export function weightMaskDefinition({ config, units, budget, accuracy, cost, measure, keep }: MaskStageParts): StageDefinition {
  const method = findMethod(config.method.name);
  const free = method.bounds === 'free';
  const spent = (policy: Policy): number => budget?.relativeCost(units.map((u) => policy.sparsity?.[u.name] ?? 0)) ?? 0;
  const sparsityAt = ({ levels }: MaskUnit, action: number): number =>
    levels.reduce((a, l) => (Math.abs(l.action - action) < Math.abs(a.action - action) - 1e-12 ? l : a)).sparsity;
  return {
    stage: 'prune',
    rewardText: config.reward.prune,
    uniformAction: uniformMaskAction(units, (sparsities) =>
      budget ? budget.relativeCost(sparsities) <= 1 : shareMasked(units, sparsities) >= config.reward.targetSparsity,
    ),
    rankByAccuracy: budget !== undefined,
    cost,
    problem: {
      levels: units.map((u) => u.levels.map((l) => l.action)),
      ...(budget && { relativeCost: (actions) => budget.relativeCost(actions.map((a, i) => sparsityAt(units[i], a))) }),
    },
    ...(free && budget && { relativeCost: spent }),
    makeEnvironment: (actor, scorer) =>
      new WeightMaskEnvironment({
        layers: units,
        budget: free ? undefined : budget,
        accuracy,
        evaluate: (decisions) =>
          scorer.score(
            `mask:${decisions.map(([l, s]) => `${l}=${s}`).join(',')}`,
            { ratios: {}, bits: {}, sparsity: Object.fromEntries(decisions) },
            decisions.length < units.length,
            decisions.length - 1,
            actor,
            () => measure(decisions, actor),
          ),
      }),
    excess: (candidate) => Math.max(0, spent(candidate.policy) - 1),
    keep,
  };
}

const shareMasked = (units: readonly MaskUnit[], sparsities: readonly number[]): number =>
  units.reduce((sum, u, i) => sum + sparsities[i] * u.weights, 0) / units.reduce((sum, u) => sum + u.weights, 0);

/** The smallest action that, taken for every layer, is enough; the largest there is where none is. */
function uniformMaskAction(units: readonly MaskUnit[], enough: (sparsities: readonly number[]) => boolean): number {
  const actions = [...new Set(units.flatMap((u) => u.levels.map((l) => l.action)))].sort((a, b) => a - b);
  const at = (action: number): number[] =>
    units.map(
      ({ levels }) => levels.reduce((a, l) => (Math.abs(l.action - action) < Math.abs(a.action - action) - 1e-12 ? l : a)).sparsity,
    );
  return actions.find((a) => enough(at(a))) ?? actions[actions.length - 1];
}

/**
 * `goal.params` and `goal.flops` as limits on what is left of the weights (the effective figures: masks change no other).
 * @throws UserError where even the sparsest levels miss the goal, saying what can be reached
 */
export function maskBudget(
  units: readonly MaskUnit[],
  cost: (policy: Policy) => ModelCost,
  original: ModelCost,
  { goal }: Config,
): MaskBudget | undefined {
  const limits = (
    [
      ['goal.params', goal.params, 'effectiveParams', original.params],
      ['goal.flops', goal.flops, 'effectiveMacs', original.macs],
    ] as const
  ).flatMap(([label, value, figure, whole]) =>
    value === undefined ? [] : [{ label, figure, whole, limit: absoluteBudget(value, whole) }],
  );
  if (limits.length === 0) return undefined;
  const costOf = (sparsities: readonly number[]): ModelCost =>
    cost({ ratios: {}, bits: {}, sparsity: Object.fromEntries(sparsities.map((s, i) => [units[i].name, s])) });
  const least = costOf(units.map((u) => u.levels[u.levels.length - 1].sparsity));
  for (const { label, figure, whole, limit } of limits) {
    if (least[figure] > limit) {
      throw new UserError(
        `${label}: at most ${Math.round(limit)} of ${Math.round(whole)} cannot be reached; with every layer masked as far as allowed ${Math.round(least[figure])} are left`,
        'Raise the budget, or allow more in "layers" (maxRatio is the largest share of weights masked).',
      );
    }
  }
  return {
    relativeCost: (sparsities) => {
      const left = costOf(sparsities);
      return Math.max(...limits.map(({ figure, limit }) => left[figure] / limit));
    },
  };
}

/** Searches masks and builds the best policy. @throws UserError where no layer can be masked or the goal is out of reach */
export async function weightMaskStage(context: RunContext): Promise<PruneStageResult> {
  const { config, prepared, folder } = context;
  const { model, costs, layers } = prepared;
  const method = findMethod(config.method.name);
  const units = maskLayers(model, layers, config, method.levels?.(config)).map(
    ({ layer, levels, weights }, i): MaskUnit => ({ name: layer.name, levels, weights, features: layerFeatures(layer, i) }),
  );
  if (units.length === 0)
    throw new UserError('"layers" skips every layer of the model, so there is no weight to mask', 'Take a skip out of "layers".');
  const maskedCostOf = maskedCost(model, layers, costs);
  const channels = prepared.groups.reduce((sum, g) => sum + g.channels, 0);
  const cost = (policy: Policy): ModelCost => ({ ...maskedCostOf(policy), channels });
  const setup = await maskActorSetup(config, prepared);
  const pool = createActorPool(setup, config.search.actors, context.threads?.actor);
  const needsLatency = /\blatency\b/.test(config.reward.prune);
  const decisionsOf = ({ sparsity = {} }: Policy): MaskDecision[] =>
    units.filter((u) => sparsity[u.name] !== undefined).map((u): MaskDecision => [u.name, sparsity[u.name]]);
  let warned: Promise<boolean> | undefined;
  const definition = weightMaskDefinition({
    config,
    units,
    budget: maskBudget(units, maskedCostOf, costs, config),
    accuracy: context.original.accuracy,
    cost,
    measure: async (decisions, actor) => {
      const { accuracy, latency, diverged } = await pool.run({ kind: 'mask', decisions, latency: needsLatency }, actor);
      if (diverged) {
        warned ??= warnOfDivergence(context);
        await warned;
      }
      return { accuracy: accuracy!, latency };
    },
    keep: async (candidate: Candidate, path) => {
      const task = { kind: 'build-mask', decisions: decisionsOf(candidate.policy) } as const;
      writeFileAtomic(path, (await pool.run(task, candidate.episode % config.search.actors)).model!);
    },
  });
  try {
    const searched = await searchStage(context, definition);
    const result = { ...searched, trainingSteps: searched.scorings * (setup.masking?.steps ?? 0) };
    const { best } = result;
    if (!best) return { ...result, model, policy: { ratios: {}, bits: {} }, targets: [] };
    const built = await savedModel(context, 'masked.onnx', async () => {
      const task = { kind: 'build-mask', decisions: decisionsOf(best.policy) } as const;
      const masked = parseModel((await pool.run(task, best.episode % config.search.actors)).model!);
      saveModel(masked, folder.best('pruned-untrained.onnx'));
      return masked;
    });
    return { ...result, model: built, policy: best.policy, targets: [] };
  } finally {
    await pool.dispose();
  }
}

/** Once in the life of a run: every candidate that diverges says so by its score. */
const warnOfDivergence = ({ recorder }: RunContext): Promise<boolean> =>
  recorder.once('note:diverged', async () => {
    recorder.warning(
      'fine-tuning a candidate diverged, so it is scored 0, as are all others that do: lower "method.options.tuneRate", or check that the inputs are normalised',
    );
    return true;
  });

/** The model of a candidate of this stage, made again from its policy. */
export async function rebuildMasked(policy: Policy, config: Config, prepared: Prepared): Promise<Uint8Array> {
  const actor = new CompressionActor(await maskActorSetup(config, prepared));
  try {
    const decisions = prepared.layers
      .filter((l) => policy.sparsity?.[l.name] !== undefined)
      .map((l): MaskDecision => [l.name, policy.sparsity![l.name]]);
    return (await actor.run({ kind: 'build-mask', decisions })).model!;
  } finally {
    await actor.dispose();
  }
}

async function maskActorSetup(config: Config, prepared: Prepared): Promise<ActorSetup> {
  const settings = findMethod(config.method.name).tuning?.(config);
  const batches = settings && settings.steps > 0 ? await shortTuningBatches(config, prepared, settings.batches, settings.batch) : [];
  return {
    model: modelBytes(prepared.model),
    scoring: prepared.data.search,
    calibration: firstSamples(prepared.data.calibration, 1),
    pruning: { selection: 'l1', reconstruct: false, positions: 1, seed: config.seed },
    ...(settings && batches.length > 0 && { masking: { batches, steps: settings.steps, learningRate: settings.learningRate } }),
  };
}
