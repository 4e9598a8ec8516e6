/**
 * Lottery tickets as a Markov decision process: tabular Q-learning looks for the mask on the trained network; what it keeps goes back to
 * its initial values and is trained again. A mask that another run found is trained without a search.
 */
import { absoluteBudget, type Config } from '../../protocol/config';
import type { ModelCost, Policy } from '../../protocol/policy';
import { UserError } from '../errors';
import { ownOptions } from '../methods/options';
import { saveModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { applyMasks } from '../pruning/weight-masks';
import type { Random } from '../random';
import { accuracyOf } from '../runtime/evaluate';
import { loadMasks, saveMasks } from './mask-file';
import type { PruneStageResult } from './prune-stage';
import { trainingStepsOf } from './recover';
import { maskOfRows, type RowLayer, RowMaskEnvironment, rowLayers, rowMasks } from './row-mask-environment';
import type { RunContext } from './run-context';
import { type StageDefinition, type StageResult, searchStage } from './search-stage';
import {
  configPath,
  costOf,
  enterRound,
  initialModel,
  type MaskableLayer,
  maskableLayers,
  randomBaseline,
  rewoundModel,
  sparsityOf,
  ticketOptions,
  ticketSection,
  trained,
} from './ticket-training';

/** Actions of an episode: each deletes about this part of what is to go. */
const DEFAULT_STEPS = 40;

export interface RowStageParts {
  readonly config: Config;
  readonly layers: readonly RowLayer[];
  readonly steps: number;
  /** Weights of each layer. */
  readonly weights: readonly number[];
  /** Most multiply-accumulates that the goal leaves; absent where it sets no limit. */
  readonly macs?: number;
  cost(policy: Policy): ModelCost;
  /** Accuracy in [0, 1] with so many blocks of each layer deleted, untrained. */
  measure(deleted: readonly number[]): Promise<number>;
  readonly keep: StageDefinition['keep'];
}

/** The stage as `searchStage` sees it, whatever measures the masks. */
export function rowMaskDefinition({ config, layers, steps, weights, macs, cost, measure, keep }: RowStageParts): StageDefinition {
  const actions = layers.map((_, i) => (layers.length > 1 ? i / (layers.length - 1) : 0));
  return {
    stage: 'prune',
    rewardText: config.reward.prune,
    uniformAction: 0.5,
    // Every episode deletes about as many weights.
    rankByAccuracy: true,
    cost,
    problem: { levels: Array.from({ length: steps }, () => actions) },
    // Masks delete as many weights, and not the same multiply-accumulates.
    excess: (candidate) => (macs === undefined ? 0 : Math.max(0, candidate.cost.effectiveMacs / macs - 1)),
    keep,
    makeEnvironment: (actor, scorer) =>
      new RowMaskEnvironment({
        layers,
        steps,
        evaluate: (deleted) => {
          const taken = deleted.reduce((a, d) => a + d, 0);
          const policy: Policy = { ratios: {}, bits: {}, sparsity: rowSparsity(layers, weights, deleted) };
          return scorer.score(`rows:${deleted.join(',')}`, policy, taken < steps, taken - 1, actor, async () => ({
            accuracy: await measure(deleted),
          }));
        },
      }),
  };
}

const rowSparsity = (layers: readonly RowLayer[], weights: readonly number[], deleted: readonly number[]): Record<string, number> =>
  Object.fromEntries(layers.map((l, i) => [l.name, (deleted[i] * l.rowsPerBlock * l.weightsPerRow) / weights[i]]));

/** Blocks of each layer that a policy deletes. */
const deletedBy = (layers: readonly RowLayer[], { sparsity = {} }: Policy): number[] =>
  layers.map((l) => Math.round(((sparsity[l.name] ?? 0) * l.order.length) / l.rowsPerBlock));

interface Rows {
  readonly layers: readonly RowLayer[];
  readonly steps: number;
}

/** @throws UserError where so many weights cannot go */
function rowsOf(context: Pick<RunContext, 'config' | 'prepared'>, maskable: readonly MaskableLayer[], sparsity: number): Rows {
  const { model } = context.prepared;
  const { steps } = ownOptions(context.config.method.options, { steps: DEFAULT_STEPS });
  const blockWeights = (sparsity * maskable.reduce((sum, l) => sum + l.weights, 0)) / steps;
  const layers = rowLayers(model, maskable, blockWeights);
  const blocks = layers.reduce((sum, l) => sum + l.blocks, 0);
  if (blocks < steps) {
    throw new UserError(
      `method.options.sparsity ${sparsity} cannot be reached by deleting rows: with all that may go about ${((100 * sparsity * blocks) / steps).toFixed(0)} % of the weights do`,
      'Lower it, raise "method.options.steps", or allow more in "layers".',
    );
  }
  return { layers, steps };
}

export async function lotteryMdpStage(context: RunContext): Promise<PruneStageResult> {
  const { config, prepared, folder } = context;
  const { model } = prepared;
  const options = ticketOptions(context);
  const maskable = maskableLayers(context);
  let result: StageResult = { best: undefined, end: 'complete', scorings: 0, completePolicies: 0, updates: 0 };
  let masks: Map<string, Float32Array>;
  if (options.mask !== '') {
    masks = loadMasks(configPath(context, options.mask), model, prepared.layers);
  } else {
    const rows = rowsOf(context, maskable, options.sparsity);
    result = await searchStage(context, definitionOf(context, rows));
    masks = rowMasks(model, rows.layers, deletedBy(rows.layers, result.best!.policy));
  }
  const start = await rewoundModel(context, await initialModel(context, options), options);
  saveMasks(folder.best('mask.json'), model, prepared.layers, masks, {
    method: config.method.name,
    data: prepared.data.name,
    model: prepared.sha256,
    seed: config.seed,
  });
  context.recorder.phase('recover', options.epochs);
  const ticket = await trained(context, 'p-ticket', start, masks, options);
  const best = await enterRound(context, 'p-ticket', config.search.episodes, ticket, {
    ratios: {},
    bits: {},
    sparsity: sparsityOf(maskable, masks),
  });
  const random = options.baseline ? await randomBaseline(context, start, masks, options, otherRows(context, maskable)) : undefined;
  return {
    ...result,
    best,
    model: ticket,
    policy: best.policy,
    targets: [],
    trained: true,
    trainingSteps: trainingStepsOf(context, options.epochs + options.rewindEpochs),
    section: await ticketSection(context, maskable, masks, ticket, random),
  };
}

/** As many rows of each layer, drawn at random; single weights where a mask is not of whole rows (it may be another method's). */
function otherRows({ prepared }: RunContext, maskable: readonly MaskableLayer[]) {
  return (name: string, mask: Float32Array, random: Random): Float32Array => {
    const { layer } = maskable.find((l) => l.layer.weight === name)!;
    const { dims, size } = prepared.model.graph.initializers.get(name)!;
    const rows = dims[layer.outAxis];
    const gone = mask.reduce((n, m) => n + (m === 0 ? 1 : 0), 0);
    const count = gone / (size / rows);
    if (!Number.isInteger(count)) return Float32Array.from(random.permutation(mask.length), (i) => mask[i]);
    return maskOfRows(dims, layer.outAxis, size, random.permutation(rows).subarray(0, count));
  };
}

function definitionOf(context: RunContext, { layers, steps }: Rows): StageDefinition {
  const { config, prepared, cores, signal } = context;
  const { model } = prepared;
  const masked = (deleted: readonly number[]): Model => applyMasks(model, rowMasks(model, layers, deleted));
  return rowMaskDefinition({
    config,
    layers,
    steps,
    weights: layers.map((l) => model.graph.initializers.get(l.weight)!.size),
    cost: costOfRows(context, layers),
    macs: config.goal.flops === undefined ? undefined : absoluteBudget(config.goal.flops, prepared.costs.macs),
    measure: (deleted) => accuracyOf(masked(deleted), prepared.data.search, { threads: cores, signal }),
    keep: async ({ policy }, path) => {
      saveModel(masked(deletedBy(layers, policy)), path);
    },
  });
}

/** Effective figures without the rows that a policy deletes, from the share of each layer's weights that is left. */
function costOfRows(context: RunContext, layers: readonly RowLayer[]): (policy: Policy) => ModelCost {
  const { prepared } = context;
  const whole = costOf(context, prepared.model);
  const own = layers.map((l) => prepared.layers.find((p) => p.weight === l.weight)!);
  return ({ sparsity = {} }) => {
    let { effectiveParams, effectiveMacs } = whole;
    for (const { name, weight, macs } of own) {
      const share = sparsity[name] ?? 0;
      effectiveParams -= Math.round(share * prepared.model.graph.initializers.get(weight)!.size);
      effectiveMacs -= share * macs;
    }
    return { ...whole, effectiveParams, effectiveMacs: Math.round(effectiveMacs) };
  };
}

/** The masked, untrained network of a candidate, made again from its policy. */
export function rebuildRows(policy: Policy, context: Pick<RunContext, 'config' | 'prepared'>): Model {
  const { model } = context.prepared;
  const { layers } = rowsOf(context, maskableLayers(context), ticketOptions(context).sparsity);
  return applyMasks(model, rowMasks(model, layers, deletedBy(layers, policy)));
}
