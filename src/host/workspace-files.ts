/** Files of the workspace: where runs lie, which models and configs there are. */
import { existsSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import * as vscode from 'vscode';
import { HostProblem } from './problems';

const EXCLUDED = '**/{node_modules,.espalier,.venv,venv,site-packages}/**';
const MOST_FILES = 500;

/** Path with forward slashes, as configs have it on every system. */
export function portablePath(path: string): string {
  return sep === '\\' ? path.replaceAll('\\', '/') : path;
}

/** Relative path from a config's folder to a file. */
export function pathFrom(folder: string, file: string): string {
  return portablePath(relative(folder, file));
}

/** A file on this machine's disk. @throws HostProblem for files of virtual workspaces, which the worker cannot read */
export function diskPath(uri: vscode.Uri): string {
  if (uri.scheme === 'file') return uri.fsPath;
  throw new HostProblem(
    vscode.l10n.t('{0} lies in a virtual workspace, and Espalier works on files on disk.', uri.toString(true)),
    vscode.l10n.t('Open a local copy of the folder.'),
  );
}

/** Folders with runs: beside every config that ran, and those remembered from runs started elsewhere. */
export async function findRunFolders(remembered: readonly string[]): Promise<string[]> {
  const journals = await vscode.workspace.findFiles('**/.espalier/runs/*/journal.jsonl', '**/node_modules/**', MOST_FILES);
  const folders = new Set([...journals.map((uri) => dirname(dirname(uri.fsPath))), ...remembered]);
  for (const folder of vscode.workspace.workspaceFolders ?? []) folders.add(join(folder.uri.fsPath, '.espalier', 'runs'));
  return [...folders].filter((folder) => existsSync(folder));
}

export async function findModels(): Promise<vscode.Uri[]> {
  const found = await vscode.workspace.findFiles('**/*.{onnx,h5,keras}', EXCLUDED, MOST_FILES);
  const folders = await vscode.workspace.findFiles('**/{model.json,saved_model.pb}', EXCLUDED, MOST_FILES);
  return [...found, ...folders].sort((a, b) => (a.fsPath < b.fsPath ? -1 : 1));
}

export async function findConfigs(): Promise<vscode.Uri[]> {
  const found = await vscode.workspace.findFiles('**/*.espalier.json', EXCLUDED, MOST_FILES);
  return found.sort((a, b) => (a.fsPath < b.fsPath ? -1 : 1));
}

/** Path for a person: relative to the workspace where it lies in it. */
export function shownPath(path: string): string {
  return vscode.workspace.asRelativePath(path);
}

/** @throws HostProblem in an untrusted workspace, saying what needs trust */
export function requireTrust(what: string): void {
  if (vscode.workspace.isTrusted) return;
  throw new HostProblem(
    vscode.l10n.t('{0} needs a trusted workspace, because it runs code and reads files that the workspace names.', what),
    vscode.l10n.t('Use "Workspaces: Manage Workspace Trust"; viewing models needs no trust.'),
  );
}
