/**
 * Stage 1 as N2N compresses (Ashok et al. 2017): first an agent takes whole parts out of the network, then another narrows the layers of
 * what is left; every student is taught by the original for a short time before it is scored.
 */
import type { Config } from '../../protocol/config';
import { overrideFor } from '../../protocol/layer-overrides';
import type { Candidate, ModelCost, Policy } from '../../protocol/policy';
import { UserError } from '../errors';
import { findChannelGroups } from '../graph/channel-groups';
import { costAfter, countCosts, type ModelCosts } from '../graph/costs';
import type { Layer } from '../graph/layers';
import { findRemovableParts, removeParts } from '../graph/removable-parts';
import { findMethod } from '../methods/registry';
import { modelBytes, parseModel, saveModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { Teacher } from '../training/teacher';
import type { ActorSetup } from './actor';
import { createActorPool } from './actor-pool';
import { writeFileAtomic } from './atomic-file';
import { channelCost } from './channel-cost';
import { pruneBudget, widthChoices } from './choices';
import { layerFeatures } from './layer-features';
import { type PartProblem, PartRemovalEnvironment, partObservations } from './part-removal-environment';
import { firstSamples, type Prepared } from './prepare';
import type { WidthDecision } from './prune-environment';
import type { PruneStageResult } from './prune-stage';
import type { RunContext } from './run-context';
import { savedModel } from './saved-model';
import { type StageDefinition, type StageResult, searchStage } from './search-stage';
import { shortTuningBatches } from './short-tuning-batches';
import type { StudentDesign, StudentTeaching } from './student';
import { keptChannels, type WidthGroup, type WidthStageParts, widthStage } from './width-stage';

/** What narrowing decides once it is known which parts are gone. */
export interface ShrinkProblem extends Pick<WidthStageParts, 'groups' | 'budget' | 'flops'> {
  /** Cost of the network without the parts, with groups as wide as a policy says. */
  cost(policy: Policy): ModelCost;
}

export interface StudentStageParts {
  /** What may be taken out; empty where nothing may. */
  readonly parts: PartProblem['parts'];
  /** Share of episodes and scorings that go into removal. */
  readonly removalShare: number;
  /** Of the network without these parts, nothing narrowed. */
  cost(removed: readonly string[]): ModelCost;
  /** Accuracy in [0, 1] of a student once it was taught; 0 where teaching it failed. */
  measure(design: StudentDesign, actor: number): Promise<{ accuracy: number }>;
  /** Cost relative to the goal's budget of the network without these parts and all else as narrow as allowed: above 1, the goal is out of reach. */
  least(removed: readonly string[]): number;
  shrink(removed: readonly string[]): ShrinkProblem;
  keep(design: StudentDesign, path: string): Promise<void>;
}

export interface StudentSearchResult extends StageResult {
  readonly design: StudentDesign;
}

/** Two searches, one after the other. */
export async function studentSearch(context: RunContext, parts: StudentStageParts): Promise<StudentSearchResult> {
  const { config } = context;
  const { episodes, scorings } = config.search;
  const share = parts.parts.length === 0 ? 0 : parts.removalShare;
  const first = share === 0 ? 0 : Math.min(episodes - 1, Math.max(1, Math.round(share * episodes)));
  const firstScorings = scorings === undefined ? undefined : Math.min(scorings - 1, Math.max(1, Math.round(share * scorings)));
  const total = { scorings: 0, completePolicies: 0, updates: 0 };
  let end: StageResult['end'] = 'complete';
  const add = (result: StageResult): StageResult => {
    total.scorings += result.scorings;
    total.completePolicies += result.completePolicies;
    total.updates += result.updates;
    if (result.end !== 'complete') end = result.end;
    return result;
  };

  const removal = first > 0 ? add(await searchStage(context, removalDefinition(context, parts, first, firstScorings))).best : undefined;
  const removed = removal?.policy.removed ?? [];
  const problem = parts.shrink(removed);
  if (problem.groups.length === 0 && first === 0)
    throw new UserError(
      'no part of the model can be taken out, and no channel group narrowed',
      'Turn stage 1 off ("stages": { "prune": false }), or allow more in "layers".',
    );
  if (problem.groups.length === 0) return { ...total, end, best: removal, design: { removed, widths: [] } };
  const spent = first > 0 ? (firstScorings ?? 0) : 0;
  const definition = shrinkDefinition(config, parts, problem, removed, {
    episodes: Math.max(1, episodes - first),
    before: first,
    scorings: scorings === undefined ? undefined : scorings - spent,
  });
  const best = add(await searchStage(context, definition)).best ?? removal;
  return { ...total, end, best, design: { removed, widths: best ? widthsOf(best.policy, problem.groups) : [] } };
}

const widthsOf = (policy: Policy, groups: readonly WidthGroup[]): WidthDecision[] =>
  Object.keys(policy.ratios).length === 0 ? [] : keptChannels(policy, groups).map((kept, i): WidthDecision => [groups[i].id, kept]);

function removalDefinition(
  { config }: RunContext,
  parts: StudentStageParts,
  episodes: number,
  scorings: number | undefined,
): StageDefinition {
  const count = parts.parts.length;
  return {
    stage: 'prune',
    part: {
      name: 'remove',
      episodes,
      before: 0,
      scorings,
      owns: ({ removed, ratios }) => removed !== undefined && Object.keys(ratios).length === 0,
    },
    rewardText: config.reward.prune,
    uniformAction: 0,
    rankByAccuracy: false,
    cost: ({ removed = [] }) => parts.cost(removed),
    problem: { levels: parts.parts.map(() => [0, 1]), sequence: partObservations(parts.parts) },
    makeEnvironment: (actor, scorer) =>
      new PartRemovalEnvironment({
        parts: parts.parts,
        evaluate: (removed, decided) =>
          scorer.score(
            `remove:${decided}:${removed.join(',')}`,
            { ratios: {}, bits: {}, removed },
            decided < count,
            decided - 1,
            actor,
            () => parts.measure({ removed, widths: [] }, actor),
          ),
      }),
    // What a budget still asks for, narrowing has to bring.
    excess: ({ policy }) => Math.max(0, parts.least(policy.removed ?? []) - 1),
    keep: ({ policy }, path) => parts.keep({ removed: policy.removed ?? [], widths: [] }, path),
  };
}

function shrinkDefinition(
  config: Config,
  parts: StudentStageParts,
  problem: ShrinkProblem,
  removed: readonly string[],
  place: { readonly episodes: number; readonly before: number; readonly scorings: number | undefined },
): StageDefinition {
  const { groups, budget, flops, cost } = problem;
  return {
    ...widthStage({
      config,
      groups,
      budget,
      targets: [],
      flops,
      base: { removed },
      cost,
      measure: (decisions, actor) => parts.measure({ removed, widths: decisions }, actor),
      keep: ({ policy }, path) => parts.keep({ removed, widths: widthsOf(policy, groups) }, path),
    }),
    part: { name: 'shrink', ...place, owns: ({ ratios }) => Object.keys(ratios).length > 0 },
    // R weighs size against accuracy also among students that keep a budget.
    rankByAccuracy: false,
  };
}

/** Searches students and builds the best. @throws UserError where nothing can be taken out or narrowed, or the goal is out of reach */
export async function studentStage(context: RunContext): Promise<PruneStageResult> {
  const { config, prepared, folder } = context;
  const { model, costs } = prepared;
  const parts = removableParts(prepared, config);
  const setup = await studentActorSetup(config, prepared, context.cores);
  const pool = createActorPool(setup, config.search.actors, context.threads?.actor);
  const whole = new Map<string, { network: Model; costs: ModelCosts }>();
  const without = (removed: readonly string[]) => {
    const key = removed.join('\n');
    const known = whole.get(key);
    if (known) return known;
    const network = removeParts(model, removed);
    const found = { network, costs: countCosts(network) };
    whole.set(key, found);
    return found;
  };
  const costOf = (removed: readonly string[]): ModelCost => {
    const { layers: _, ...cost } = without(removed).costs;
    return { ...cost, channels: findChannelGroups(without(removed).network).groups.reduce((sum, g) => sum + g.channels, 0) };
  };
  const build = async (design: StudentDesign): Promise<Uint8Array> => {
    const { model: built } = await pool.run({ kind: 'build-student', design }, 0);
    return built!;
  };
  try {
    const result = await studentSearch(context, {
      parts,
      removalShare: findMethod(config.method.name).student!(config).removalShare,
      cost: costOf,
      measure: async (design, actor) => ({ accuracy: (await pool.run({ kind: 'student', design }, actor)).accuracy! }),
      least: (removed) => leastRelativeCost(without(removed).network, costs, config),
      shrink: (removed) => shrinkProblem(without(removed), costs, context),
      keep: async (design, path) => {
        writeFileAtomic(path, await build(design));
      },
    });
    const trainingSteps = result.scorings * (setup.student?.steps ?? 0);
    const { best, design } = result;
    if (!best) return { ...result, trainingSteps, model, policy: { ratios: {}, bits: {} }, targets: [] };
    const student = await savedModel(context, 'student.onnx', async () => {
      const built = parseModel(await build(design));
      saveModel(built, folder.best('pruned-untrained.onnx'));
      return built;
    });
    return { ...result, trainingSteps, model: student, policy: best.policy, targets: [] };
  } finally {
    await pool.dispose();
  }
}

/** Parts of which no override skips a layer. */
export function removableParts({ model }: Pick<Prepared, 'model'>, config: Config): PartProblem['parts'] {
  // One layer at a time: an override of a part's other layer does not lift a skip.
  const skipped = (part: string, { name, weight }: Layer): boolean =>
    overrideFor(config.layers, [part, name, weight.replace(/\.weight$/, '')])?.skip === true;
  return findRemovableParts(model)
    .filter(({ name, layers }) => !layers.some((l) => skipped(name, l)))
    .map(({ name, kind, layers }, i) => {
      const features = layerFeatures(layers[0], i);
      return {
        name,
        layers: layers.length,
        block: kind === 'block',
        features: { ...features, flops: layers.reduce((sum, l) => sum + l.macs, 0) },
      };
    });
}

export function shrinkProblem(
  { network, costs }: { network: Model; costs: ModelCosts },
  original: ModelCosts,
  { config }: Pick<RunContext, 'config'>,
): ShrinkProblem {
  const all = findChannelGroups(network).groups;
  const open = all.flatMap((group) => {
    const choices = widthChoices(group, config);
    // A fixed width is nothing to choose, but narrower all the same.
    return choices && (choices.widths.length > 1 || choices.widths[0] < choices.channels) ? [{ group, choices }] : [];
  });
  const touched = (group: (typeof all)[number]): Set<string> => new Set([...group.producers, ...group.consumers].flatMap((m) => m.layers));
  const groups = open.map(({ group, choices }, index): WidthGroup => {
    const names = touched(group);
    const flops = costs.layers.filter((l) => names.has(l.name)).reduce((sum, l) => sum + l.macs, 0);
    const first = group.producers[0];
    return {
      id: group.id,
      choices,
      features: { index, outChannels: group.channels, inChannels: first?.length ?? 1, kernel: [1, 1], stride: 1, flops },
    };
  });
  const after = costAfter(network, all);
  const costWithout = channelCost(
    costs,
    all.reduce((sum, g) => sum + g.channels, 0),
  );
  return {
    groups,
    // Shares of the goal are of the original, which the network without its parts may keep to already.
    budget: pruneBudget(
      groups.map((g) => g.id),
      groups.map((g) => g.choices),
      costs,
      after,
      { ...config, goal: absoluteGoal(config, original) },
      config.stages.quantize,
    ),
    flops: (widths) => after(Object.fromEntries(widths.map((w, i) => [groups[i].id, w]))).macs,
    cost: (policy) => {
      const kept = Object.keys(policy.ratios).length > 0 ? keptChannels(policy, groups) : groups.map((g) => g.choices.channels);
      const gone = groups.reduce((sum, g, i) => sum + g.choices.channels - kept[i], 0);
      return costWithout(after(Object.fromEntries(kept.map((k, i) => [groups[i].id, k]))), gone);
    },
  };
}

/** See `StudentStageParts.least`. */
function leastRelativeCost(network: Model, original: ModelCosts, config: Config): number {
  const { flops, params } = absoluteGoal(config, original);
  const groups = findChannelGroups(network).groups;
  const narrowest = groups.map((g) => [g.id, widthChoices(g, config)?.widths.at(-1) ?? g.channels] as const);
  const cost = costAfter(network, groups)(Object.fromEntries(narrowest));
  return Math.max(flops === undefined ? 0 : cost.macs / flops, params === undefined ? 0 : cost.params / params);
}

/** Budgets as figures instead of shares. */
function absoluteGoal({ goal }: Config, { macs, params, weightBytes }: ModelCosts): Config['goal'] {
  const figure = (value: number | undefined, whole: number): number | undefined =>
    value === undefined || value > 1 ? value : value * whole;
  return { ...goal, flops: figure(goal.flops, macs), params: figure(goal.params, params), bytes: figure(goal.bytes, weightBytes) };
}

export async function studentActorSetup(config: Config, prepared: Prepared, threads?: number): Promise<ActorSetup> {
  return {
    model: modelBytes(prepared.model),
    scoring: prepared.data.search,
    calibration: firstSamples(prepared.data.calibration, 1),
    pruning: { selection: 'l1', reconstruct: false, positions: 1, seed: config.seed },
    student: await teachingOf(config, prepared, threads),
  };
}

/** Batches with the teacher's scores; undefined where there is nothing to teach on. */
async function teachingOf(config: Config, prepared: Prepared, threads?: number): Promise<StudentTeaching | undefined> {
  const { steps, batch, batches: count, learningRate, distance } = findMethod(config.method.name).student!(config);
  const batches = steps > 0 ? await shortTuningBatches(config, prepared, Math.min(count, steps), batch) : [];
  if (batches.length === 0) return undefined;
  const size = batches[0].labels.length;
  const teacher = await Teacher.create([prepared.model], size, { threads });
  try {
    const taught: Array<StudentTeaching['batches'][number]> = [];
    for (const b of batches) taught.push({ ...b, teacherLogits: (await teacher.answer(b.inputs)).logits });
    return { batches: taught, batch: size, steps, learningRate, loss: { crossEntropy: 1, logitsDistance: distance } };
  } finally {
    await teacher.dispose();
  }
}

/** The student of a candidate, made again from its policy. */
export function designOf({ policy }: Pick<Candidate, 'policy'>, { model }: Prepared): StudentDesign {
  const removed = policy.removed ?? [];
  const { groups } = findChannelGroups(removeParts(model, removed));
  const widths = groups
    .filter((g) => policy.ratios[g.id] !== undefined)
    .map((g): WidthDecision => [g.id, Math.round(g.channels * (1 - policy.ratios[g.id]))]);
  return { removed, widths };
}
