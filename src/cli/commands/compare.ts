/** `espalier compare <model|config>`: methods beside each other at one budget. */
import { join, resolve } from 'node:path';
import { type CellFailure, type CellResult, cellName } from '../../engine/compare/cell';
import { compareMethods } from '../../engine/compare/compare';
import { summaryRows } from '../../engine/compare/comparison-report';
import { summarize } from '../../engine/compare/summary';
import { methods } from '../../engine/methods/registry';
import { chooseData } from '../../engine/search/choose-data';
import { formatPercent, formatSeconds } from '../../engine/search/figures';
import { modelName } from '../../engine/search/run-folder';
import { CellTimes } from '../cell-times';
import { type ConfigOptions, configFrom } from '../config-input';
import { ExitCode } from '../exit-codes';
import { interruptible } from '../interrupt';
import { wholeNumber } from '../numbers';
import { ProgressLine, showRun } from '../progress-line';
import { tableText } from '../table';
import { threadFiles } from '../threads';

export interface CompareCommandOptions extends ConfigOptions {
  readonly methods?: string;
  readonly seeds?: string;
  readonly scorings?: string;
  readonly out?: string;
  readonly json?: boolean;
}

/** Of each cell, where neither the config nor the command says. */
const DEFAULT_SCORINGS = 80;
const DEFAULT_METHODS = ['episodic-ppo', 'two-stage-ppo', 'amc', 'random-search', 'uniform'];

export async function compare(path: string, options: CompareCommandOptions): Promise<number> {
  const json = options.json === true;
  const scorings = wholeNumber(options.scorings, '--scorings');
  const seeds = seedsOf(options.seeds ?? '3');
  const { methods: named, seeds: _, scorings: __, out: given, json: ___, ...rest } = options;
  const names =
    named === undefined ? DEFAULT_METHODS : named === 'all' ? methods.map((m) => m.name) : named.split(',').map((n) => n.trim());
  const set = [...(scorings === undefined ? [] : [`search.scorings=${scorings}`]), ...(options.set ?? [])];
  const { config: read, folder, dataFolder, notes } = await configFrom(path, { ...rest, set }, chooseData);
  const config = { ...read, search: { ...read.search, scorings: read.search.scorings ?? DEFAULT_SCORINGS } };
  const out = given === undefined ? join(folder, '.espalier', 'compare', modelName(config.model)) : resolve(given);
  const line = new ProgressLine();
  const show = showRun(line);
  if (!json) for (const note of notes) line.note(`note: ${note}`);
  const times = new CellTimes();
  try {
    const comparison = await interruptible(
      (signal) =>
        compareMethods(config, {
          methods: names,
          seeds,
          out,
          folder,
          dataFolder,
          threads: threadFiles(),
          signal,
          listener: (event) => {
            if (!json) show(event);
          },
          onCell: (cell, place) => {
            const seconds = times.begin(place);
            const left = seconds === undefined ? '' : `, about ${formatSeconds(seconds)} left`;
            if (!json) line.note(`${cellName(cell)} (${place.index + 1} of ${place.total}${left})`);
          },
          onResult: (result) => {
            times.end(!('error' in result));
            if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
            else line.note(resultLine(result));
          },
        }),
      () => 'the same command again: finished cells are kept, and the one under way is resumed',
    );
    line.clear();
    const { results, failures, files } = comparison;
    if (json) process.stdout.write(`${JSON.stringify({ summary: summarize(results), failures, files })}\n`);
    else
      process.stdout.write(
        `\n${tableText(summaryRows(summarize(results)))}\n\nReport: ${files.report}\nChart:  ${files.chart}\nCSV:    ${files.csv}\n`,
      );
    return results.length > 0 ? ExitCode.ok : ExitCode.userError;
  } finally {
    line.clear();
  }
}

const resultLine = (r: CellResult | CellFailure): string =>
  'error' in r
    ? `  ${cellName(r)}: ${r.error}`
    : `  ${cellName(r)}: ${formatPercent(r.accuracy)} at ${formatPercent(r.effectiveFlops)} of the MACs, ${r.scorings} scorings, ${formatSeconds(r.seconds)}`;

/** '3' is seeds 1 to 3; '2,5' those two. */
function seedsOf(text: string): number[] {
  if (!text.includes(',')) return Array.from({ length: wholeNumber(text, '--seeds')! }, (_, i) => i + 1);
  return text
    .split(',')
    .filter((t) => t.trim() !== '')
    .map((t) => wholeNumber(t.trim(), '--seeds')!);
}
