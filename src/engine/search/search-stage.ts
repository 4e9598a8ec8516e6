/** What both stages share: the agent, its episodes, checkpoints, the scoring limit, the candidates, and the choice of the best. */
import { createHash } from 'node:crypto';
import type { Candidate, ModelCost, Policy } from '../../protocol/policy';
import { measuresOf } from '../../protocol/reward/rescore';
import type { AgentState, Environment, Outcome } from '../agents/agent';
import { RELATIVE_COST } from '../agents/ppo-lagrangian';
import type { StageProblem } from '../agents/stage-problem';
import { methodOfStage } from '../methods/registry';
import { Random } from '../random';
import { writeFileAtomic } from './atomic-file';
import { type Credit, runEpisodes } from './episodes';
import { bestOf, playOpenings } from './openings';
import { RewardTracker } from './reward-tracker';
import { type RunContext, rewardContext, type StageEnd } from './run-context';

/** The place of one search where a stage is several, one after another, each with an agent of its own. */
export interface StagePart {
  /** Unique in the stage; part of file names. */
  readonly name: string;
  /** Episodes of this search, and of those before it. */
  readonly episodes: number;
  readonly before: number;
  /** Most scorings of this search; absent: no limit. */
  readonly scorings?: number;
  /** True for the policies that this search proposes, and no other. */
  owns(policy: Policy): boolean;
}

export interface StageDefinition {
  readonly stage: 'prune' | 'quantize';
  /** Absent: this search is the whole stage. */
  readonly part?: StagePart;
  /** Measures that the reward reads in place of the usual ones, by their names. */
  readonly measures?: (policy: Policy) => Readonly<Record<string, number>>;
  readonly rewardText: string;
  readonly uniformAction: number;
  /** Where one search serves several targets: the uniform action within each, the goal's target first. Absent: there is one target. */
  readonly uniformOfTargets?: ReadonlyArray<{ readonly target: number; readonly action: number }>;
  /** Policies that methods which start from the uniform one score after it, an action for each step; the agent starts from the best of all. */
  readonly openings?: ReadonlyArray<readonly number[]>;
  /**
   * One environment for each actor; `evaluate` in them goes through `StageScorer.score`.
   * @param target index of the one target that all of its episodes have; absent: each draws one
   */
  makeEnvironment(actor: number, scorer: StageScorer, target?: number): Environment;
  /** Costs of a policy, computed. */
  cost(policy: Policy): ModelCost;
  /** How far a candidate is beyond the goal's limits, as a share of them; 0 where it keeps to all. */
  excess(candidate: Candidate): number;
  /** Writes a new best candidate's model, so that the best so far is always on disk. */
  keep(candidate: Candidate, path: string): Promise<void>;
  /** True where every policy keeps the same budget, so that accuracy alone ranks them; else the reward does. */
  readonly rankByAccuracy: boolean;
  /** The stage as a whole, for methods that plan ahead. */
  readonly problem: StageProblem;
  /** Cost of a (partial) policy relative to its budget, for methods whose actions the budget does not bound. `latency` in milliseconds, where measured. */
  readonly relativeCost?: (policy: Policy, latency?: number) => number;
}

/** What a stage took. */
export interface StageCounts {
  /** Candidates scored, partial policies included, and how many of them were complete policies. What is asked for again counts once. */
  readonly scorings: number;
  readonly completePolicies: number;
  readonly updates: number;
  /** Training steps that the stage took, recovery not counted: of candidates before they are scored, or of networks between rounds. Absent: none. */
  readonly trainingSteps?: number;
}

export interface StageResult extends StageCounts {
  readonly best: Candidate | undefined;
  readonly end: StageEnd;
}

/** Agent and tracker at the end of a round, from which a resumed run goes on. */
interface Checkpoint {
  readonly episodes: number;
  readonly scorings: number;
  readonly completePolicies: number;
  /** What was scored, by a short name; absent in checkpoints of older versions. */
  readonly asked?: readonly string[];
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
  /** What was scored, by a short name of its key. */
  readonly asked: Set<string>;
  private readonly keys = new WeakMap<Outcome, { policy: Policy; partial: boolean }>();

  constructor(
    private readonly context: RunContext,
    private readonly definition: StageDefinition,
    readonly credit: Credit,
    asked: Iterable<string> = [],
  ) {
    this.asked = new Set(asked);
  }

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
      ...this.definition.measures?.(policy),
    };
    const { relativeCost } = this.definition;
    if (relativeCost) measures[RELATIVE_COST] = relativeCost(policy);
    if (partial && this.credit !== 'step') return { accuracy: 0, flops: cost.macs, measures };
    const name = shortHash(key);
    // Nothing is measured twice, so what is asked for again costs nothing.
    if (!this.asked.has(name)) {
      this.asked.add(name);
      this.scorings++;
      if (!partial) this.completePolicies++;
    }
    const known = recorder.journal.recall<Outcome>(key);
    let outcome = known;
    if (!outcome) {
      const measured = await measure();
      if (measured.latency !== undefined) measures['latency'] = measured.latency;
      if (relativeCost) measures[RELATIVE_COST] = relativeCost(policy, measured.latency);
      outcome = { accuracy: measured.accuracy, flops: cost.macs, measures };
    }
    recorder.write({
      type: 'evaluation',
      episode: (this.definition.part?.before ?? 0) + this.episode + actor,
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
  const { stage, part } = definition;
  const before = part?.before ?? 0;
  for (const e of recorder.journal.earlier) if (e.type === 'candidate' && e.candidate.stage === stage) recorder.restore(e.candidate);
  const endKey = `stage:${stage}${part ? `:${part.name}` : ''}`;
  const ended = recorder.journal.recall<StageResult>(endKey);
  if (ended) return ended;
  const method = methodOfStage(config.method.name, stage);
  const tracker = new RewardTracker(definition.rewardText, config.reward.constants, rewardContext(context));
  const checkpointPath = folder.checkpoint(`${stage}${part ? `-${part.name}` : ''}.json`);
  const saved = folder.readJson<Checkpoint>(checkpointPath);
  const scorer = new StageScorer(context, definition, method.credit, saved?.asked);
  const limit = (part ? part.scorings : config.search.scorings) ?? Number.POSITIVE_INFINITY;
  const wanted = part?.episodes ?? config.search.episodes;
  const environments = Array.from({ length: config.search.actors }, (_, actor) => definition.makeEnvironment(actor, scorer));
  const { steps } = environments[0];
  const scoresSteps = method.credit === 'step';
  const affordable = Math.floor(limit / (scoresSteps ? steps : 1));
  // For the uniform policy, where no policy of the agent's can be scored as a whole.
  const heldBack = affordable === 0 ? 1 : 0;
  const { uniformOfTargets, openings: others = [] } = definition;
  const opened = method.startsFromUniform ? Math.min(affordable, (uniformOfTargets?.length ?? 1) + others.length) : 0;
  const scoredEpisodes = scoresSteps ? wanted : Math.min(wanted, Math.max(1, limit - opened));
  const plan = { steps, actors: config.search.actors, wanted: scoredEpisodes };
  const most = typeof method.episodes === 'function' ? method.episodes(plan) : (method.episodes ?? Number.POSITIVE_INFINITY);
  const episodes = Math.min(wanted, most);
  // A restored agent began with it in an earlier process.
  const openings = saved ? [] : await playOpenings(definition, scorer, opened);
  for (const { outcome } of openings) tracker.see(outcome);
  const agent = method.createAgent({
    backend,
    observationSize: environments[0].observationSize,
    // Each target has its own; without targets there is one task, and one policy to start from.
    initialPolicies: uniformOfTargets ? openings : bestOf(openings, tracker),
    steps,
    episodes: Math.min(episodes, scoresSteps ? Math.max(1, affordable) : scoredEpisodes),
    scoredEpisodes,
    actors: config.search.actors,
    lambda: config.reward.lambda,
    problem: definition.problem,
    part: part?.name,
    random: new Random(config.seed).fork(`agent:${stage}${part ? `:${part.name}` : ''}`),
    settings: config.agent,
    options: config.method.options,
    uniformAction: definition.uniformAction,
  });
  let updates = saved?.updates ?? 0;
  if (saved) {
    agent.restore(saved.agent);
    tracker.restore(saved.flops ?? undefined);
    scorer.scorings = saved.scorings;
    scorer.completePolicies = saved.completePolicies;
    scorer.episode = saved.episodes;
    tracker.episode = saved.episodes;
  }
  recorder.phase(stage, part ? config.search.episodes : episodes);
  const best = (): Candidate | undefined => bestCandidate(context, definition, tracker);
  recorder.update({ episode: before + scorer.episode, best: bestWithinGoal() ?? null }, true);

  const began = performance.now();
  const first = scorer.episode;
  const pending: Array<{ outcome: Outcome; episode: number }> = [];
  for (const { outcome } of openings) addCandidate(outcome, 0);
  let end: StageEnd = 'complete';
  try {
    await runEpisodes({
      agent,
      environments,
      episodes,
      credit: method.credit,
      done: scorer.episode,
      signal: context.signal,
      stop: (actors) => {
        if (context.expired()) end = 'time-limit';
        else if (scorer.scorings + actors > limit - heldBack) end = 'scorings-limit';
        return end !== 'complete';
      },
      // Where every step is scored, no more than come to a whole policy each.
      mostActors: () => (scoresSteps ? Math.max(1, Math.floor((limit - scorer.scorings) / steps)) : limit - scorer.scorings),
      reward: (outcome) => tracker.value(outcome),
      onOutcome: (outcome, _actor, episode) => {
        if (!scorer.describe(outcome)) return;
        tracker.see(outcome);
        pending.push({ outcome, episode });
      },
      onUpdate: (diagnostics, episode) => {
        updates++;
        recorder.diagnostics(before + episode, updates, diagnostics);
      },
      onRound: async ({ episodes: ended }) => {
        for (const p of pending.splice(0)) addCandidate(p.outcome, p.episode);
        scorer.episode = ended;
        tracker.episode = ended;
        const checkpoint: Checkpoint = {
          episodes: ended,
          scorings: scorer.scorings,
          completePolicies: scorer.completePolicies,
          asked: [...scorer.asked],
          updates,
          agent: agent.state(),
          flops: tracker.state() ?? null,
        };
        writeFileAtomic(checkpointPath, JSON.stringify(checkpoint));
        recorder.write({ type: 'checkpoint', episode: before + ended });
        recorder.writeFront();
        await keepBest();
        const perEpisode = (performance.now() - began) / 1000 / (ended - first);
        const byScorings = limit === Number.POSITIVE_INFINITY ? episodes - ended : ((limit - scorer.scorings) / scorer.scorings) * ended;
        recorder.update(
          {
            episode: before + ended,
            best: bestWithinGoal() ?? null,
            secondsLeft: perEpisode * Math.max(0, Math.min(episodes - ended, byScorings)),
          },
          true,
        );
      },
    });
  } finally {
    agent.dispose();
  }
  // A stage that was cut short within a round still counts what it had measured.
  for (const p of pending.splice(0)) addCandidate(p.outcome, p.episode);
  // Cut short before the first complete policy: the uniform one keeps the budget all the same.
  if (!best()) {
    const once = new StageScorer(context, definition, 'episode');
    once.episode = scorer.episode;
    const [{ outcome }] = await playOpenings(definition, once, 1);
    tracker.see(outcome);
    addCandidate(outcome, scorer.episode, 'uniform', once);
    scorer.scorings += once.scorings;
    scorer.completePolicies += once.completePolicies;
  }
  await keepBest();
  const result: StageResult = { best: best(), end, scorings: scorer.scorings, completePolicies: scorer.completePolicies, updates };
  recorder.write({ type: 'measurement', key: endKey, result });
  return result;

  function bestWithinGoal(): Candidate | undefined {
    const candidate = best();
    return candidate && definition.excess(candidate) === 0 ? candidate : undefined;
  }

  /** The best so far as a model and, beside it, what it is. */
  async function keepBest(): Promise<void> {
    const candidate = best();
    const path = folder.best('policy.json');
    if (!candidate || folder.readJson<Candidate>(path)?.id === candidate.id) return;
    await definition.keep(candidate, folder.best('model.onnx'));
    folder.writeJson(path, candidate);
  }

  function addCandidate(outcome: Outcome, episodeOfPart: number, origin: string = method.name, from = scorer): void {
    const episode = before + episodeOfPart;
    const { policy, partial } = from.describe(outcome)!;
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
      origin,
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

/**
 * The best complete candidate of a stage, with its reward as of now (F_low and F_high have moved since it was measured): the one that
 * is least beyond the goal's limits; of those within, by accuracy where all keep one budget, else by the reward.
 */
function bestCandidate({ recorder, original }: RunContext, definition: StageDefinition, tracker: RewardTracker): Candidate | undefined {
  let best: { candidate: Candidate; excess: number; score: number } | undefined;
  for (const candidate of recorder.candidates.values()) {
    if (candidate.stage !== definition.stage || candidate.partial || definition.part?.owns(candidate.policy) === false) continue;
    const excess = definition.excess(candidate);
    const score = definition.rankByAccuracy ? candidate.accuracy : tracker.value(outcomeOf(candidate, original.params, definition));
    const better =
      !best ||
      excess < best.excess ||
      (excess === best.excess &&
        (score > best.score || (score === best.score && candidate.cost.weightBytes < best.candidate.cost.weightBytes)));
    if (better) best = { candidate, excess, score };
  }
  return best && { ...best.candidate, reward: tracker.value(outcomeOf(best.candidate, original.params, definition)) };
}

/** The outcome that a complete candidate was measured with. */
function outcomeOf(candidate: Candidate, originalParams: number, definition: StageDefinition): Outcome {
  const { accuracy, flops, ...measures } = measuresOf(candidate, originalParams);
  const { ratios, bits, sparsity } = candidate.policy;
  const decided = Object.keys(candidate.stage === 'prune' ? { ...ratios, ...sparsity } : bits).length;
  return { accuracy, flops, measures: { ...measures, layer: decided - 1, ...definition.measures?.(candidate.policy) } };
}
