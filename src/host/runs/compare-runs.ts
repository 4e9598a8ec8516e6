/** Runs side by side: their fronts on one chart and a table, as Markdown that can be copied into a report. */
import * as vscode from 'vscode';
import { originalOf } from '../../protocol/original-of';
import type { RunSnapshot, RunSummary } from '../../protocol/run-summary';
import { svgImage } from '../svg-image';
import { frontOf, frontsChart } from './fronts-chart';
import { bytesText, changeText, countText, percentText, pointsText, secondsText, sizeOf } from './run-text';
import { statusText } from './status-text';

type Row = readonly [label: string, value: (run: RunSummary) => string];

const NONE = '–';
const { t } = vscode.l10n;

/** A figure of the best candidate with its change against the original. */
function figure(
  of: (cost: NonNullable<RunSummary['best']>['cost']) => number,
  text: (value: number) => string,
): (run: RunSummary) => string {
  return (run) => {
    const { best } = run;
    const original = originalOf(run, best);
    return original && best ? `${text(of(best.cost))} (${changeText(of(original.cost), of(best.cost))})` : NONE;
  };
}

const rows = (): readonly Row[] => [
  [t('Status'), (run) => [statusText(run), ...(run.reason === undefined ? [] : [run.reason])].join(': ')],
  [t('Method'), (run) => run.method],
  [t('Seed'), (run) => (run.seed === undefined ? NONE : String(run.seed))],
  [
    t('Accuracy'),
    (run) => {
      const { best } = run;
      const original = originalOf(run, best);
      return original && best
        ? `${percentText(best.accuracy)} (${pointsText(original.accuracy, best.accuracy)}, n = ${best.images})`
        : NONE;
    },
  ],
  [t('MACs'), figure((cost) => cost.macs, countText)],
  [t('Effective MACs'), figure((cost) => cost.effectiveMacs, countText)],
  [t('Parameters'), figure((cost) => cost.params, countText)],
  [t('Effective parameters'), figure((cost) => cost.effectiveParams, countText)],
  [t('Weight bytes'), figure((cost) => cost.weightBytes, bytesText)],
  [t('Size'), figure(sizeOf, bytesText)],
  [
    t('Latency'),
    ({ best }) =>
      best?.latency
        ?.map((l) =>
          t('{0} ms (batch {1}, {2} to {3}, n = {4})', l.median.toFixed(2), l.batch, l.low.toFixed(2), l.high.toFixed(2), l.runs),
        )
        .join(', ') || NONE,
  ],
  [t('Reward'), ({ best }) => (best ? best.reward.toFixed(4) : NONE)],
  [t('Goal met'), ({ goalMet }) => (goalMet === undefined ? NONE : goalMet ? t('yes') : t('no'))],
  [t('Episodes'), (run) => t('{0} of {1}', run.episode, run.episodes)],
  [t('Time'), (run) => secondsText(run.secondsElapsed)],
];

/** Text of one cell: a pipe would end it. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** What keeps figures of these runs from being comparable, in words. */
function differences(runs: readonly RunSummary[]): string[] {
  const several = (of: (run: RunSummary) => string | number | undefined): boolean =>
    new Set(runs.map(of).filter((value) => value !== undefined)).size > 1;
  const notes: string[] = [];
  if (several((run) => run.modelPath)) notes.push(t('These runs began with different models: their accuracies do not compare.'));
  if (several((run) => run.original?.images) || several((run) => run.best?.images))
    notes.push(t('Accuracies were measured on different numbers of images.'));
  return notes;
}

function chart(runs: readonly RunSnapshot[]): string[] {
  const fronts = runs.flatMap(({ summary, candidates, front }) =>
    summary.original && candidates.length > 0 ? [frontOf(titleOf(summary), summary.original, candidates, front, summary.best?.id)] : [],
  );
  if (fronts.length === 0) return [];
  const svg = frontsChart(fronts, {
    accuracy: t('accuracy'),
    macs: t('MACs, share of the original'),
    bytes: t('weight bytes, share of the original'),
    original: t('grey, at 100 %: before compression'),
    chosen: t('filled: the best of its run'),
  });
  return [`![${t('Pareto fronts of {0} runs; the table has their figures.', fronts.length)}](${svgImage(svg)})`, ''];
}

const titleOf = (run: RunSummary): string =>
  [`${run.name} (${run.id})`, run.method, run.seed === undefined ? undefined : t('seed {0}', run.seed)]
    .filter((part) => part !== undefined)
    .join(', ');

/** One column a run, in the order given. */
export function compareRuns(runs: readonly RunSnapshot[]): string {
  const summaries = runs.map(({ summary }) => summary);
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [
    `# ${t('Runs compared')}`,
    '',
    ...differences(summaries).flatMap((note) => [`> ${note}`, '']),
    ...chart(runs),
    line(['', ...summaries.map((run) => `${run.name} (${run.id})`)]),
    line(['---', ...runs.map(() => '---:')]),
    ...rows().map(([label, value]) => line([label, ...summaries.map(value)])),
    '',
    t('In brackets: change against the model before compression, and what the figure was measured on.'),
    '',
  ].join('\n');
}
