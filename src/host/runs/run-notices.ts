/** What a person is told when a run ends, and when runs of an earlier window can be resumed. */
import * as vscode from 'vscode';
import type { RunSummary } from '../../protocol/run-summary';
import { problemText } from '../problems';
import type { RunEnd, RunStore } from './run-store';
import { achievementText, percentText } from './run-text';

export function announceRunEnds(store: RunStore): vscode.Disposable {
  return store.onDidEnd((end) => void announce(end));
}

async function announce({ run, expected }: RunEnd): Promise<void> {
  const open = vscode.l10n.t('Open Run');
  const target = { folder: run.folder };
  const achieved = achievementText(run);
  if (run.status === 'finished') {
    const exportIt = vscode.l10n.t('Export…');
    const text =
      achieved === undefined ? vscode.l10n.t('{0} is finished.', run.name) : vscode.l10n.t('{0} is finished: {1}', run.name, achieved);
    const choice = await vscode.window.showInformationMessage(text, open, exportIt);
    if (choice === open) await vscode.commands.executeCommand('espalier.openRun', target);
    else if (choice === exportIt) await vscode.commands.executeCommand('espalier.exportModel', target);
    return;
  }
  if (run.stopped) {
    // What was found is of use only to who takes it along.
    if (!run.best) return;
    const exportIt = vscode.l10n.t('Export…');
    const text = vscode.l10n.t('{0} is stopped. Its best so far: {1}', run.name, achieved ?? percentText(run.best.accuracy));
    const choice = await vscode.window.showInformationMessage(text, exportIt, open);
    if (choice === exportIt) await vscode.commands.executeCommand('espalier.exportModel', target, run.best.id);
    else if (choice === open) await vscode.commands.executeCommand('espalier.openRun', target);
    return;
  }
  if (expected) return;
  const resume = vscode.l10n.t('Resume');
  const showLog = vscode.l10n.t('Show Log');
  const text =
    run.status === 'interrupted'
      ? vscode.l10n.t('{0} was interrupted: {1}', run.name, run.reason ?? '')
      : vscode.l10n.t('{0} failed: {1}', run.name, run.reason ?? '');
  const choice = await vscode.window.showWarningMessage(text, ...(run.resumable ? [resume] : []), showLog);
  if (choice === resume) await vscode.commands.executeCommand('espalier.resumeRun', target);
  else if (choice === showLog) await vscode.commands.executeCommand('espalier.showLog');
}

/** Offers to resume what was under way when the window closed. Does nothing, and loads nothing, where there was nothing. */
export async function offerResume(store: RunStore, log: vscode.LogOutputChannel): Promise<void> {
  const remembered = store.remembered;
  if (remembered.length === 0 || !vscode.workspace.isTrusted) return;
  try {
    await store.refresh();
  } catch (error) {
    log.warn(problemText(error));
    return;
  }
  const runs = remembered
    .map((folder) => store.run(folder))
    .filter((run): run is RunSummary => run?.status === 'interrupted' && run.resumable && !run.stopped);
  if (runs.length === 0) return;
  const resume = runs.length === 1 ? vscode.l10n.t('Resume') : vscode.l10n.t('Resume All');
  const text =
    runs.length === 1
      ? vscode.l10n.t(
          'The run of {0} was interrupted when the window closed, after episode {1} of {2}.',
          runs[0].name,
          runs[0].episode,
          runs[0].episodes,
        )
      : vscode.l10n.t('{0} runs were interrupted when the window closed: {1}.', runs.length, runs.map(({ name }) => name).join(', '));
  const choice = await vscode.window.showInformationMessage(text, resume, vscode.l10n.t('Not Now'));
  if (choice !== resume) return;
  // One after the other: the worker queues them in this order.
  for (const { folder } of runs) await vscode.commands.executeCommand('espalier.resumeRun', { folder });
}
