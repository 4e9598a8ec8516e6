import type { Agent, Environment, RewardFunction, Step, UpdateDiagnostics } from '../agent';

export interface Episode {
  /** The actions as executed. */
  readonly actions: readonly number[];
  readonly rewards: readonly number[];
  readonly diagnostics: readonly UpdateDiagnostics[];
}

/** One episode with one actor, learning unless `deterministic`. */
export async function runEpisode(
  agent: Agent,
  environment: Environment,
  reward: RewardFunction,
  { deterministic = false } = {},
): Promise<Episode> {
  const actions: number[] = [];
  const rewards: number[] = [];
  const diagnostics: UpdateDiagnostics[] = [];
  let step: Step | undefined = await environment.reset();
  while (step) {
    const { observation, bounds }: Step = step;
    const action = agent.act({ observation, bounds }, { deterministic });
    const { executed, outcome, next, done } = await environment.step(action.value);
    actions.push(executed);
    rewards.push(reward(outcome));
    if (!deterministic) {
      const update = agent.observe(
        {
          observation,
          bounds,
          action: executed,
          sample: action.value,
          logProbability: action.logProbability,
          outcome,
          next,
          done,
          actor: 0,
        },
        reward,
      );
      if (update) diagnostics.push(update);
    }
    step = next;
  }
  if (!deterministic) {
    const update = agent.endRound(reward);
    if (update) diagnostics.push(update);
  }
  return { actions, rewards, diagnostics };
}
