/** A re-scored run in words: what would have won under another reward. */
import * as vscode from 'vscode';
import type { Candidate } from '../../protocol/policy';
import type { Rescoring } from '../../protocol/reward/rescore';
import type { RunSummary } from '../../protocol/run-summary';
import { bytesText, changeText, percentText, pointsText } from '../runs/run-text';

const SHOWN = 20;
const { t } = vscode.l10n;

/** Markdown with the ranking; candidates are looked up by id. */
export function rescoringText(run: RunSummary, formula: string, rescoring: Rescoring, candidates: readonly Candidate[]): string {
  const byId = new Map(candidates.map((candidate) => [candidate.id, candidate]));
  const rows = rescoring.ranked.slice(0, SHOWN).flatMap((entry) => {
    const candidate = byId.get(entry.id);
    if (!candidate) return [];
    const { original } = run;
    const accuracy = original
      ? `${percentText(candidate.accuracy)} (${pointsText(original.accuracy, candidate.accuracy)})`
      : percentText(candidate.accuracy);
    const macs = original ? changeText(original.cost.macs, candidate.cost.macs) : String(candidate.cost.macs);
    return [
      `| ${entry.rank} | ${entry.previousRank} | ${entry.id} | ${entry.reward.toPrecision(5)} | ${entry.previousReward.toPrecision(5)} | ${accuracy} | ${macs} | ${bytesText(candidate.cost.weightBytes)} |`,
    ];
  });
  const failed =
    rescoring.failed.length === 0
      ? []
      : ['', t('{0} candidates have no value under this reward: {1}.', rescoring.failed.length, rescoring.failed[0].problem.message)];
  return [
    `# ${t('{0}, re-scored', run.name)}`,
    '',
    t('Candidates of the run, ranked anew from what was measured; nothing was evaluated again.'),
    '',
    `${t('Reward')}: \`${formula}\``,
    '',
    `| ${[t('Rank'), t('Was'), t('Candidate'), t('Reward'), t('Was'), t('Accuracy'), t('MACs'), t('Weights')].join(' | ')} |`,
    '| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |',
    ...rows,
    ...failed,
    '',
  ].join('\n');
}

/** One sentence: the new winner against the old one. */
export function winnerText(run: RunSummary, rescoring: Rescoring, candidates: readonly Candidate[]): string | undefined {
  const [first] = rescoring.ranked;
  const winner = first && candidates.find((candidate) => candidate.id === first.id);
  if (!first || !winner) return undefined;
  const figures = run.original
    ? `${changeText(run.original.cost.macs, winner.cost.macs)} ${t('MACs')}, ${pointsText(run.original.accuracy, winner.accuracy)}`
    : percentText(winner.accuracy);
  return first.previousRank === 1
    ? t('{0} stays first: {1}', first.id, figures)
    : t('{0} would have won (it was number {1}): {2}', first.id, first.previousRank, figures);
}
