/** "Copy Diagnostics": what a bug report needs, and nothing of the workspace's content. */
import { arch, cpus, platform, release, totalmem } from 'node:os';
import * as vscode from 'vscode';
import type { RunStore } from '../runs/run-store';
import type { WorkerClient } from '../worker-client';

const withoutPaths = (text: string): string => text.replaceAll(/[^\s'"]*[\\/][^\s'"]*/g, '…');

/** Starts the worker, because its versions matter most; where it cannot start, the reason is told instead. */
export async function copyDiagnostics(version: string, worker: WorkerClient, runs: RunStore): Promise<string> {
  const problem = worker.description
    ? undefined
    : await worker.request('listRuns', { folders: [] }).then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
  const described = worker.description;
  const lines = [
    `Espalier ${version}`,
    `VS Code ${vscode.version} (${vscode.env.appHost}${vscode.env.remoteName === undefined ? '' : `, remote ${vscode.env.remoteName}`})`,
    `Node ${process.versions.node}${process.versions['electron'] === undefined ? '' : `, Electron ${process.versions['electron']}`}`,
    `System ${platform()} ${release()} ${arch()}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    described
      ? `Worker ${described.version}, process ${worker.pid}, agents on ${described.backend}, ${Object.entries(described.versions)
          .map(([name, v]) => `${name} ${v}`)
          .join(', ')}`
      : `Worker not running: ${problem}`,
    `Workspace ${vscode.workspace.isTrusted ? 'trusted' : 'not trusted'}, ${(vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.scheme).join(', ') || 'no folder'}`,
    // Names of models stay out of reports, and so do ids, which begin with them, and paths.
    ...runs.runs
      .slice(0, 10)
      .map(
        (run) =>
          `Run of ${run.startedAt}: ${run.status}${run.reason === undefined ? '' : ` (${withoutPaths(run.reason)})`}, ${run.method}, episode ${run.episode} of ${run.episodes}`,
      ),
  ];
  const text = lines.join('\n');
  await vscode.env.clipboard.writeText(text);
  return text;
}
