/** Problems of config files at their exact places, as they are written; a quick fix where a better name is known. */
import * as vscode from 'vscode';
import { configLanguage } from '../load-config-language';
import { CONFIG_SELECTOR, isConfig, rangeOf } from './config-documents';

const TYPING_PAUSE_MILLISECONDS = 150;

export class ConfigDiagnostics implements vscode.CodeActionProvider {
  private readonly collection = vscode.languages.createDiagnosticCollection('espalier');
  private readonly timers = new Map<string, NodeJS.Timeout>();
  /** What to write instead, by the diagnostic's own object. */
  private readonly suggestions = new WeakMap<vscode.Diagnostic, string>();

  register(): vscode.Disposable {
    for (const document of vscode.workspace.textDocuments) this.check(document);
    return vscode.Disposable.from(
      this.collection,
      vscode.workspace.onDidOpenTextDocument((document) => this.check(document)),
      vscode.workspace.onDidChangeTextDocument(({ document }) => this.check(document, TYPING_PAUSE_MILLISECONDS)),
      vscode.workspace.onDidCloseTextDocument(({ uri }) => {
        clearTimeout(this.timers.get(uri.toString()));
        this.timers.delete(uri.toString());
        this.collection.delete(uri);
      }),
      vscode.languages.registerCodeActionsProvider(CONFIG_SELECTOR, this, { providedCodeActionKinds: [vscode.CodeActionKind.QuickFix] }),
    );
  }

  provideCodeActions(document: vscode.TextDocument, _range: vscode.Range, context: vscode.CodeActionContext): vscode.CodeAction[] {
    const own = this.collection.get(document.uri) ?? [];
    return context.diagnostics.flatMap((shown) => {
      // The editor hands out copies: the original is found by what it says and where.
      const diagnostic = own.find((d) => d.message === shown.message && d.range.isEqual(shown.range));
      const suggestion = diagnostic && this.suggestions.get(diagnostic);
      if (!diagnostic || suggestion === undefined) return [];
      const action = new vscode.CodeAction(vscode.l10n.t("Change to '{0}'", suggestion), vscode.CodeActionKind.QuickFix);
      action.diagnostics = [shown];
      action.isPreferred = true;
      action.edit = new vscode.WorkspaceEdit();
      action.edit.replace(document.uri, diagnostic.range, suggestion);
      return [action];
    });
  }

  private check(document: vscode.TextDocument, pause = 0): void {
    if (!isConfig(document)) return;
    const key = document.uri.toString();
    clearTimeout(this.timers.get(key));
    this.timers.set(
      key,
      setTimeout(() => {
        this.timers.delete(key);
        this.show(document);
      }, pause),
    );
  }

  private show(document: vscode.TextDocument): void {
    const { parseConfigText } = configLanguage();
    if (document.isClosed) return;
    const { problems } = parseConfigText(document.getText());
    this.collection.set(
      document.uri,
      problems.map((problem) => {
        const severity = problem.severity === 'error' ? vscode.DiagnosticSeverity.Error : vscode.DiagnosticSeverity.Warning;
        const diagnostic = new vscode.Diagnostic(
          rangeOf(document, problem.offset, problem.offset + problem.length),
          problem.message,
          severity,
        );
        diagnostic.source = 'espalier';
        if (problem.suggestion !== undefined) this.suggestions.set(diagnostic, problem.suggestion);
        return diagnostic;
      }),
    );
  }
}
