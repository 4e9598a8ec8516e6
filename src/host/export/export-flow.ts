/** "Export Compressed Model…": which run, which candidate, where to; then the code that loads it. */
import { basename, dirname, join } from 'node:path';
import * as vscode from 'vscode';
import type { RunTarget } from '../command-ids';
import { HostProblem } from '../problems';
import { pickRun } from '../runs/pick-run';
import type { RunStore } from '../runs/run-store';
import { achievementText, bytesText, percentText } from '../runs/run-text';
import { openReport } from '../text-documents';
import type { WorkerClient } from '../worker-client';
import { requireTrust, shownPath } from '../workspace-files';
import { loadingMarkdown } from './loading-code';

export interface ExportOutcome {
  readonly files: readonly string[];
}

/** Asks for what is not given; undefined where the person left. */
export async function exportModel(
  target: RunTarget | undefined,
  candidateId: string | undefined,
  to: string | undefined,
  runs: RunStore,
  worker: WorkerClient,
): Promise<ExportOutcome | undefined> {
  requireTrust(vscode.l10n.t('Exporting'));
  const folder = target?.folder ?? (await pickRun(runs, vscode.l10n.t('Export from which run?'), (run) => run.best !== undefined));
  if (folder === undefined) return undefined;
  const snapshot = await runs.snapshot(folder);
  const { summary, front } = snapshot;
  const complete = snapshot.candidates.filter((candidate) => !candidate.partial);
  if (complete.length === 0)
    throw new HostProblem(vscode.l10n.t('{0} has scored no candidate yet.', summary.name), vscode.l10n.t('Wait for its first episode.'));
  let chosen = complete.find(({ id }) => id === candidateId);
  if (!chosen && candidateId !== undefined) throw new HostProblem(vscode.l10n.t('{0} has no candidate {1}.', summary.name, candidateId));
  if (!chosen) {
    const offered = complete
      .filter(({ id }) => front.includes(id) || id === summary.best?.id)
      .sort((a, b) => Number(b.id === summary.best?.id) - Number(a.id === summary.best?.id) || a.cost.macs - b.cost.macs);
    const picked = await vscode.window.showQuickPick(
      (offered.length > 0 ? offered : complete).map((candidate) => ({
        label: candidate.id === summary.best?.id ? vscode.l10n.t('{0} (best)', candidate.id) : candidate.id,
        description: achievementText(summary, candidate) ?? percentText(candidate.accuracy),
        detail: vscode.l10n.t(
          '{0} of weights, {1} on {2} images',
          bytesText(candidate.cost.weightBytes),
          percentText(candidate.accuracy),
          candidate.images,
        ),
        candidate,
      })),
      { title: vscode.l10n.t('Export Compressed Model'), placeHolder: vscode.l10n.t('Which candidate?') },
    );
    chosen = picked?.candidate;
  }
  if (!chosen) return undefined;
  const file = to ?? (await askFile(summary.modelPath, summary.name));
  if (file === undefined) return undefined;
  const result = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t('Writing {0}', basename(file)), cancellable: true },
    (_progress, token) => worker.request('exportCandidate', { folder, candidate: chosen.id, to: file, format: 'onnx' }, token),
  );
  const written = result.files.find((path) => path.endsWith('.onnx')) ?? file;
  const accuracy =
    result.accuracy === undefined
      ? ''
      : vscode.l10n.t(', {0} on {1} images, measured from the file', percentText(result.accuracy), result.images ?? 0);
  const figures = vscode.l10n.t('{0}, {1} after brotli{2}.', bytesText(result.fileBytes), bytesText(result.brotliBytes), accuracy);
  const graph = await worker.request('inspectModel', { path: written });
  await openReport(
    `load ${basename(written)}.md`,
    loadingMarkdown({ file: basename(written), input: graph.inputs[0], output: graph.outputs[0] }, figures),
  );
  const reveal = vscode.l10n.t('Show in Explorer');
  vscode.window.showInformationMessage(vscode.l10n.t('{0} is written: {1}', shownPath(written), figures), reveal).then((choice) => {
    if (choice === reveal) vscode.commands.executeCommand('revealInExplorer', vscode.Uri.file(written));
  });
  return { files: result.files };
}

async function askFile(modelPath: string, name: string): Promise<string | undefined> {
  const picked = await vscode.window.showSaveDialog({
    title: vscode.l10n.t('Export Compressed Model'),
    defaultUri: vscode.Uri.file(join(dirname(modelPath), `${name}-compressed.onnx`)),
    filters: { ONNX: ['onnx'] },
  });
  return picked?.fsPath;
}
