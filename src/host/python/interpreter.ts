/** Which Python runs a model's source: the setting, else the Python extension's selection, else python3 on the path. */
import { isAbsolute, resolve } from 'node:path';
import * as vscode from 'vscode';
import { setting } from '../settings';

/** As much of the Python extension's API as is used. */
interface PythonApi {
  readonly environments?: {
    getActiveEnvironmentPath(resource?: vscode.Uri): { readonly path: string };
    resolveEnvironment(path: { readonly path: string }): Promise<{ readonly executable: { readonly uri?: vscode.Uri } } | undefined>;
  };
}

export interface Interpreter {
  readonly path: string;
  /** Where it was found, for the log and for messages. */
  readonly from: 'setting' | 'python-extension' | 'path';
}

export async function findInterpreter(resource: vscode.Uri): Promise<Interpreter> {
  const chosen = setting('python.interpreter', resource).trim();
  if (chosen !== '') {
    const folder = vscode.workspace.getWorkspaceFolder(resource)?.uri.fsPath;
    // A bare name is looked up on the path; anything with a separator is a file.
    const path = folder === undefined || isAbsolute(chosen) || !/[\\/]/.test(chosen) ? chosen : resolve(folder, chosen);
    return { path, from: 'setting' };
  }
  const extension = vscode.extensions.getExtension<PythonApi>('ms-python.python');
  if (extension) {
    const { environments } = await extension.activate();
    const environment = environments && (await environments.resolveEnvironment(environments.getActiveEnvironmentPath(resource)));
    if (environment?.executable.uri) return { path: environment.executable.uri.fsPath, from: 'python-extension' };
  }
  return { path: process.platform === 'win32' ? 'python' : 'python3', from: 'path' };
}
