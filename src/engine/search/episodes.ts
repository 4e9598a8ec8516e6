/** The loop of every stage: parallel actors act in lockstep, so that the result never depends on which of them is faster. */
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { Agent, Environment, Outcome, RewardFunction, Step, Transition, UpdateDiagnostics } from '../agents/agent';

export type Credit = 'step' | 'episode' | 'episode-chain';

export interface EpisodeOptions {
  readonly agent: Agent;
  /** One for each parallel actor. */
  readonly environments: readonly Environment[];
  readonly episodes: number;
  readonly reward: RewardFunction;
  /**
   * 'step': every action is credited with what was measured after it (the paper's dense reward; one scoring a step).
   * 'episode': every action is credited with what the whole policy reached (one scoring an episode; no bootstrapping).
   * 'episode-chain': the same outcome for every action, and each transition keeps its next step: values are bootstrapped along the episode (AMC).
   */
  readonly credit: Credit;
  /** Called for each transition, in actor order, before the agent sees it: moves F_low and F_high, collects candidates. */
  readonly onOutcome?: (outcome: Outcome, actor: number, episode: number, last: boolean) => void;
  readonly onUpdate?: (diagnostics: UpdateDiagnostics, episode: number) => void;
  /** Called when a round (one episode of each actor) has ended: checkpoints are taken here. */
  readonly onRound?: (ended: { episodes: number; returns: readonly number[] }) => void | Promise<void>;
  /** Asked before each round (with 1) and each step (with the actors about to act); true ends the stage at once with what there is. */
  readonly stop?: (actors: number) => boolean;
  /** How many actors the next round may have at most; default: all. */
  readonly mostActors?: () => number;
  readonly signal?: AbortSignal;
  /** Episodes that an earlier process already ended (the agent was restored to that point). */
  readonly done?: number;
}

/** Runs episodes until their number, a stop or an abort. @returns how many episodes have ended */
export async function runEpisodes(options: EpisodeOptions): Promise<number> {
  const { agent, environments, reward, credit } = options;
  let ended = options.done ?? 0;
  while (ended < options.episodes && !options.stop?.(1)) {
    // Where every policy was scored before, nothing else lets events in: a request to stop, or the end of the parent, would wait for the last episode.
    await yieldToEvents();
    options.signal?.throwIfAborted();
    const actors = environments.slice(
      0,
      Math.min(environments.length, options.episodes - ended, options.mostActors?.() ?? environments.length),
    );
    const returns = await runRound(actors, ended);
    if (!returns) break;
    const diagnostics = agent.endRound(reward);
    if (diagnostics) options.onUpdate?.(diagnostics, ended);
    ended += actors.length;
    await options.onRound?.({ episodes: ended, returns });
  }
  return ended;

  async function runRound(actors: readonly Environment[], first: number): Promise<number[] | undefined> {
    let steps: Array<Step | undefined> = await Promise.all(actors.map((e) => e.reset()));
    const pending: Transition[][] = actors.map(() => []);
    const returns = actors.map(() => 0);
    for (let t = 0; t < actors[0].steps; t++) {
      options.signal?.throwIfAborted();
      if (options.stop?.(actors.length)) return undefined;
      const actions = steps.map((s, actor) => agent.act(s!, { actor }));
      const results = await Promise.all(actors.map((e, i) => e.step(actions[i].value)));
      results.forEach((r, i) => {
        options.onOutcome?.(r.outcome, i, first + i, r.done);
        const transition: Transition = {
          observation: steps[i]!.observation,
          bounds: steps[i]!.bounds,
          action: r.executed,
          sample: actions[i].value,
          logProbability: actions[i].logProbability,
          outcome: r.outcome,
          next: r.next,
          done: r.done,
          actor: i,
        };
        if (credit === 'step') {
          returns[i] += reward(r.outcome);
          learn(transition, first + i);
        } else {
          pending[i].push(transition);
          if (r.done) {
            returns[i] = reward(r.outcome);
            const alone = credit === 'episode' ? { next: undefined, done: true } : {};
            for (const p of pending[i]) learn({ ...p, ...alone, ended: p.done, outcome: r.outcome }, first + i);
          }
        }
      });
      steps = results.map((r) => r.next);
    }
    return returns;
  }

  function learn(transition: Transition, episode: number): void {
    const diagnostics = agent.observe(transition, reward);
    if (diagnostics) options.onUpdate?.(diagnostics, episode);
  }
}
