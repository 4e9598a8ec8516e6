/** The sensitivity scan as the opening of a search: every step scored alone, then the policy that follows from it. */
import type { Outcome } from '../agents/agent';
import { type Probe, ProbedLosses, probedPolicy, probesOf } from '../agents/probed-losses';
import type { StageProblem } from '../agents/stage-problem';
import { type PlayedPolicy, playPolicy } from './openings';
import type { StageDefinition, StageScorer } from './search-stage';

/** Most levels tried of each step. */
const MOST_LEVELS = 4;
/** Of the scorings that are left, the share that a scan may take: the agent is to have the rest. */
const MOST_SHARE = 0.6;

/**
 * The probes of as many levels as there is room for.
 * @param scorings that scan and agent may make together
 * @returns undefined where there is no room for one level of each step, no budget, or more than one
 */
export function scanOf(problem: StageProblem, scorings: number): readonly Probe[] | undefined {
  if (!problem.relativeCost || problem.tasks) return undefined;
  for (let levels = MOST_LEVELS; levels > 0; levels--) {
    const probes = probesOf(problem, levels);
    if (probes.length + 1 <= MOST_SHARE * scorings) return probes;
  }
  return undefined;
}

/** Scores the probes, as many at a time as there are actors, and plays the policy that follows from them within the budget. */
export async function playScan(
  definition: StageDefinition,
  scorer: StageScorer,
  probes: readonly Probe[],
  actors: number,
): Promise<{ readonly probes: readonly Outcome[]; readonly policy: PlayedPolicy }> {
  const { problem } = definition;
  const environments = Array.from({ length: actors }, (_, actor) => definition.makeEnvironment(actor, scorer, { free: true }));
  const outcomes: Outcome[] = [];
  const losses = new ProbedLosses();
  for (let first = 0; first < probes.length; first += actors) {
    const now = probes.slice(first, first + actors);
    const played = await Promise.all(
      now.map((probe, i) => {
        const actions = probedPolicy(problem, probe);
        return playPolicy(environments[i], (step) => actions[step]);
      }),
    );
    played.forEach(({ outcome }, i) => {
      losses.see(now[i], outcome.accuracy);
      outcomes.push(outcome);
    });
  }
  const actions = losses.leastLossPolicy(problem.levels, problem.relativeCost!);
  return { probes: outcomes, policy: await playPolicy(definition.makeEnvironment(0, scorer), (step) => actions[step]) };
}
