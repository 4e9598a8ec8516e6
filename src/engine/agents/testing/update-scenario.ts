import { Random } from '../../random';
import type { AgentState, Transition, UpdateDiagnostics } from '../agent';
import { PpoAgent } from '../ppo';
import type { TensorBackend } from '../tensor-backend';
import { BudgetChain } from './known-answer';
import { runEpisode } from './rollout';

/** A fixed situation just before and just after one PPO update, for comparing implementations of it. */
export interface UpdateScenario {
  readonly before: AgentState;
  readonly transition: Transition;
  readonly after: AgentState;
  readonly diagnostics: UpdateDiagnostics;
  /** σ at the update, as a fraction of the range. */
  readonly sigma: number;
  readonly observationSize: number;
  readonly environment: BudgetChain;
}

/** Plays ten episodes, which fill the replay and move the networks, and then one step more. */
export async function playUpToAnUpdate(backend: TensorBackend): Promise<UpdateScenario> {
  const environment = new BudgetChain(new Random(21));
  const agent = new PpoAgent(backend, environment.observationSize, new Random(22));
  for (let episode = 0; episode < 10; episode++) await runEpisode(agent, environment, environment.reward);
  const step = await environment.reset();
  const { value, logProbability } = agent.act(step);
  const { executed, outcome, next, done } = await environment.step(value);
  const transition = { ...step, action: executed, sample: value, logProbability, outcome, next, done, actor: 0 };
  const before = JSON.parse(JSON.stringify(agent.state())) as AgentState;
  const { sigma } = agent;
  const diagnostics = agent.observe(transition, environment.reward);
  if (!diagnostics) throw new Error('No update took place.');
  const after = JSON.parse(JSON.stringify(agent.state())) as AgentState;
  agent.dispose();
  return { before, transition, after, diagnostics, sigma, observationSize: environment.observationSize, environment };
}
