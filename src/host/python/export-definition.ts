/**
 * From a definition in source code to a model file. What is asked — constructor arguments, input shape, weights — is asked once and kept in the config;
 * the file is written again where the source or the config is newer than it.
 */
import { existsSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import * as vscode from 'vscode';
import type { DefinitionTarget } from '../command-ids';
import type { ChosenModel } from '../compress/compress-flow';
import { askText, runSteps } from '../compress/quick-steps';
import type { DefinedModel, Definitions } from '../definitions';
import { HostProblem } from '../problems';
import type { WorkerClient } from '../worker-client';
import { pathFrom, requireTrust } from '../workspace-files';
import { readShape } from './export-answer';
import { exportPython } from './export-python';

type DefinitionSettings = Pick<DefinedModel['definition'], 'file' | 'name' | 'arguments' | 'inputShape' | 'weights'>;

export interface DefinitionServices {
  readonly definitions: Definitions;
  readonly worker: WorkerClient;
  readonly log: vscode.LogOutputChannel;
  /** media/python/export_model.py of the installed extension. */
  readonly script: string;
}

export interface DefinedChoice extends ChosenModel {
  readonly definition: DefinitionSettings;
}

/** The model of a definition, exported anew where it is out of date; undefined where the person left. */
export async function modelOfDefinition(target: DefinitionTarget, services: DefinitionServices): Promise<DefinedChoice | undefined> {
  requireTrust(vscode.l10n.t('Exporting a model from its source code'));
  const known = await services.definitions.find(target);
  const folder = known ? dirname(known.configFile) : dirname(target.file);
  const definition = known?.definition ?? (await askDefinition(target, folder));
  if (!definition) return undefined;
  const path = known?.modelPath ?? join(folder, '.espalier', 'models', `${target.name}.onnx`);
  const sources = [
    target.file,
    ...(known ? [known.configFile] : []),
    ...(definition.weights === undefined ? [] : [resolve(folder, definition.weights)]),
  ];
  if (!(await isNewer(path, sources)))
    await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Notification, title: vscode.l10n.t('Exporting {0} to ONNX', target.name), cancellable: true },
      (_progress, token) => exportTo(path, target, definition, folder, services, token),
    );
  return { path, folder, name: target.name, definition, ...(known ? { configFile: known.configFile } : {}) };
}

async function exportTo(
  path: string,
  target: DefinitionTarget,
  definition: DefinitionSettings,
  folder: string,
  services: DefinitionServices,
  token: vscode.CancellationToken,
): Promise<void> {
  if (target.kind === 'tfjs-sequential' || target.kind === 'tfjs-model') {
    await services.worker.request(
      'importDefinition',
      { file: target.file, name: target.name, arguments: definition.arguments, to: path },
      token,
    );
    return;
  }
  await exportPython(
    {
      file: target.file,
      name: target.name,
      kind: target.kind,
      arguments: definition.arguments,
      ...(definition.inputShape ? { inputShape: definition.inputShape } : {}),
      ...(definition.weights === undefined ? {} : { weights: resolve(folder, definition.weights) }),
      to: path,
    },
    services.script,
    services.log,
    token,
  );
  if (!existsSync(path))
    throw new HostProblem(vscode.l10n.t('The export of {0} wrote no file.', target.name), vscode.l10n.t('The log has what it printed.'));
}

/** Exports lie in a folder of ours, which version control ignores. */
export async function ignoreOwnFolder(folder: string): Promise<void> {
  const file = join(folder, '.espalier', '.gitignore');
  if (existsSync(join(folder, '.espalier')) && !existsSync(file)) await writeFile(file, '*\n');
}

async function askDefinition(target: DefinitionTarget, folder: string): Promise<DefinitionSettings | undefined> {
  const start: DefinitionSettings = { file: pathFrom(folder, target.file), name: target.name, arguments: '' };
  const isClass = target.kind === 'torch-module' || target.kind === 'lightning-module' || target.kind === 'keras-subclass';
  // A TensorFlow.js model, and Keras' own kinds, carry their input shape.
  const needsShape = isClass;
  return runSteps<DefinitionSettings>(vscode.l10n.t('Model {0} of {1}', target.name, basename(target.file)), start, [
    async (state, place) => {
      const text = await askText(
        place,
        vscode.l10n.t("What is {0} called with? For example 'num_classes=10'; empty for nothing.", target.name),
        state.arguments,
        () => undefined,
      );
      return text === undefined || text === 'back' ? text : { ...state, arguments: text.trim() };
    },
    ...(needsShape
      ? [
          async (state: DefinitionSettings, place: Parameters<typeof askText>[0]) => {
            const text = await askText(place, vscode.l10n.t('Shape of one input with its batch'), '1, 3, 32, 32', (value) =>
              readShape(value) ? undefined : vscode.l10n.t("Whole numbers with commas, such as '1, 3, 32, 32'."),
            );
            return text === undefined || text === 'back' ? text : { ...state, inputShape: readShape(text)! };
          },
        ]
      : []),
    ...(extname(target.file) === '.py'
      ? [
          async (state: DefinitionSettings, place: Parameters<typeof askText>[0]) => {
            const text = await askText(
              place,
              vscode.l10n.t('File with trained weights, relative to {0}; empty for those of the source.', basename(folder)),
              '',
              (value) =>
                value.trim() === '' || existsSync(resolve(folder, value.trim())) ? undefined : vscode.l10n.t('There is no such file.'),
            );
            if (text === undefined || text === 'back') return text;
            return text.trim() === '' ? state : { ...state, weights: text.trim() };
          },
        ]
      : []),
  ]);
}

/** True where `path` exists and none of `sources` is newer. */
async function isNewer(path: string, sources: readonly string[]): Promise<boolean> {
  const time = (file: string): Promise<number> =>
    stat(file).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
  const [own, ...others] = await Promise.all([path, ...sources].map(time));
  return own > 0 && others.every((other) => other <= own);
}
