/** Code lenses of a config: Run above it all; Run with this reward and Re-score last run above the reward. */
import * as vscode from 'vscode';
import { commandLink } from '../commands';
import type { RunStore } from '../runs/run-store';
import { achievementText } from '../runs/run-text';
import { CONFIG_SELECTOR } from './config-documents';

export class ConfigLenses implements vscode.CodeLensProvider {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeCodeLenses = this.changed.event;

  constructor(private readonly store: RunStore) {}

  register(): vscode.Disposable {
    return vscode.Disposable.from(
      this.changed,
      vscode.languages.registerCodeLensProvider(CONFIG_SELECTOR, this),
      this.store.onDidEnd(() => this.changed.fire()),
    );
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    const { uri } = document;
    const top = document.lineAt(0).range;
    const lenses = [new vscode.CodeLens(top, commandLink('espalier.runConfig', vscode.l10n.t('$(play) Run'), uri))];
    const last = this.store.lastRun({ config: uri.fsPath });
    const achieved = last && achievementText(last);
    if (last && achieved !== undefined)
      lenses.push(
        new vscode.CodeLens(top, commandLink('espalier.openRun', vscode.l10n.t('{0} · open run', achieved), { folder: last.folder })),
      );
    const line = rewardLine(document);
    if (line !== undefined) {
      const range = document.lineAt(line).range;
      lenses.push(
        new vscode.CodeLens(range, commandLink('espalier.runConfig', vscode.l10n.t('$(play) Run with this reward'), uri)),
        new vscode.CodeLens(range, commandLink('espalier.rescoreLastRun', vscode.l10n.t('Re-score last run'), uri)),
        new vscode.CodeLens(range, commandLink('espalier.previewReward', vscode.l10n.t('Preview'), uri)),
      );
    }
    return lenses;
  }
}

function rewardLine(document: vscode.TextDocument): number | undefined {
  for (let line = 0; line < document.lineCount; line++) if (/^\s*(?:\{\s*)?"reward"\s*:/.test(document.lineAt(line).text)) return line;
  return undefined;
}
