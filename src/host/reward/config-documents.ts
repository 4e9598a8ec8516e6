/** Config files in the editor, and what the last run knows of them. */
import * as vscode from 'vscode';
import type { RunSnapshot } from '../../protocol/run-summary';
import type { RunStore } from '../runs/run-store';

export const CONFIG_SELECTOR: vscode.DocumentSelector = { pattern: '**/*.espalier.json' };

export function isConfig(document: vscode.TextDocument): boolean {
  return document.uri.path.endsWith('.espalier.json');
}

export function rangeOf(document: vscode.TextDocument, start: number, end: number): vscode.Range {
  return new vscode.Range(document.positionAt(start), document.positionAt(end));
}

/** The newest run of a config that is known already: hovers start no worker. */
export async function lastSnapshot(store: RunStore, uri: vscode.Uri): Promise<RunSnapshot | undefined> {
  const run = store.lastRun({ config: uri.fsPath });
  return run ? store.snapshot(run.folder).catch(() => undefined) : undefined;
}
