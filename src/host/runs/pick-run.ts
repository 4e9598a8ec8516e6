/** Asks for a run. */
import * as vscode from 'vscode';
import type { RunSummary } from '../../protocol/run-summary';
import { HostProblem } from '../problems';
import { shownPath } from '../workspace-files';
import type { RunStore } from './run-store';
import { achievementText } from './run-text';
import { statusText } from './status-text';

const describe = (run: RunSummary): vscode.QuickPickItem & { run: RunSummary } => ({
  label: run.name,
  description: [statusText(run), achievementText(run)].filter((part) => part !== undefined).join(' · '),
  detail: `${run.method}, ${new Date(run.startedAt).toLocaleString()}, ${shownPath(run.folder)}`,
  run,
});

async function suitable(store: RunStore, suits: (run: RunSummary) => boolean): Promise<RunSummary[]> {
  const runs = (await store.list()).filter(suits);
  if (runs.length === 0)
    throw new HostProblem(
      vscode.l10n.t('There is no such run in this workspace.'),
      vscode.l10n.t('Start one with "Espalier: Compress Model…".'),
    );
  return runs;
}

/** Folder of the run chosen; the only one is chosen without asking. */
export async function pickRun(
  store: RunStore,
  placeHolder: string,
  suits: (run: RunSummary) => boolean = () => true,
): Promise<string | undefined> {
  const runs = await suitable(store, suits);
  if (runs.length === 1) return runs[0].folder;
  return (await vscode.window.showQuickPick(runs.map(describe), { placeHolder, matchOnDescription: true, matchOnDetail: true }))?.run
    .folder;
}

export async function pickRuns(store: RunStore, placeHolder: string): Promise<readonly RunSummary[] | undefined> {
  const runs = await suitable(store, () => true);
  const picked = await vscode.window.showQuickPick(
    runs.map((run, place) => ({ ...describe(run), picked: place < 2 })),
    { placeHolder, canPickMany: true },
  );
  return picked?.map(({ run }) => run);
}
