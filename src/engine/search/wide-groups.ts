/** Groups with more channels than the samples can say anything about: whether the agent may cut them, and what a run says of them. */
import type { Config } from '../../protocol/config';
import { overrideFor } from '../../protocol/layer-overrides';
import { UserError } from '../errors';
import type { ChannelGroup } from '../graph/channel-group';
import type { CostAfter, ModelCosts } from '../graph/costs';
import { findMethod } from '../methods/registry';
import type { WidthChoices } from './budget';
import { groupNames, pruneBudget, uniformRatio } from './choices';
import type { RunContext } from './run-context';

/** Least squares over n samples says little of a layer with more inputs than a few n: the places of one image look alike. */
const CHANNELS_PER_SAMPLE = 3;

/** Groups wider than so many samples can say anything about. */
export const groupsTooWideFor = <G extends { readonly channels: number }>(samples: number, groups: readonly G[]): G[] =>
  groups.filter((g) => g.channels > CHANNELS_PER_SAMPLE * samples);

/**
 * What to be told where groups are wider than the samples that the layers behind them are fitted to can bear; undefined where none is.
 * @param wide of `groupsTooWideFor`
 * @param whole whether they are left whole for it
 */
export function tooWideFor(
  samples: number,
  wide: ReadonlyArray<{ readonly id: string; readonly channels: number }>,
  whole: boolean,
): string | undefined {
  if (wide.length === 0) return undefined;
  const [names, rest] = [wide.slice(0, 3).map((g) => `${g.id} (${g.channels} channels)`), wide.length - 3];
  const groups = `${names.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
  return whole
    ? `layers are fitted to ${samples} samples only, too few for ${groups}, which stay whole. Give more samples, or let the agent cut them ("pruning": { "wide": "prune" })`
    : `layers are fitted to ${samples} samples only, too few for ${groups}: what is pruned there may answer well on these samples and on no others. Give more samples, or leave such layers whole ("layers": { "${wide[0].id}": { "skip": true } })`;
}

interface OpenGroup {
  readonly group: ChannelGroup;
  readonly choices: WidthChoices;
}

/**
 * Groups that the agent decides: those too wide for the samples are left whole where the goal can do without them and no override names them.
 * @param movable groups with more than one width, or a fixed narrower one
 */
export function withoutWide(
  { config, prepared, recorder }: RunContext,
  movable: readonly OpenGroup[],
  after: CostAfter,
): readonly OpenGroup[] {
  if (!config.pruning.reconstruct) return movable;
  const { count } = prepared.data.finalCalibration;
  const open = movable.filter((g) => overrideFor(config.layers, groupNames(g.group)) === undefined);
  const wide = groupsTooWideFor(
    count,
    open.map((g) => g.group),
  );
  const others = movable.filter((g) => !wide.includes(g.group));
  const whole =
    config.pruning.wide === 'auto' && wide.length > 0 && others.length > 0 && isReachable(config, prepared.costs, after, others);
  const told = tooWideFor(count, wide, whole);
  if (told) recorder.warning(told);
  return whole ? others : movable;
}

/** Share of their channels that the others may lose in place of the wide ones: beyond it, more is lost there than is won. */
const MOST_OF_OTHERS = 0.6;

/** Whether the goal, and every target of the search, can be kept by these groups alone, at a ratio that leaves them something. */
function isReachable(config: Config, costs: ModelCosts, after: CostAfter, open: readonly OpenGroup[]): boolean {
  const choices = open.map((g) => g.choices);
  const ids = open.map((g) => g.group.id);
  // Where one search serves several targets, the smallest must be within reach too.
  const targets = findMethod(config.method.name).targets?.(config) ?? [];
  const goal = targets.length > 0 ? { ...config.goal, flops: Math.min(...targets) } : config.goal;
  try {
    const budget = pruneBudget(ids, choices, costs, after, { ...config, goal }, config.stages.quantize);
    return uniformRatio(choices, budget) <= MOST_OF_OTHERS;
  } catch (e) {
    if (e instanceof UserError) return false;
    throw e;
  }
}
