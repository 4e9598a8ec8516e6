/** Every command and what it takes. A test compares this list with the manifest; `registerCommands` demands a handler for each. */
import type { Uri } from 'vscode';
import type { DefinitionReference } from './lenses/definition-scan';

/** A run by its folder; tree items of the runs view have the same shape. */
export interface RunTarget {
  readonly folder: string;
}

/** A model definition in a source file, as its code lenses name it. */
export interface DefinitionTarget extends DefinitionReference {
  readonly file: string;
}

/** What commands on models start from: a file (menus pass its URI) or a definition in source code (lenses pass it). */
export type ModelTarget = Uri | DefinitionTarget;

/** Arguments come from menus, lenses and key bindings: every one may be absent. */
export interface CommandArguments {
  'espalier.compressModel': [target?: ModelTarget];
  'espalier.analyzeSensitivity': [target?: ModelTarget];
  'espalier.refreshSensitivity': [];
  'espalier.openSensitivityReport': [modelPath?: string, configFile?: string];
  'espalier.openModelGraph': [target?: ModelTarget];
  'espalier.newConfig': [target?: ModelTarget];
  'espalier.runConfig': [config?: Uri];
  'espalier.rescoreLastRun': [config?: Uri, stage?: 'prune' | 'quantize'];
  'espalier.previewReward': [config?: Uri, stage?: 'prune' | 'quantize'];
  'espalier.openRun': [run?: RunTarget];
  'espalier.pauseRun': [run?: RunTarget];
  'espalier.stopRun': [run?: RunTarget];
  'espalier.resumeRun': [run?: RunTarget];
  'espalier.openReport': [run?: RunTarget];
  'espalier.revealRun': [run?: RunTarget];
  'espalier.deleteRun': [run?: RunTarget];
  'espalier.refreshRuns': [];
  'espalier.compareRuns': [run?: RunTarget, others?: readonly RunTarget[]];
  'espalier.exportModel': [run?: RunTarget, candidate?: string, to?: string];
  'espalier.compressDemo': [];
  'espalier.selectInterpreter': [];
  'espalier.openWalkthrough': [];
  'espalier.showLog': [];
  'espalier.copyDiagnostics': [];
}

export type CommandId = keyof CommandArguments;

/** A handler's absence is a compile error, so nothing that is declared stays unregistered. */
export type CommandHandlers = { readonly [Id in CommandId]: (...args: CommandArguments[Id]) => unknown };
