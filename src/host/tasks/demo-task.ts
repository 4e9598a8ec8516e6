/** The demo: a small network is trained on generated digits and compressed, in a terminal, by the command line that comes with the extension. */
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { Panels } from '../panel/panels';
import { HostProblem } from '../problems';
import type { RunStore } from '../runs/run-store';
import { requireTrust } from '../workspace-files';

const DEMO_FOLDER = 'espalier-demo';
/** Exit code of the command line where a result is there that does not keep to its goal. */
const GOAL_NOT_MET = 3;

export interface DemoServices {
  readonly context: vscode.ExtensionContext;
  readonly runs: RunStore;
  readonly panels: Panels;
  readonly commandLine: string;
}

/** Resolves when the demo has ended and its run is open. */
export async function runDemo({ context, runs, panels, commandLine }: DemoServices): Promise<string | undefined> {
  requireTrust(vscode.l10n.t('The demo'));
  const workspace = vscode.workspace.workspaceFolders?.find(({ uri }) => uri.scheme === 'file')?.uri ?? context.globalStorageUri;
  const folder = join(workspace.fsPath, DEMO_FOLDER);
  await vscode.workspace.fs.createDirectory(vscode.Uri.file(folder));
  const execution = new vscode.ProcessExecution(process.execPath, [commandLine, 'demo', '--out', folder], {
    cwd: folder,
    env: { ELECTRON_RUN_AS_NODE: '1' },
  });
  const task = new vscode.Task(
    { type: 'espalier', config: DEMO_FOLDER },
    vscode.TaskScope.Workspace,
    vscode.l10n.t('compress the demo network'),
    'espalier',
    execution,
    [],
  );
  task.presentationOptions = { reveal: vscode.TaskRevealKind.Always, clear: true };
  const running = await vscode.tasks.executeTask(task);
  const exitCode = await new Promise<number | undefined>((resolve) => {
    const ended = vscode.tasks.onDidEndTaskProcess((event) => {
      if (event.execution !== running) return;
      ended.dispose();
      resolve(event.exitCode);
    });
  });
  if (exitCode !== 0 && exitCode !== GOAL_NOT_MET)
    throw new HostProblem(vscode.l10n.t('The demo ended with exit code {0}.', String(exitCode)), vscode.l10n.t('The terminal says why.'));
  await runs.addFolder(join(folder, 'runs'));
  const [run] = runs.runs.filter((candidate) => candidate.folder.startsWith(folder));
  if (!run) return undefined;
  await vscode.commands.executeCommand('setContext', 'espalier.demoCompressed', true);
  panels.open({ runFolder: run.folder });
  return run.folder;
}
