/** The demo: a small network is trained on generated digits, then compressed, as any other run: followed in the panel, stopped and resumed. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import example from '../../docs/examples/lenet5-digits.espalier.json';
import type { RunSummary } from '../protocol/run-summary';
import type { Panels } from './panel/panels';
import { HostProblem } from './problems';
import { isActive } from './runs/run-order';
import type { RunStore } from './runs/run-store';
import type { WorkerClient } from './worker-client';
import { requireTrust } from './workspace-files';

const DEMO_FOLDER = 'espalier-demo';

export interface DemoServices {
  readonly context: vscode.ExtensionContext;
  readonly worker: WorkerClient;
  readonly runs: RunStore;
  readonly panels: Panels;
}

/** Resolves with the run's folder when it has ended, finished or not. */
export async function runDemo(services: DemoServices): Promise<string> {
  const { context, runs, panels } = services;
  requireTrust(vscode.l10n.t('The demo'));
  const workspace = vscode.workspace.workspaceFolders?.find(({ uri }) => uri.scheme === 'file')?.uri ?? context.globalStorageUri;
  const folder = join(workspace.fsPath, DEMO_FOLDER);
  await vscode.workspace.fs.createDirectory(vscode.Uri.file(folder));
  const configPath = join(folder, 'lenet5.espalier.json');
  // A config that is there may have been edited, and is then what is wanted.
  if (!existsSync(configPath)) writeFileSync(configPath, `${JSON.stringify(example, null, 2)}\n`);
  if (!existsSync(join(folder, example.model))) await train(configPath, folder, services);
  const begun = await runs.start({ configPath, folder });
  if (!begun.started) throw new HostProblem(begun.message, begun.hint);
  panels.open({ runFolder: begun.folder });
  const { status } = await endOf(begun.folder, runs);
  // The last step of the walkthrough waits for this.
  if (status === 'finished') await vscode.commands.executeCommand('setContext', 'espalier.demoCompressed', true);
  return begun.folder;
}

function train(configPath: string, folder: string, { worker }: DemoServices): Thenable<unknown> {
  return vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t('Training the demo network'), cancellable: true },
    (progress, token) => {
      let shown = 0;
      return worker.withProgress(
        ({ message, fraction = shown }) => {
          progress.report({ message, increment: (fraction - shown) * 100 });
          shown = fraction;
        },
        (progressToken) => worker.request('trainModel', { configPath, folder, progressToken }, token),
      );
    },
  );
}

function endOf(folder: string, runs: RunStore): Promise<RunSummary> {
  return new Promise((resolve) => {
    const run = runs.run(folder);
    if (run && !isActive(run)) return resolve(run);
    const ended = runs.onDidEnd((end) => {
      if (end.run.folder !== folder) return;
      ended.dispose();
      resolve(end.run);
    });
  });
}
