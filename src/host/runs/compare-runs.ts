/** Runs side by side, as a Markdown table that can be copied into a report. */
import type { RunSummary } from '../../protocol/run-summary';
import { bytesText, changeText, countText, percentText, pointsText, secondsText, sizeOf } from './run-text';

type Row = readonly [label: string, value: (run: RunSummary) => string];

const NONE = '–';

/** A figure of the best candidate with its change against the original. */
function figure(
  of: (cost: NonNullable<RunSummary['best']>['cost']) => number,
  text: (value: number) => string,
): (run: RunSummary) => string {
  return ({ original, best }) => (original && best ? `${text(of(best.cost))} (${changeText(of(original.cost), of(best.cost))})` : NONE);
}

const ROWS: readonly Row[] = [
  ['Status', (run) => (run.reason === undefined ? run.status : `${run.status}: ${run.reason}`)],
  ['Method', (run) => run.method],
  [
    'Accuracy',
    ({ original, best }) =>
      original && best ? `${percentText(best.accuracy)} (${pointsText(original.accuracy, best.accuracy)}, n = ${best.images})` : NONE,
  ],
  ['MACs', figure((cost) => cost.macs, countText)],
  ['Effective MACs', figure((cost) => cost.effectiveMacs, countText)],
  ['Parameters', figure((cost) => cost.params, countText)],
  ['Effective parameters', figure((cost) => cost.effectiveParams, countText)],
  ['Size', figure(sizeOf, bytesText)],
  [
    'Latency',
    ({ best }) =>
      best?.latency
        ?.map((l) => `${l.median.toFixed(2)} ms (batch ${l.batch}, ${l.low.toFixed(2)} to ${l.high.toFixed(2)}, n = ${l.runs})`)
        .join(', ') || NONE,
  ],
  ['Reward', ({ best }) => (best ? best.reward.toFixed(4) : NONE)],
  ['Goal met', ({ goalMet }) => (goalMet === undefined ? NONE : goalMet ? 'yes' : 'no')],
  ['Episodes', (run) => `${run.episode} of ${run.episodes}`],
  ['Time', (run) => secondsText(run.secondsElapsed)],
];

/** Text of one cell: a pipe would end it. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** One column a run, in the order given. */
export function compareRuns(runs: readonly RunSummary[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [
    '# Runs compared',
    '',
    line(['', ...runs.map((run) => `${run.name} (${run.id})`)]),
    line(['---', ...runs.map(() => '---:')]),
    ...ROWS.map(([label, value]) => line([label, ...runs.map(value)])),
    '',
    'In brackets: change against the model before compression, and what the figure was measured on.',
    '',
  ].join('\n');
}
