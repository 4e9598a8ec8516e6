/** Re-score last run: the candidates of a config's newest run under the reward that stands in the editor now. */
import * as vscode from 'vscode';
import { configLanguage } from '../load-config-language';
import { HostProblem } from '../problems';
import type { RunStore } from '../runs/run-store';
import { openReport } from '../text-documents';
import type { WorkerClient } from '../worker-client';
import { shownPath } from '../workspace-files';
import { lastSnapshot } from './config-documents';
import { previewMarkdown } from './formula-language';

export interface RescoreOutcome {
  readonly run: string;
  /** Candidate ids, best first. */
  readonly ranked: readonly string[];
  readonly winner?: string;
}

export async function rescoreLastRun(
  uri: vscode.Uri,
  stage: 'prune' | 'quantize' | undefined,
  store: RunStore,
  worker: WorkerClient,
): Promise<RescoreOutcome> {
  const { parseConfigText, rescoringText, winnerText } = configLanguage();
  const document = await vscode.workspace.openTextDocument(uri);
  const { config, problems } = parseConfigText(document.getText());
  if (!config)
    throw new HostProblem(
      vscode.l10n.t('{0} has a problem in line {1}: {2}', shownPath(uri.fsPath), problems[0].line, problems[0].message),
    );
  await store.list();
  const run = store.lastRun({ config: uri.fsPath });
  if (!run)
    throw new HostProblem(
      vscode.l10n.t('{0} has no run yet that scored a candidate.', shownPath(uri.fsPath)),
      vscode.l10n.t('Run it once; then any reward can be tried on its candidates.'),
    );
  const chosen = stage ?? (config.stages.prune ? 'prune' : 'quantize');
  const { reward } = config;
  const result = await worker.request('rescoreRun', {
    folder: run.folder,
    stage: chosen,
    reward: reward[chosen],
    constants: reward.constants,
  });
  if ('problems' in result) throw new HostProblem(vscode.l10n.t('The reward cannot be read: {0}', result.problems[0].message));
  const { candidates } = await store.snapshot(run.folder);
  const winner = winnerText(run, result.rescoring, candidates);
  await openReport('re-scored.md', rescoringText(run, result.formula, result.rescoring, candidates));
  if (winner !== undefined) vscode.window.showInformationMessage(winner);
  return { run: run.folder, ranked: result.rescoring.ranked.map((entry) => entry.id), ...(winner === undefined ? {} : { winner }) };
}

/** Opens the picture of a config's reward. */
export async function previewReward(uri: vscode.Uri, stage: 'prune' | 'quantize' | undefined, store: RunStore): Promise<void> {
  const document = await vscode.workspace.openTextDocument(uri);
  const snapshot = await lastSnapshot(store, uri);
  const markdown = previewMarkdown(document, stage ?? 'prune', snapshot);
  if (markdown === undefined)
    throw new HostProblem(
      vscode.l10n.t('{0} has problems, so its reward has no picture.', shownPath(uri.fsPath)),
      vscode.l10n.t('See the Problems view.'),
    );
  await openReport('reward.md', `# ${vscode.l10n.t('Reward of {0}', shownPath(uri.fsPath))}\n\n${markdown}\n`);
}
