/** The two sides of the search: an agent that acts, and an environment that answers. One conformance suite tests every agent. */

/** What an agent sees: numbers in [0, 1], always of the same length. */
export type Observation = readonly number[];

/** The range an action may take at this step: budgets and per-layer overrides arrive here. */
export interface ActionBounds {
  readonly low: number;
  readonly high: number;
}

export interface Step {
  readonly observation: Observation;
  readonly bounds: ActionBounds;
}

export interface Transition {
  readonly observation: Observation;
  readonly bounds: ActionBounds;
  /** What was executed: clipped to the bounds and rounded by the environment. */
  readonly action: number;
  /** The agent's raw sample (`Action.value`), before the environment clipped and rounded it. */
  readonly sample: number;
  /** log π_old of `sample` (`Action.logProbability`). */
  readonly logProbability: number;
  /** What the reward is computed from when the transition is used (bounds of FLOPs move during a run). */
  readonly outcome: Outcome;
  readonly next: Step | undefined;
  readonly done: boolean;
  /** True for the last transition of an episode where `done` does not say so (every action credited with the whole episode). Default: `done`. */
  readonly ended?: boolean;
  readonly actor: number;
}

/** Turns what was measured into the number the agent maximises; may change during a run, so it is applied at each use. */
export type RewardFunction = (outcome: Outcome) => number;

/** What an environment measured after an action. */
export interface Outcome {
  /** In [0, 1]. */
  readonly accuracy: number;
  /** Multiply-accumulates of the whole model now. */
  readonly flops: number;
  /** Other measures by their reward-language names (params, bytes, latency…), for rewards that use them. */
  readonly measures: Readonly<Record<string, number>>;
}

export interface Action {
  /** The raw sample, before the environment clips and rounds it. */
  readonly value: number;
  /** Log density of `value` as a fraction of the range of the bounds, u = (value − low)/(high − low); 0 for agents without a density. */
  readonly logProbability: number;
}

export interface StepResult {
  /** The action as executed. */
  readonly executed: number;
  readonly outcome: Outcome;
  readonly next: Step | undefined;
  readonly done: boolean;
}

/** One episode decides every group (or layer) once, in order. Everything random comes from the generator given at construction. */
export interface Environment {
  /** Number of numbers in an observation, and of steps in an episode. */
  readonly observationSize: number;
  readonly steps: number;
  reset(): Promise<Step>;
  step(action: number): Promise<StepResult>;
}

/** Figures logged at each update; NaN where an algorithm has no such figure. */
export interface UpdateDiagnostics {
  readonly criticLoss: number;
  readonly actorLoss: number;
  readonly approxKl: number;
  readonly clipFraction: number;
  readonly explainedVariance: number;
  readonly entropy: number;
  readonly qMean: number;
}

/** Plain data from which an agent goes on exactly where it was. */
export type AgentState = { readonly [key: string]: unknown };

export interface Agent {
  /** Samples an action for one actor, number `actor` (default 0; deterministic: the policy's mean, without noise). */
  act(step: Step, options?: { deterministic?: boolean; actor?: number }): Action;
  /** Takes in a transition; learns where it is time to. Returns diagnostics of the update, if there was one. */
  observe(transition: Transition, reward: RewardFunction): UpdateDiagnostics | undefined;
  /** Called when every parallel actor has ended its episode; agents that learn between episodes do it here and return the last update's diagnostics. */
  endRound(reward: RewardFunction): UpdateDiagnostics | undefined;
  state(): AgentState;
  restore(state: AgentState): void;
  /** Frees tensors. */
  dispose(): void;
}
