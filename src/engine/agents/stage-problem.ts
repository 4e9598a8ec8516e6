import type { Observation } from './agent';
import type { Task } from './scaled-policy';

/** What an agent may know of the stage it decides, beside what it sees step by step. */
export interface StageProblem {
  /** Actions that each step can execute, in the order of falling cost: the first leaves the layer whole. */
  readonly levels: ReadonlyArray<readonly number[]>;
  /** Cost of a whole policy (an action for each step) relative to its budget: at most 1 within it. Absent where there is no budget. */
  readonly relativeCost?: (actions: readonly number[]) => number;
  /** What every step observes, where it is known before the episode begins. */
  readonly sequence?: readonly Observation[];
  /** Of a stage that serves several targets, each with a budget of its own. Absent: there is one. */
  readonly tasks?: readonly Task[];
}
