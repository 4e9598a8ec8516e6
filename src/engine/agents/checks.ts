/** What agents refuse, in the same words. */
import { UserError } from '../errors';
import type { AgentState, Observation, Outcome, RewardFunction } from './agent';

/** @throws UserError where the observation has another length or holds something that is not a finite number */
export function checkObservation(observation: Observation, size: number): void {
  if (observation.length === size && observation.every(Number.isFinite)) return;
  throw new UserError(
    `The agent expects observations of ${size} finite numbers and got [${observation.join(', ')}].`,
    'Check the cost figures of the layer this step decides; a checkpoint can only be resumed on the model it was made with.',
  );
}

/** @throws UserError where the reward is not a finite number */
export function finiteReward(reward: RewardFunction, outcome: Outcome): number {
  const value = reward(outcome);
  if (Number.isFinite(value)) return value;
  throw new UserError(
    `The reward is ${value} for an accuracy of ${outcome.accuracy} at ${outcome.flops} multiply-accumulates.`,
    'Change the reward so that it is a finite number for every outcome (look for divisions by zero and logarithms of zero).',
  );
}

/** @throws UserError where the state is another algorithm's */
export function checkAlgorithm(state: AgentState, algorithm: string): void {
  if (state['algorithm'] === algorithm) return;
  throw new UserError(
    `The checkpoint was written by the agent "${String(state['algorithm'])}", not by "${algorithm}".`,
    'Resume with the method the run was started with.',
  );
}

/** @throws UserError where the state was written with other sizes of network */
export function checkSizes(saved: readonly number[], sizes: readonly number[]): void {
  if (saved.join() === sizes.join()) return;
  throw new UserError(
    `The checkpoint holds a network of ${saved.join(' × ')} units where this agent has ${sizes.join(' × ')}.`,
    'Resume on the same model and with the same options, or start a new run.',
  );
}
