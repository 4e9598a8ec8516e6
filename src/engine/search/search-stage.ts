/** What both stages share: the agent, its episodes, checkpoints, the scoring limit, the candidates, and the choice of the best. */
import { createHash } from 'node:crypto';
import type { Candidate, ModelCost, Policy } from '../../protocol/policy';
import type { AgentState, Environment, Outcome, Step } from '../agents/agent';
import type { InitialDecision } from '../agents/ppo';
import { findMethod } from '../methods/registry';
import { Random } from '../random';
import { runEpisodes } from './episodes';
import { RewardTracker } from './reward-tracker';
import { type RunContext, rewardContext, type StageEnd } from './run-context';

export interface StageDefinition {
  readonly stage: 'prune' | 'quantize';
  readonly rewardText: string;
  readonly uniformAction: number;
  /** One environment for each actor; `evaluate` in them goes through `StageScorer.score`. */
  makeEnvironment(actor: number, scorer: StageScorer): Environment;
  /** Costs of a policy, computed. */
  cost(policy: Policy): ModelCost;
  /** True where the candidate keeps to the goal's limits. */
  withinGoal(candidate: Candidate): boolean;
  /** True where every policy keeps the same budget, so that accuracy alone ranks them; else the reward does. */
  readonly rankByAccuracy: boolean;
}

export interface StageResult {
  readonly best: Candidate | undefined;
  readonly end: StageEnd;
  /** Candidate scorings asked for, partial policies included, and how many of them were complete policies. */
  readonly scorings: number;
  readonly completePolicies: number;
  readonly updates: number;
}

/** Agent and tracker at the end of a round, from which a resumed run goes on. */
interface Checkpoint {
  readonly episodes: number;
  readonly scorings: number;
  readonly completePolicies: number;
  readonly updates: number;
  readonly agent: AgentState;
  readonly flops: { high: number; low: number } | null;
}

/** A short name for a text that is the same for the same text. */
const shortHash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 10);

export class StageScorer {
  scorings = 0;
  completePolicies = 0;
  episode = 0;
  private readonly keys = new WeakMap<Outcome, { policy: Policy; partial: boolean }>();

  constructor(
    private readonly context: RunContext,
    private readonly definition: StageDefinition,
    readonly credit: 'step' | 'episode',
  ) {}

  /**
   * The outcome of a policy: from the journal where it was measured before, else measured.
   * @param key says what is measured; the same key always has the same outcome
   * @param measure absent where this step is not scored (credit by episode): the outcome then has costs only
   */
  async score(
    key: string,
    policy: Policy,
    partial: boolean,
    step: number,
    actor: number,
    measure: () => Promise<{ accuracy: number; latency?: number }>,
  ): Promise<Outcome> {
    const cost = this.definition.cost(policy);
    const { original, recorder, prepared } = this.context;
    const measures: Record<string, number> = {
      params: cost.params,
      bytes: cost.weightBytes,
      sparsity: 1 - cost.effectiveParams / original.params,
      layer: step,
      ...(cost.channels === undefined ? {} : { channels: cost.channels }),
    };
    if (partial && this.credit === 'episode') return { accuracy: 0, flops: cost.macs, measures };
    this.scorings++;
    if (!partial) this.completePolicies++;
    const known = recorder.journal.recall<Outcome>(key);
    let outcome = known;
    if (!outcome) {
      const measured = await measure();
      if (measured.latency !== undefined) measures['latency'] = measured.latency;
      outcome = { accuracy: measured.accuracy, flops: cost.macs, measures };
    }
    recorder.write({
      type: 'evaluation',
      episode: this.episode + actor,
      step,
      actor,
      policy,
      outcome: { accuracy: outcome.accuracy, flops: outcome.flops, measures: { ...outcome.measures } },
      images: prepared.data.search.count,
      key,
      cached: known !== undefined,
    });
    this.keys.set(outcome, { policy, partial });
    return outcome;
  }

  describe(outcome: Outcome): { policy: Policy; partial: boolean } | undefined {
    return this.keys.get(outcome);
  }
}

/** Searches one stage from where its last checkpoint left it. */
export async function searchStage(context: RunContext, definition: StageDefinition): Promise<StageResult> {
  const { config, recorder, folder, backend, prepared } = context;
  const { stage } = definition;
  const method = findMethod(config.method.name);
  const tracker = new RewardTracker(definition.rewardText, config.reward.constants, rewardContext(context));
  const scorer = new StageScorer(context, definition, method.credit);
  const environments = Array.from({ length: config.search.actors }, (_, actor) => definition.makeEnvironment(actor, scorer));
  const episodes = Math.min(config.search.episodes, method.episodes ?? Number.POSITIVE_INFINITY);
  const opening = method.startsFromUniform ? await playUniform(environments[0], definition.uniformAction) : undefined;
  const agent = method.createAgent({
    backend,
    observationSize: environments[0].observationSize,
    initialPolicy: opening?.decisions ?? [],
    steps: environments[0].steps,
    episodes,
    random: new Random(config.seed).fork(`agent:${stage}`),
    settings: config.agent,
    options: config.method.options,
    uniformAction: definition.uniformAction,
  });
  const checkpointPath = folder.checkpoint(`${stage}.json`);
  const saved = folder.readJson<Checkpoint>(checkpointPath);
  let updates = saved?.updates ?? 0;
  if (saved) {
    agent.restore(saved.agent);
    tracker.restore(saved.flops ?? undefined);
    scorer.scorings = saved.scorings;
    scorer.completePolicies = saved.completePolicies;
    scorer.episode = saved.episodes;
  }
  for (const e of recorder.journal.earlier) if (e.type === 'candidate' && e.candidate.stage === stage) recorder.candidate(e.candidate);
  recorder.phase(stage, episodes);
  const best = (): Candidate | undefined => bestCandidate(context, definition, tracker);
  recorder.update({ episode: scorer.episode, best: best() ?? null }, true);

  const limit = config.search.scorings ?? Number.POSITIVE_INFINITY;
  const began = performance.now();
  const first = scorer.episode;
  const pending: Array<{ outcome: Outcome; episode: number }> = [];
  if (opening) {
    tracker.see(opening.outcome);
    addCandidate(opening.outcome, 0);
  }
  try {
    await runEpisodes({
      agent,
      environments,
      episodes,
      credit: method.credit,
      done: scorer.episode,
      signal: context.signal,
      stop: () => context.expired() || scorer.scorings >= limit,
      reward: (outcome) => tracker.value(outcome),
      onOutcome: (outcome, _actor, episode) => {
        if (!scorer.describe(outcome)) return;
        tracker.see(outcome);
        pending.push({ outcome, episode });
      },
      onUpdate: (diagnostics, episode) => {
        updates++;
        recorder.diagnostics(episode, updates, diagnostics);
      },
      onRound: ({ episodes: ended }) => {
        for (const p of pending.splice(0)) addCandidate(p.outcome, p.episode);
        scorer.episode = ended;
        tracker.episode = ended;
        const checkpoint: Checkpoint = {
          episodes: ended,
          scorings: scorer.scorings,
          completePolicies: scorer.completePolicies,
          updates,
          agent: agent.state(),
          flops: tracker.state() ?? null,
        };
        folder.writeJson(checkpointPath, checkpoint);
        recorder.write({ type: 'checkpoint', episode: ended });
        recorder.writeFront();
        const perEpisode = (performance.now() - began) / 1000 / (ended - first);
        const byScorings = limit === Number.POSITIVE_INFINITY ? episodes - ended : ((limit - scorer.scorings) / scorer.scorings) * ended;
        recorder.update(
          { episode: ended, best: best() ?? null, secondsLeft: perEpisode * Math.max(0, Math.min(episodes - ended, byScorings)) },
          true,
        );
      },
    });
  } finally {
    agent.dispose();
  }
  // A stage that was cut short within a round still counts what it had measured.
  for (const p of pending.splice(0)) addCandidate(p.outcome, p.episode);
  const end: StageEnd = context.expired() ? 'time-limit' : scorer.scorings >= limit ? 'scorings-limit' : 'complete';
  return { best: best(), end, scorings: scorer.scorings, completePolicies: scorer.completePolicies, updates };

  function addCandidate(outcome: Outcome, episode: number): void {
    const { policy, partial } = scorer.describe(outcome)!;
    const latency = outcome.measures['latency'];
    const reward = tracker.value(outcome);
    const id = `${stage === 'prune' ? 'p' : 'q'}-${shortHash(JSON.stringify(policy))}`;
    recorder.candidate({
      id,
      stage,
      policy,
      accuracy: outcome.accuracy,
      images: prepared.data.search.count,
      cost: definition.cost(policy),
      ...(latency === undefined ? {} : { latency: [{ batch: 1, median: latency, low: latency, high: latency, runs: 1 }] }),
      reward,
      episode,
      origin: method.name,
      partial,
    });
    if (!partial) {
      recorder.write({
        type: 'episode',
        episode,
        actor: episode % config.search.actors,
        reward,
        accuracy: outcome.accuracy,
        flops: outcome.flops,
        policy,
        candidate: id,
      });
    }
  }
}

/** Plays one episode with the same action at every step. */
async function playUniform(environment: Environment, action: number): Promise<{ decisions: InitialDecision[]; outcome: Outcome }> {
  const decisions: InitialDecision[] = [];
  let step: Step | undefined = await environment.reset();
  for (;;) {
    const result = await environment.step(action);
    decisions.push({ step: step!, action: result.executed });
    if (result.done) return { decisions, outcome: result.outcome };
    step = result.next;
  }
}

/** The best complete candidate of a stage within the goal: by accuracy where all keep one budget, else by the reward at the end of the run. */
function bestCandidate({ recorder }: RunContext, definition: StageDefinition, tracker: RewardTracker): Candidate | undefined {
  let best: { candidate: Candidate; score: number } | undefined;
  for (const candidate of recorder.candidates.values()) {
    if (candidate.stage !== definition.stage || candidate.partial || !definition.withinGoal(candidate)) continue;
    const score = definition.rankByAccuracy ? candidate.accuracy : tracker.value(outcomeOf(candidate));
    const tie = best && score === best.score && candidate.cost.weightBytes < best.candidate.cost.weightBytes;
    if (!best || score > best.score || tie) best = { candidate, score };
  }
  return best?.candidate;
}

const outcomeOf = (c: Candidate): Outcome => ({
  accuracy: c.accuracy,
  flops: c.cost.macs,
  measures: {
    params: c.cost.params,
    bytes: c.cost.weightBytes,
    sparsity: 0,
    ...(c.cost.channels === undefined ? {} : { channels: c.cost.channels }),
    ...(c.latency?.[0] ? { latency: c.latency[0].median } : {}),
  },
});
