/** What a comparison leaves behind: `report.md`, `results.csv`, `results.json` and `fronts.svg`. */
import { join } from 'node:path';
import type { Config } from '../../protocol/config';
import { writeFileAtomic } from '../search/atomic-file';
import { formatPercent, formatSeconds } from '../search/figures';
import { thisMachine } from '../search/recorder';
import type { CellFailure, CellResult } from './cell';
import { findings } from './findings';
import { frontsChart } from './fronts-chart';
import { type MethodSummary, type Spread, summarize } from './summary';

export interface ComparisonFiles {
  readonly report: string;
  readonly csv: string;
  readonly json: string;
  readonly chart: string;
}

export function writeComparison(
  folder: string,
  config: Config,
  results: readonly CellResult[],
  failures: readonly CellFailure[],
): ComparisonFiles {
  const path = (name: string): string => join(folder, name);
  const files = { report: path('report.md'), csv: path('results.csv'), json: path('results.json'), chart: path('fronts.svg') };
  writeFileAtomic(files.report, comparisonText(config, results, failures));
  writeFileAtomic(files.csv, comparisonCsv(results));
  writeFileAtomic(files.json, `${JSON.stringify({ summary: summarize(results), results, failures }, undefined, 2)}\n`);
  writeFileAtomic(files.chart, frontsChart(results));
  return files;
}

const COLUMNS = [
  'method',
  'seeds',
  'goal met',
  'accuracy',
  'MACs',
  'parameters',
  'weight bytes',
  'ms at batch 1',
  'scorings',
  'to the best',
  'whole policies',
  'training steps',
  'time',
  'better than',
];

export const percents = ({ median, low, high }: Spread): string =>
  low === high ? formatPercent(median) : `${formatPercent(median)} (${(100 * low).toFixed(2)}–${(100 * high).toFixed(2)})`;
const counts = ({ median, low, high }: Spread): string => (low === high ? `${median}` : `${median} (${low}–${high})`);

/** Heading and rows of the table by method. */
export function summaryRows(summaries: readonly MethodSummary[]): string[][] {
  return [
    COLUMNS,
    ...summaries.map((s) => [
      s.method,
      `${s.seeds}`,
      `${s.goalMet}`,
      percents(s.accuracy),
      formatPercent(s.flops.median),
      formatPercent(s.params.median),
      formatPercent(s.bytes.median),
      s.ms1 ? s.ms1.median.toFixed(3) : '',
      counts(s.scorings),
      s.scoringsToBest ? `${s.scoringsToBest.median}, ${formatSeconds(s.secondsToBest?.median ?? 0)}` : '',
      counts(s.completePolicies),
      counts(s.trainingSteps),
      formatSeconds(s.seconds.median),
      s.wins.map((w) => `${w.over} ${w.won}/${w.of}`).join(', '),
    ]),
  ];
}

/** What there is to say below the table, as a list with an empty line behind it. */
export function noted(results: readonly CellResult[]): string[] {
  const lines = findings(results).map((f) => `- ${f}`);
  return lines.length > 0 ? [...lines, ''] : [];
}

export function comparisonText(config: Config, results: readonly CellResult[], failures: readonly CellFailure[]): string {
  const machine = thisMachine();
  const [head, ...rows] = summaryRows(summarize(results));
  const [first] = results;
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const goal = Object.entries(config.goal).filter(([, v]) => v !== undefined);
  return [
    '# Comparison of methods',
    '',
    `Model \`${config.model}\`, data ${config.data.name ?? config.data.folder ?? 'of its own'}; goal ${goal.map(([k, v]) => `${k} ${String(v)}`).join(', ') || 'none'}; ${config.search.scorings} candidate scorings a cell and stage, partial policies included${first ? `, on the same ${first.searchImages} samples` : ''}.`,
    ...(first
      ? [
          `The ${first.measure} is that of the written file on ${first.reportImages} other samples (the original: ${formatPercent(first.originalAccuracy)}), ${config.recovery.epochs === 0 ? 'without any training after the search' : `after ${config.recovery.epochs} epoch(s) of fine-tuning`}. Median over seeds, lowest and highest in brackets; MACs and parameters count what is not zero. "Goal met": in how many seeds; those that met it come first. "Better than": in how many seeds it met the goal and was more accurate with the same seed, or the other missed the goal.`,
        ]
      : []),
    '',
    row(head),
    row(head.map(() => '---')),
    ...rows.map(row),
    '',
    ...noted(results),
    '![Accuracy against cost](fronts.svg)',
    '',
    `${machine.cpu}, ${machine.cores} cores, ${machine.platform} ${machine.architecture}; Node ${process.versions.node}.`,
    '',
    ...(failures.length > 0 ? ['## Not run', '', ...failures.map((f) => `- ${f.method}, seed ${f.seed}: ${f.error}`), ''] : []),
  ].join('\n');
}

const CSV: ReadonlyArray<keyof CellResult> = [
  'method',
  'seed',
  'accuracy',
  'originalAccuracy',
  'measure',
  'searchAccuracy',
  'goalMet',
  'flops',
  'effectiveFlops',
  'params',
  'effectiveParams',
  'bytes',
  'fileBytes',
  'brotliBytes',
  'ms1',
  'ms32',
  'speedup1',
  'speedup32',
  'scorings',
  'completePolicies',
  'updates',
  'trainingSteps',
  'seconds',
  'scoringsToBest',
  'secondsToBest',
  'run',
];

/** One line a cell (RFC 4180). */
export function comparisonCsv(results: readonly CellResult[]): string {
  const field = (value: unknown): string => {
    const text = value === null || value === undefined ? '' : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return `${[CSV.join(','), ...results.map((r) => CSV.map((c) => field(r[c])).join(','))].join('\r\n')}\r\n`;
}
