/** A named method: which agent decides, how its actions are credited. Environment, pruner, budget and report are the same for all. */
import type { AgentSettings } from '../../protocol/config';
import type { Agent } from '../agents/agent';
import type { InitialDecision } from '../agents/ppo';
import type { TensorBackend } from '../agents/tensor-backend';
import type { Random } from '../random';

export interface AgentContext {
  readonly backend: TensorBackend;
  readonly observationSize: number;
  readonly random: Random;
  readonly settings: AgentSettings;
  /** The method's own options from the config. */
  readonly options: Readonly<Record<string, number | boolean | string>>;
  /** The one action that, taken at every step, meets the budget best: the uniform policy. */
  readonly uniformAction: number;
  /** Decisions of the uniform policy, for methods that start from it. */
  readonly initialPolicy: readonly InitialDecision[];
  /** Steps of one episode, and how many episodes are planned. */
  readonly steps: number;
  readonly episodes: number;
}

export interface Method {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly source: string;
  /** See `EpisodeOptions.credit`. */
  readonly credit: 'step' | 'episode';
  /** Plays the uniform policy first (one scoring) and hands its decisions to the agent. */
  readonly startsFromUniform?: boolean;
  /** A method that proposes one policy needs one episode. */
  readonly episodes?: number;
  createAgent(context: AgentContext): Agent;
}
