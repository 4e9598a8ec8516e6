/** Tasks of type `espalier`: a config, run by the command line that CI runs too. */
import * as vscode from 'vscode';
import { findConfigs, shownPath } from '../workspace-files';

export const TASK_TYPE = 'espalier';

interface CompressTask extends vscode.TaskDefinition {
  readonly type: typeof TASK_TYPE;
  /** Config file, relative to the workspace folder. */
  readonly config: string;
}

export class CompressTasks implements vscode.TaskProvider {
  /** @param commandLine dist/cli.js of the installed extension */
  constructor(private readonly commandLine: string) {}

  async provideTasks(): Promise<vscode.Task[]> {
    const configs = await findConfigs();
    return configs.flatMap((uri) => {
      const folder = vscode.workspace.getWorkspaceFolder(uri);
      return folder ? [this.task({ type: TASK_TYPE, config: vscode.workspace.asRelativePath(uri, false) }, folder)] : [];
    });
  }

  resolveTask(task: vscode.Task): vscode.Task | undefined {
    const { config } = task.definition;
    const scope = task.scope;
    if (typeof config !== 'string' || typeof scope !== 'object') return undefined;
    return this.task(task.definition as CompressTask, scope);
  }

  private task(definition: CompressTask, folder: vscode.WorkspaceFolder): vscode.Task {
    // The editor's own Node runs it, so that nothing need be installed.
    const execution = new vscode.ProcessExecution(process.execPath, [this.commandLine, 'compress', definition.config], {
      cwd: folder.uri.fsPath,
      env: { ELECTRON_RUN_AS_NODE: '1' },
    });
    const task = new vscode.Task(definition, folder, vscode.l10n.t('compress {0}', shownPath(definition.config)), TASK_TYPE, execution, []);
    task.group = vscode.TaskGroup.Build;
    return task;
  }
}
