/** A named method: which agent decides, how its actions are credited. Environment, pruner, budget and report are the same for all. */
import type { AgentSettings, Config, SelectionName } from '../../protocol/config';
import type { Agent } from '../agents/agent';
import type { InitialPolicy } from '../agents/initial-policy';
import type { StageProblem } from '../agents/stage-problem';
import type { TensorBackend } from '../agents/tensor-backend';
import type { Random } from '../random';
import type { Credit } from '../search/episodes';
import type { PruneObservation } from '../search/prune-environment';
import type { LevelsOf } from '../search/weight-mask-layers';

export interface AgentContext {
  readonly backend: TensorBackend;
  readonly observationSize: number;
  readonly random: Random;
  readonly settings: AgentSettings;
  /** The method's own options from the config. */
  readonly options: Readonly<Record<string, number | boolean | string>>;
  /** The one action that, taken at every step, meets the budget best: the uniform policy. */
  readonly uniformAction: number;
  /** For methods that start from scored policies: the best of them, or the uniform one of each target. */
  readonly initialPolicies: readonly InitialPolicy[];
  /** Steps of one episode, and how many episodes are planned. */
  readonly steps: number;
  readonly episodes: number;
  /** Episodes that can end within `search.scorings` too, where the method scores once an episode. */
  readonly scoredEpisodes: number;
  readonly actors: number;
  /** λ at the start, for constrained methods. */
  readonly lambda: number;
  /** Which of several searches of the stage this agent is for; absent where the stage is one search. */
  readonly part?: string;
  /** What may be chosen at each step, and what a whole policy costs. */
  readonly problem: StageProblem;
}

/** What the number of episodes may depend on. */
export interface EpisodePlan {
  readonly steps: number;
  readonly actors: number;
  /** Of the config, the limit on scorings included. */
  readonly wanted: number;
}

/** Settings that belong to a method. They take the place of the config's defaults; what a config says otherwise stays. */
export interface MethodSettings {
  /** Reward of the pruning stage. */
  readonly reward?: string;
  readonly selection?: SelectionName;
  readonly refit?: boolean;
  /** `goal.flops` where the config gives none. */
  readonly flops?: number;
  /** `goal.maxAccuracyDrop` where the config gives none. */
  readonly maxAccuracyDrop?: number;
}

/** A short fine-tuning of every candidate before it is scored. */
export interface CandidateTuning {
  /** Steps (after each layer, where a method scores layer by layer); 0 for none. */
  readonly steps: number;
  /** Images of a step, and how many different batches there are. */
  readonly batch: number;
  readonly batches: number;
  readonly learningRate: number;
}

/** How a method that decides filter by filter goes through the layers. */
export interface FilterSettings {
  /** 'entire': layer after layer, the whole network fine-tuned after each. 'individual': each layer in the original network. */
  readonly variant: 'entire' | 'individual';
  /** Of the fine-tuning after each layer. */
  readonly epochs: number;
  readonly learningRate: number;
}

/** How a method that designs students teaches them. */
export interface StudentSettings extends CandidateTuning {
  /** Weight of ‖student − teacher‖² of the scores, beside cross-entropy. */
  readonly distance: number;
  /** Share of episodes and scorings in which parts are taken out. */
  readonly removalShare: number;
}

export interface Method {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly source: string;
  /** See `EpisodeOptions.credit`. */
  readonly credit: Credit;
  /** What the agent sees in stage 1. Absent: 'paper001'. */
  readonly observation?: PruneObservation;
  /**
   * 'budget' (default): actions are bounded so that every policy keeps the budget. 'free': by each layer's own range only; outcomes then say
   * cost/budget as the measure `relativeCost`, and only policies within the budget can win.
   */
  readonly bounds?: 'budget' | 'free';
  readonly settings?: (config: Config) => MethodSettings;
  /** The criterion that is the method: it replaces `pruning.selection` whatever the config says. */
  readonly selection?: SelectionName;
  /** Shares of FLOPs that one search of stage 1 serves, one drawn for each episode. `goal.flops` is always among them. */
  readonly targets?: (config: Config) => readonly number[];
  /**
   * Plays the uniform policy of the stage or of each target first, and other simple ones where the stage has such, as far as the limit on scorings
   * allows it, and hands the decisions to the agent.
   */
  readonly startsFromUniform?: boolean;
  /** Most episodes the method has a use for: one where it proposes one policy. */
  readonly episodes?: number | ((plan: EpisodePlan) => number);
  /**
   * What stage 1 decides. 'widths' (default): channels that each group keeps. 'weights': the share of each layer's weights held at zero.
   * 'filters': each channel of a group by itself. 'student': which layers are taken out, then the channels that each group keeps.
   * 'rows': which rows of weight matrices are. 'tickets', 'codes': nothing; the stage is iterative pruning with rewinding, Deep Compression.
   */
  readonly space?: 'widths' | 'weights' | 'filters' | 'student' | 'rows' | 'tickets' | 'codes';
  /** Space 'weights': what may be done with a layer. Absent: shares in steps of 5 %. */
  readonly levels?: (config: Config) => LevelsOf;
  /** Absent: candidates are scored untrained. */
  readonly tuning?: (config: Config) => CandidateTuning;
  /** Space 'student'. */
  readonly student?: (config: Config) => StudentSettings;
  /** Space 'filters'. */
  readonly filters?: (config: Config) => FilterSettings;
  /** The method that chooses the bits of stage 2, where this one only prunes. Absent: this one. */
  readonly bitsBy?: string;
  /** Names in `method.options` that the method reads; any other is refused. */
  readonly options: readonly string[];
  createAgent(context: AgentContext): Agent;
}

const MASKING: ReadonlySet<Method['space']> = new Set(['weights', 'rows', 'tickets', 'codes']);

/** True where stage 1 holds weights at zero instead of cutting channels: what is left of them is then what a goal limits. */
export const masksWeights = ({ space }: Method): boolean => MASKING.has(space);
