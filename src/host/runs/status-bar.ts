/** One status-bar item while a run is under way. */
import * as vscode from 'vscode';
import { commandLink } from '../commands';
import type { RunStore } from './run-store';
import { achievementText } from './run-text';
import { phaseText } from './status-text';

export function showRunInStatusBar(store: RunStore): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('espalier.run', vscode.StatusBarAlignment.Left, 10);
  item.name = vscode.l10n.t('Espalier run');
  const update = (): void => {
    const run = store.active.find(({ status }) => status === 'running') ?? store.active[0];
    if (!run) {
      item.hide();
      return;
    }
    const others = store.active.length - 1;
    const waiting = others > 0 ? vscode.l10n.t(', {0} queued', others) : '';
    const episodes = run.episodes > 0 ? ` ${run.episode}/${run.episodes}` : '';
    item.text = `$(sync~spin) Espalier: ${run.name}${episodes}${waiting}`;
    item.tooltip = [run.phase && phaseText(run.phase), achievementText(run)].filter((part) => part !== undefined).join(' · ');
    item.accessibilityInformation = {
      label: vscode.l10n.t('Espalier compresses {0}, episode {1} of {2}', run.name, run.episode, run.episodes),
    };
    item.command = commandLink('espalier.openRun', vscode.l10n.t('Open Run'), { folder: run.folder });
    item.show();
  };
  return vscode.Disposable.from(item, store.onDidChange(update));
}
