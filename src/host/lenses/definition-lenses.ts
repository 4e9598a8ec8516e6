/** Code lenses above model definitions. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { DefinitionTarget } from '../command-ids';
import { commandLink } from '../commands';
import type { Definitions } from '../definitions';
import type { RunStore } from '../runs/run-store';
import { achievementText } from '../runs/run-text';
import { onSettingChanged, setting } from '../settings';
import { LANGUAGES, scanDefinitions } from './definition-scan';

export class DefinitionLenses implements vscode.CodeLensProvider {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeCodeLenses = this.changed.event;

  constructor(
    private readonly definitions: Definitions,
    private readonly store: RunStore,
  ) {}

  register(): vscode.Disposable {
    const refresh = (): void => this.changed.fire();
    const selector = Object.keys(LANGUAGES).map((language) =>
      language.startsWith('json') ? { language, pattern: '**/model.json' } : { language },
    );
    return vscode.Disposable.from(
      this.changed,
      vscode.languages.registerCodeLensProvider(selector, this),
      onSettingChanged('codeLens.enabled', refresh),
      this.store.onDidEnd(refresh),
      this.definitions.onDidChange(refresh),
    );
  }

  async provideCodeLenses(document: vscode.TextDocument): Promise<vscode.CodeLens[]> {
    if (!setting('codeLens.enabled', document)) return [];
    const file = document.uri.fsPath;
    const found = scanDefinitions(document.getText(), LANGUAGES[document.languageId], basename(file));
    if (found.length === 0) return [];
    // Configs are read only where there is something to find them for.
    const defined = document.uri.scheme === 'file' ? await this.definitions.inFile(file) : [];
    return found.flatMap((definition) => {
      const range = document.lineAt(definition.line).range;
      const target: DefinitionTarget = { file, kind: definition.kind, name: definition.name };
      const lenses = [
        new vscode.CodeLens(range, commandLink('espalier.compressModel', vscode.l10n.t('Compress this model'), target)),
        new vscode.CodeLens(range, commandLink('espalier.analyzeSensitivity', vscode.l10n.t('Layer sensitivity'), target)),
      ];
      const config = defined.find((model) => model.definition.name === definition.name);
      const run =
        definition.kind === 'tfjs-file'
          ? this.store.lastRun({ model: file })
          : config && this.store.lastRun({ config: config.configFile, model: config.modelPath });
      const achieved = run && achievementText(run);
      if (run && achieved !== undefined)
        lenses.push(
          new vscode.CodeLens(range, commandLink('espalier.openRun', vscode.l10n.t('{0} · open run', achieved), { folder: run.folder })),
        );
      return lenses;
    });
  }
}
