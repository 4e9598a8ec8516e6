/** The workspace of the tests and the extension in it. */
import * as vscode from 'vscode';
import type { EspalierApi } from '../../../src/extension';
import { eventually } from './runner';

export const inWorkspace = (...path: string[]): vscode.Uri => vscode.Uri.joinPath(vscode.workspace.workspaceFolders![0].uri, ...path);

export const extension = (): vscode.Extension<EspalierApi> => vscode.extensions.getExtension<EspalierApi>('espalier.espalier')!;

export const api = (): Promise<EspalierApi> => Promise.resolve(extension().activate());

export async function open(...path: string[]): Promise<vscode.TextDocument> {
  const document = await vscode.workspace.openTextDocument(inWorkspace(...path));
  await vscode.window.showTextDocument(document);
  return document;
}

/** 'line title' of each lens of ours. */
export async function lenses(document: vscode.TextDocument): Promise<string[]> {
  const found = await vscode.commands.executeCommand<vscode.CodeLens[]>('vscode.executeCodeLensProvider', document.uri, 100);
  return found.flatMap(({ range, command }) => (command?.command.startsWith('espalier.') ? [`${range.start.line} ${command.title}`] : []));
}

export function diagnostics(document: vscode.TextDocument, count: number): Promise<vscode.Diagnostic[]> {
  return eventually(`${count} problems in ${document.uri.path}`, () => {
    const found = vscode.languages.getDiagnostics(document.uri).filter(({ source }) => source === 'espalier');
    return found.length === count ? found : undefined;
  });
}
