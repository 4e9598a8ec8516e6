/** The extension's settings, typed: a name that the manifest lacks fails the manifest test. */
import * as vscode from 'vscode';
import type { SettingName, Settings } from './setting-names';

export function setting<Name extends SettingName>(name: Name, scope?: vscode.ConfigurationScope): Settings[Name] {
  return vscode.workspace.getConfiguration('espalier', scope).get(name) as Settings[Name];
}

export function onSettingChanged(name: SettingName, listener: () => void): vscode.Disposable {
  return vscode.workspace.onDidChangeConfiguration((event) => {
    if (event.affectsConfiguration(`espalier.${name}`)) listener();
  });
}
