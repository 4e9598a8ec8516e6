/** Simple policies that are scored before the agent's first episode: the uniform one, and what else a stage has of the kind. */
import type { Environment, Outcome, Step } from '../agents/agent';
import type { InitialDecision, InitialPolicy } from '../agents/initial-policy';
import type { RewardTracker } from './reward-tracker';
import type { StageDefinition, StageScorer } from './search-stage';

type PlayedPolicy = InitialPolicy & { readonly outcome: Outcome };

/** The uniform policy of the stage, or of each of its targets, then its other openings: the first `count` of them, scored in order. */
export async function playOpenings(definition: StageDefinition, scorer: StageScorer, count: number): Promise<PlayedPolicy[]> {
  const { uniformOfTargets = [{ target: undefined, action: definition.uniformAction }], openings = [] } = definition;
  const all = [
    ...uniformOfTargets.map(({ target, action }) => ({ target, actionAt: () => action })),
    ...openings.map((actions) => ({ target: undefined, actionAt: (step: number) => actions[step] })),
  ];
  const played: PlayedPolicy[] = [];
  for (const { target, actionAt } of all.slice(0, count))
    played.push(await playPolicy(definition.makeEnvironment(0, scorer, target), actionAt));
  return played;
}

/** Plays one episode with a given action at every step, as far as the bounds allow it. */
async function playPolicy(environment: Environment, actionAt: (step: number) => number): Promise<PlayedPolicy> {
  const decisions: InitialDecision[] = [];
  let step: Step | undefined = await environment.reset();
  for (;;) {
    const result = await environment.step(actionAt(decisions.length));
    decisions.push({ step: step!, action: result.executed });
    if (result.done) return { decisions, outcome: result.outcome };
    step = result.next;
  }
}

/** The one with the highest reward, the first of equals; none of none. */
export function bestOf(played: readonly PlayedPolicy[], tracker: RewardTracker): PlayedPolicy[] {
  const value = ({ outcome }: PlayedPolicy): number => tracker.value(outcome);
  return played.length === 0 ? [] : [played.reduce((a, b) => (value(b) > value(a) ? b : a))];
}
