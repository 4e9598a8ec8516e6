/** One cell of a comparison: a method with one seed, as a run of its own, and what is read off its journal and its end. */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Config, configSchema } from '../../protocol/config';
import type { Candidate, ModelCost } from '../../protocol/policy';
import type { RunEvent } from '../../protocol/run-events';
import { UserError } from '../errors';
import { modelHash } from '../formats/registry';
import { findMethod } from '../methods/registry';
import { withMethodSettings } from '../methods/settings';
import { keepsSizes, limitedFigures, meetsGoal } from '../search/goal';
import { readJournal } from '../search/journal';
import { ParetoFront } from '../search/pareto';
import { isFinished, type RunOptions, type RunResult, resumeRun, startRun } from '../search/run';
import { RunFolder } from '../search/run-folder';

export interface Cell {
  readonly method: string;
  readonly seed: number;
}

/** A candidate as the charts need it. Figures but accuracy are shares of the original's. */
export interface FrontPoint {
  readonly accuracy: number;
  /** Effective where the method masks weights: masks leave the structured figure as it is. */
  readonly flops: number;
  readonly bytes: number;
}

/** What one cell came to. Shares are of the original, structured unless they say effective. */
export interface CellResult extends Cell {
  readonly run: string;
  /** The comparison's goal, whatever a method has of its own. */
  readonly goalMet: boolean;
  /** On the report samples, from the written file, after any recovery; and the original's. */
  readonly accuracy: number;
  readonly originalAccuracy: number;
  readonly measure: string;
  readonly reportImages: number;
  /** Best complete candidate within the goal on the search samples, before any recovery; null where there was none. */
  readonly searchAccuracy: number | null;
  readonly searchImages: number;
  readonly flops: number;
  readonly effectiveFlops: number;
  readonly params: number;
  readonly effectiveParams: number;
  readonly bytes: number;
  readonly fileBytes: number | null;
  readonly brotliBytes: number | null;
  /** Milliseconds at batch 1 and 32 (median), and how many times faster than the original measured beside it. */
  readonly ms1: number | null;
  readonly ms32: number | null;
  readonly speedup1: number | null;
  readonly speedup32: number | null;
  /** Candidates scored (partial policies included), complete policies among them, and updates of the agent; of both stages. */
  readonly scorings: number;
  readonly completePolicies: number;
  readonly updates: number;
  /** Training steps of both stages, where the method trains candidates or networks between its rounds; recovery is not counted. */
  readonly trainingSteps: number;
  readonly seconds: number;
  /** Scorings and seconds until the best candidate was there. */
  readonly scoringsToBest: number | null;
  readonly secondsToBest: number | null;
  /** Best accuracy so far (search samples, within the goal) after each number of scorings at which it rose. */
  readonly curve: ReadonlyArray<readonly [scorings: number, accuracy: number]>;
  /** No other candidate of the run is at least as accurate with as few MACs and bytes. */
  readonly front: readonly FrontPoint[];
}

export interface CellFailure extends Cell {
  readonly error: string;
}

export const cellName = ({ method, seed }: Cell): string => `${method}-seed${seed}`;

/** Most episodes for each scoring: what an agent proposes again costs none, but it is not to propose the same for ever. */
export const EPISODES_PER_SCORING = 3;

/** The config of a cell: the same data, goal and number of scorings for every method. */
export function cellConfig(base: Config, cell: Cell, folder: string): Config {
  const { scorings } = base.search;
  return {
    ...base,
    // Options belong to the method that the config names.
    method:
      base.method.name === cell.method
        ? base.method
        : { ...base.method, name: findMethod(cell.method).name as Config['method']['name'], options: {} },
    seed: cell.seed,
    search: { ...base.search, episodes: scorings === undefined ? base.search.episodes : EPISODES_PER_SCORING * scorings },
    output: { ...base.output, folder: join(folder, cellName(cell)) },
  };
}

/**
 * Whether a cell has its result already, so that `runCell` only reads it.
 * @param sha256 of the model; undefined where it is not there
 * @throws UserError where the folder holds this cell of another comparison, or of another model
 */
export function isKept(base: Config, cell: Cell, runsFolder: string, sha256: string | undefined): boolean {
  const config = cellConfig(base, cell, runsFolder);
  const existing = runOf(config.output.folder);
  if (existing) checkSame(existing, config, sha256);
  return existing !== undefined && isFinished(existing.path);
}

/**
 * Runs a cell, goes on with it where it was stopped, or reads its result where it is finished.
 * @throws UserError where the folder holds this cell of another comparison, or of another model
 */
export async function runCell(base: Config, cell: Cell, runsFolder: string, options: RunOptions, sha256?: string): Promise<CellResult> {
  const config = cellConfig(base, cell, runsFolder);
  const existing = runOf(config.output.folder);
  if (existing) checkSame(existing, config, sha256 ?? (await hashOfModel(base, options.folder)));
  if (!existing) await startRun(config, options);
  else if (!isFinished(existing.path)) await resumeRun(existing.path, options);
  return cellResult(cell, runOf(config.output.folder)!, config);
}

/** The last run of a cell that got as far as its journal; undefined where there is none. */
function runOf(folder: string): RunFolder | undefined {
  if (!existsSync(folder)) return undefined;
  const runs = readdirSync(folder)
    .sort()
    .map((name) => new RunFolder(join(folder, name)))
    .filter((run) => existsSync(run.journal) && existsSync(run.config));
  return runs.at(-1);
}

/** Of the model that a config names; undefined where there is none. @param folder that the config's paths are relative to */
export async function hashOfModel({ model }: Config, folder: string): Promise<string | undefined> {
  const path = resolve(folder, model);
  return existsSync(path) ? modelHash(path) : undefined;
}

function checkSame(run: RunFolder, config: Config, sha256: string | undefined): void {
  const written = run.readJson<{ config: unknown }>(run.config)?.config;
  // What a config could not say yet when the run was begun has its default.
  const stored = configSchema.safeParse(written).data;
  const plain = (c: Config | undefined): string => canonical(c && { ...c, model: '', output: { ...c.output, folder: '' } });
  if (plain(stored) !== plain(withMethodSettings(config))) {
    throw new UserError(
      `${run.path} belongs to a comparison with other settings`,
      'Choose another folder (--out), or repeat the comparison with the settings it was begun with.',
    );
  }
  // A path says little: models of one name lie in many folders, and files are overwritten.
  const header = readJournal(run.journal).events.find((e) => e.type === 'header');
  if (header && sha256 !== undefined && header.model.sha256 !== sha256)
    throw new UserError(
      `${run.path} belongs to a comparison of another model: ${config.model} is not the file that it was begun with`,
      'Choose another folder (--out), or put the old model back.',
    );
}

/** JSON with sorted keys, so that it tells whether two values are alike. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    v && typeof v === 'object' && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1))) : v,
  );
}

function cellResult(cell: Cell, folder: RunFolder, config: Config): CellResult {
  const finished = folder.readJson<Omit<RunResult, 'folder'>>(folder.checkpoint('finished.json'));
  if (!finished) throw new UserError(`${folder.path} has no result`, 'Delete the folder, then repeat the comparison.');
  const { before, after, measure } = finished.result;
  const { events } = readJournal(folder.journal);
  const latency = (of: typeof after, batch: number): number | null => of.latency.find((l) => l.batch === batch)?.median ?? null;
  const speedup = (batch: number): number | null => {
    const [a, b] = [latency(before, batch), latency(after, batch)];
    return a !== null && b !== null && b > 0 ? a / b : null;
  };
  const both = (what: 'scorings' | 'completePolicies' | 'updates' | 'trainingSteps'): number =>
    (finished.scorings.prune[what] ?? 0) + (finished.scorings.quantize[what] ?? 0);
  return {
    ...cell,
    run: folder.path,
    goalMet: meetsGoal(finished.result, before.cost, config),
    accuracy: after.accuracy,
    originalAccuracy: before.accuracy,
    measure: measure ?? 'accuracy',
    reportImages: after.images,
    flops: after.cost.macs / before.cost.macs,
    effectiveFlops: after.cost.effectiveMacs / before.cost.macs,
    params: after.cost.params / before.cost.params,
    effectiveParams: after.cost.effectiveParams / before.cost.params,
    bytes: after.cost.weightBytes / before.cost.weightBytes,
    fileBytes: after.cost.fileBytes ?? null,
    brotliBytes: after.cost.brotliBytes ?? null,
    ms1: latency(after, 1),
    ms32: latency(after, 32),
    speedup1: speedup(1),
    speedup32: speedup(32),
    scorings: both('scorings'),
    completePolicies: both('completePolicies'),
    updates: both('updates'),
    trainingSteps: both('trainingSteps'),
    seconds: events.findLast((e) => e.type === 'finished')?.seconds ?? 0,
    ...searchOf(events, withMethodSettings(config)),
  };
}

type SearchFigures = Pick<CellResult, 'searchAccuracy' | 'searchImages' | 'scoringsToBest' | 'secondsToBest' | 'curve' | 'front'>;

/** What of a config says which candidates count. */
type GoalOfSearch = Pick<Config, 'goal' | 'method' | 'stages'>;

/** True where a candidate keeps the goal's sizes; bytes count where no quantisation is to come. */
function keepsGoal({ cost, stage }: Candidate, original: ModelCost, { goal, method, stages }: GoalOfSearch): boolean {
  const later = stage === 'prune' && stages.quantize;
  return keepsSizes(cost, original, { goal: later ? { ...goal, bytes: undefined } : goal, method });
}

/** What the first stage that searched found, and when. */
export function searchOf(events: readonly RunEvent[], config: GoalOfSearch): SearchFigures {
  const original = events.find((e) => e.type === 'original')?.candidate;
  const front = new ParetoFront<FrontPoint>([
    { name: 'accuracy', value: (p) => p.accuracy },
    { name: 'flops', value: (p) => -p.flops },
    { name: 'bytes', value: (p) => -p.bytes },
  ]);
  // What is scored again counts once: repeats of a search, and what a resumed run writes down again.
  const scored = new Set<string>();
  let best: Candidate | undefined;
  let secondsToBest: number | null = null;
  const curve: Array<readonly [number, number]> = [];
  const stage = events.find((e) => e.type === 'candidate' && e.candidate.stage !== 'final' && e.candidate.origin !== 'original');
  for (const event of events) {
    if (event.type === 'evaluation') scored.add(event.key);
    if (event.type !== 'candidate' || !original) continue;
    const { candidate } = event;
    if (candidate.partial || candidate.origin === 'original' || stage?.type !== 'candidate' || candidate.stage !== stage.candidate.stage)
      continue;
    const { cost } = candidate;
    front.add({
      accuracy: candidate.accuracy,
      flops: limitedFigures(cost, config).macs / original.cost.macs,
      bytes: cost.weightBytes / original.cost.weightBytes,
    });
    if (!keepsGoal(candidate, original.cost, config) || (best && candidate.accuracy <= best.accuracy)) continue;
    best = candidate;
    secondsToBest = event.seconds ?? null;
    curve.push([scored.size, candidate.accuracy]);
  }
  return {
    searchAccuracy: best?.accuracy ?? null,
    searchImages: original?.images ?? 0,
    scoringsToBest: curve.at(-1)?.[0] ?? null,
    secondsToBest,
    curve,
    front: [...front.items()].sort((a, b) => a.flops - b.flops),
  };
}
