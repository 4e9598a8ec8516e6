/** Whole policies that an agent is given to begin with. */
import type { Observation, Outcome, Step } from './agent';
import type { KnownPolicy } from './best-policy';
import { toFraction } from './exploration';

export interface InitialDecision {
  readonly step: Step;
  /** The action to begin with at that step, within its bounds. */
  readonly action: number;
}

export interface InitialPolicy {
  /** Of one episode, in order. */
  readonly decisions: readonly InitialDecision[];
  /** What it scored, where it was: the first best policy of its task. */
  readonly outcome?: Outcome;
}

/** Those that were scored, by task. */
export function scoredPolicies(
  policies: readonly InitialPolicy[],
  taskOf: (first: Observation) => string,
): Array<readonly [task: string, policy: KnownPolicy]> {
  return policies.flatMap(({ decisions, outcome }) => {
    if (!outcome) return [];
    const fractions = decisions.map(({ step, action }) => toFraction(action, step.bounds));
    const actions = decisions.map(({ action }) => action);
    const observations = decisions.map(({ step }) => step.observation);
    return [[taskOf(observations[0]), { fractions, actions, observations, outcome }] as const];
  });
}
