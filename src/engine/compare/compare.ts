/**
 * A comparison: methods × seeds on one model, data set, goal and number of candidate scorings (partial policies included), each cell a run
 * of its own. It goes on cell by cell where it was stopped, and its report is written anew after every cell.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../protocol/config';
import type { RunEvent } from '../../protocol/run-events';
import { UserError } from '../errors';
import { findMethod } from '../methods/registry';
import type { RunOptions } from '../search/run';
import { type Cell, type CellFailure, type CellResult, hashOfModel, isKept, runCell } from './cell';
import { type ComparisonFiles, writeComparison } from './comparison-report';

/** Where in the comparison a cell is. */
export interface CellPlace {
  /** From 0. */
  readonly index: number;
  readonly total: number;
  /** It was done by an earlier call, and is only read. */
  readonly kept: boolean;
  /** How many cells are still to be run, this one included. */
  readonly left: number;
}

export interface CompareOptions extends Omit<RunOptions, 'listener'> {
  readonly methods: readonly string[];
  readonly seeds: readonly number[];
  /** Folder of the comparison: `runs/` and the report. */
  readonly out: string;
  /** Before a cell begins. */
  readonly onCell?: (cell: Cell, place: CellPlace) => void;
  readonly onResult?: (result: CellResult | CellFailure) => void;
  /** Events of the run in progress. */
  readonly listener?: (event: RunEvent) => void;
}

export interface Comparison {
  readonly results: readonly CellResult[];
  readonly failures: readonly CellFailure[];
  readonly files: ComparisonFiles;
}

/**
 * @param base model, data, goal and budget of every cell (`search.scorings`)
 * @throws UserError where a method or the folder does not fit, before anything runs or is written; the signal's reason where it is aborted
 */
export async function compareMethods(base: Config, options: CompareOptions): Promise<Comparison> {
  const { methods, seeds, out, onCell, onResult, ...run } = options;
  if (methods.length === 0 || seeds.length === 0)
    throw new UserError('there is nothing to compare', 'Name at least one method and one seed.');
  for (const name of methods) findMethod(name);
  if (base.search.scorings === undefined)
    throw new UserError('a comparison needs one budget for all methods', 'Set search.scorings (--scorings), e.g. 80.');
  const runsFolder = join(out, 'runs');
  // Seed by seed, so that what there is at any moment can be compared.
  const cells = [...new Set(seeds)].flatMap((seed) => [...new Set(methods)].map((method): Cell => ({ method, seed })));
  const sha256 = await hashOfModel(base, run.folder);
  const kept = cells.map((cell) => isKept(base, cell, runsFolder, sha256));
  mkdirSync(runsFolder, { recursive: true });
  const results: CellResult[] = [];
  const failures: CellFailure[] = [];
  let files: ComparisonFiles | undefined;
  for (const [index, cell] of cells.entries()) {
    options.signal?.throwIfAborted();
    const left = kept.slice(index).filter((k) => !k).length;
    onCell?.(cell, { index, total: cells.length, kept: kept[index], left });
    try {
      const result = await runCell(base, cell, runsFolder, run, sha256);
      results.push(result);
      onResult?.(result);
    } catch (e) {
      // A method that does not suit this model is a finding; anything else is a fault.
      if (options.signal?.aborted || !(e instanceof UserError)) throw e;
      const failure = { ...cell, error: [e.message, e.hint].filter(Boolean).join('. ') };
      failures.push(failure);
      onResult?.(failure);
    }
    files = writeComparison(out, base, results, failures);
  }
  return { results, failures, files: files! };
}
