/** Texts that commands produce, as read-only documents: nothing to save, nothing to lose. */
import * as vscode from 'vscode';

const SCHEME = 'espalier-report';
const texts = new Map<string, string>();
const changed = new vscode.EventEmitter<vscode.Uri>();

export function registerReports(): vscode.Disposable {
  return vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
    onDidChange: changed.event,
    provideTextDocumentContent: (uri) => texts.get(uri.path) ?? '',
  });
}

/** Shows a Markdown text, rendered where the editor's Markdown preview is there. The same name replaces what it showed. */
export async function openReport(name: string, text: string): Promise<vscode.Uri> {
  const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${name}` });
  texts.set(uri.path, text);
  changed.fire(uri);
  try {
    await vscode.commands.executeCommand('markdown.showPreview', uri);
  } catch {
    await vscode.window.showTextDocument(uri, { preview: true });
  }
  return uri;
}

/** The text of a report that was opened. */
export function reportText(name: string): string | undefined {
  return texts.get(`/${name}`);
}
