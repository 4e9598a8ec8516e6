/** What each command does, in a few lines over the parts that do it. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import * as vscode from 'vscode';
import type { StartRunResult } from '../protocol/worker-messages';
import type { CommandHandlers, DefinitionTarget, ModelTarget, RunTarget } from './command-ids';
import { configText } from './compress/choices';
import { askCompression, bareConfig, type ChosenModel, freeConfigFile, modelOf, pickModel, writeConfig } from './compress/compress-flow';
import type { Definitions } from './definitions';
import { runDemo } from './demo';
import { copyDiagnostics } from './diagnostics/copy-diagnostics';
import { exportModel } from './export/export-flow';
import { configLanguage } from './load-config-language';
import type { Panels } from './panel/panels';
import { HostProblem } from './problems';
import { ignoreOwnFolder, modelOfDefinition } from './python/export-definition';
import { previewReward, rescoreLastRun } from './reward/rescore-command';
import { compareRuns } from './runs/compare-runs';
import { pickRun, pickRuns } from './runs/pick-run';
import { isActive } from './runs/run-order';
import type { RunStore } from './runs/run-store';
import type { SensitivityStore } from './sensitivity/sensitivity-store';
import { setting } from './settings';
import { openReport } from './text-documents';
import type { WorkerClient } from './worker-client';
import { diskPath, findConfigs, requireTrust, shownPath } from './workspace-files';

export interface Services {
  readonly context: vscode.ExtensionContext;
  readonly version: string;
  readonly log: vscode.LogOutputChannel;
  readonly worker: WorkerClient;
  readonly runs: RunStore;
  readonly sensitivities: SensitivityStore;
  readonly definitions: Definitions;
  readonly panels: Panels;
  /** media/python/export_model.py. */
  readonly script: string;
  /** dist/cli.js. */
  readonly commandLine: string;
}

export function commandHandlers(services: Services): CommandHandlers {
  const { worker, runs, panels, log } = services;
  const runOf = async (
    target: RunTarget | undefined,
    question: string,
    suits: Parameters<typeof pickRun>[2],
  ): Promise<string | undefined> => target?.folder ?? pickRun(runs, question, suits);
  return {
    'espalier.compressModel': (target) => compressModel(target, services),
    'espalier.analyzeSensitivity': (target) => analyzeSensitivity(target, services),
    'espalier.refreshSensitivity': () => refreshSensitivity(services),
    'espalier.openSensitivityReport': (modelPath, configFile) => openSensitivityReport(modelPath, configFile, services),
    'espalier.openModelGraph': async (target) => {
      const chosen = await chooseModel(target, services);
      const model = chosen?.definition && chosen.configFile === undefined ? await rememberDefinition(chosen) : chosen;
      if (model) panels.open({ modelPath: model.path, ...(model.configFile === undefined ? {} : { configFile: model.configFile }) });
    },
    'espalier.newConfig': (target) => newConfig(target, services),
    'espalier.runConfig': async (config) => startConfig(await chooseConfig(config), services),
    'espalier.rescoreLastRun': async (config, stage) => rescoreLastRun(await chooseConfig(config), stage, runs, worker),
    'espalier.previewReward': async (config, stage) => previewReward(await chooseConfig(config), stage, runs),
    'espalier.openRun': async (target) => {
      const folder = await runOf(target, vscode.l10n.t('Open which run?'), undefined);
      if (folder !== undefined) panels.open({ runFolder: folder });
    },
    'espalier.pauseRun': async (target) => {
      const folder = await runOf(target, vscode.l10n.t('Pause which run?'), isActive);
      if (folder !== undefined)
        await afterEvaluation(vscode.l10n.t('Espalier: pausing after the evaluation in flight'), runs.pause(folder));
    },
    'espalier.stopRun': async (target) => {
      const folder = await runOf(target, vscode.l10n.t('Stop which run?'), (run) => isActive(run) || run.paused === true);
      if (folder !== undefined)
        await afterEvaluation(vscode.l10n.t('Espalier: stopping after the evaluation in flight'), runs.stop(folder));
    },
    'espalier.resumeRun': async (target) => {
      const folder = await runOf(target, vscode.l10n.t('Resume which run?'), (run) => run.resumable && !isActive(run));
      if (folder !== undefined) return report(await runs.resume(folder), basename(folder), services);
    },
    'espalier.openReport': async (target) => {
      const folder = await runOf(target, vscode.l10n.t('Report of which run?'), (run) => existsSync(join(run.folder, 'report.md')));
      if (folder === undefined) return;
      const file = join(folder, 'report.md');
      if (!existsSync(file))
        throw new HostProblem(vscode.l10n.t('{0} has no report yet.', basename(folder)), vscode.l10n.t('It is written when the run ends.'));
      await vscode.commands.executeCommand('markdown.showPreview', vscode.Uri.file(file));
    },
    'espalier.revealRun': async (target) => {
      const folder = await runOf(target, vscode.l10n.t('Show which run?'), undefined);
      if (folder !== undefined)
        await vscode.commands.executeCommand(
          vscode.env.remoteName === undefined ? 'revealFileInOS' : 'revealInExplorer',
          vscode.Uri.file(folder),
        );
    },
    'espalier.deleteRun': async (target) => {
      const folder = await runOf(target, vscode.l10n.t('Delete which run?'), (run) => !isActive(run));
      if (folder !== undefined) await deleteRun(folder, services);
    },
    'espalier.refreshRuns': () => runs.refresh(),
    'espalier.compareRuns': async (target, others) => {
      const given = [...(target ? [target] : []), ...(others ?? [])].flatMap(({ folder }) => runs.run(folder) ?? []);
      const chosen = given.length > 1 ? given : await pickRuns(runs, vscode.l10n.t('Compare which runs?'));
      if (!chosen || chosen.length === 0) return;
      const snapshots = await Promise.all(chosen.map(({ folder }) => runs.snapshot(folder)));
      await openReport('runs compared.md', compareRuns(snapshots));
    },
    'espalier.exportModel': (target, candidate, to) => exportModel(target, candidate, to, runs, worker),
    'espalier.compressDemo': () => runDemo(services),
    'espalier.selectInterpreter': async () => {
      const python = vscode.extensions.getExtension('ms-python.python');
      if (python) await vscode.commands.executeCommand('python.setInterpreter');
      else await vscode.commands.executeCommand('workbench.action.openSettings', 'espalier.python.interpreter');
    },
    'espalier.openWalkthrough': () =>
      vscode.commands.executeCommand('workbench.action.openWalkthrough', `${services.context.extension.id}#espalier.start`),
    'espalier.showLog': () => log.show(),
    'espalier.copyDiagnostics': async () => {
      const text = await copyDiagnostics(services.version, worker, runs);
      vscode.window.showInformationMessage(vscode.l10n.t('The diagnostics are in the clipboard.'));
      return text;
    },
  };
}

/** Says in the status bar what is waited for. */
const afterEvaluation = (title: string, work: Promise<unknown>): Thenable<unknown> =>
  vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title }, () => work);

function isDefinition(target: ModelTarget): target is DefinitionTarget {
  return 'kind' in target && 'file' in target;
}

/** The model of a file or a definition, the one in the active editor, or one that is picked. */
async function chooseModel(target: ModelTarget | undefined, services: Services): Promise<ChosenModel | undefined> {
  if (target && isDefinition(target)) {
    if (target.kind === 'tfjs-file') return modelOf(target.file);
    const model = await modelOfDefinition(target, services);
    if (model) await ignoreOwnFolder(model.folder);
    return model;
  }
  const uri = target ?? activeModel();
  if (uri) return modelOf(diskPath(uri));
  const path = await pickModel();
  return path === undefined ? undefined : modelOf(path);
}

/** The model that is open as an editor, if one is. */
function activeModel(): vscode.Uri | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  return input instanceof vscode.TabInputCustom && input.uri.path.endsWith('.onnx') ? input.uri : undefined;
}

async function chooseConfig(config: vscode.Uri | undefined): Promise<vscode.Uri> {
  if (config) return config;
  const active = vscode.window.activeTextEditor?.document.uri;
  if (active?.path.endsWith('.espalier.json')) return active;
  const configs = await findConfigs();
  if (configs.length === 0)
    throw new HostProblem(
      vscode.l10n.t('There is no *.espalier.json in this workspace.'),
      vscode.l10n.t('Write one with "Espalier: New Compression Config".'),
    );
  const picked =
    configs.length === 1
      ? { uri: configs[0] }
      : await vscode.window.showQuickPick(
          configs.map((uri) => ({ label: basename(uri.fsPath), description: shownPath(dirname(uri.fsPath)), uri })),
          { placeHolder: vscode.l10n.t('Which config?') },
        );
  if (!picked) throw new vscode.CancellationError();
  return picked.uri;
}

async function compressModel(target: ModelTarget | undefined, services: Services): Promise<unknown> {
  requireTrust(vscode.l10n.t('A run'));
  // A model that the palette was not told of is asked for in the same questions.
  const model = target === undefined && !activeModel() ? undefined : await chooseModel(target, services);
  if (target !== undefined && !model) return undefined;
  // A definition whose config says more than which model it is about has answered the questions already.
  if (model?.configFile !== undefined && (await bareConfig(model.configFile)) === undefined)
    return startConfig(vscode.Uri.file(model.configFile), services);
  const plan = await askCompression(model, {
    inspect: (path) => services.worker.request('inspectModel', { path }),
    methods: () => services.worker.request('listMethods', {}),
  });
  if (!plan) return undefined;
  const uri = await writeConfig(plan);
  if (plan.start) return startConfig(uri, services);
  await vscode.window.showTextDocument(uri);
  return undefined;
}

async function newConfig(target: ModelTarget | undefined, services: Services): Promise<vscode.Uri | undefined> {
  const model = await chooseModel(target, services);
  if (!model) return undefined;
  const text = configText({
    model: basename(model.path),
    ...(model.definition ? { definition: model.definition } : {}),
    data: { kind: 'named', name: 'digits' },
    goal: { flops: 0.5, maxAccuracyDrop: 0.01 },
    method: 'two-stage-ppo',
    effort: 'standard',
  });
  const uri = await writeConfig({ configFile: freeConfigFile(model), text });
  await vscode.window.showTextDocument(uri);
  return uri;
}

/** Starts a config as it stands in the editor; its problems are shown at their places. */
async function startConfig(uri: vscode.Uri, services: Services): Promise<StartRunResult | undefined> {
  const { runs } = services;
  const path = diskPath(uri);
  const document = await vscode.workspace.openTextDocument(uri);
  if (document.isDirty) await document.save();
  const { parseConfigText } = configLanguage();
  const { config, problems } = parseConfigText(document.getText());
  if (!config) {
    const { line, message } = problems[0];
    await vscode.window.showTextDocument(document, { selection: document.lineAt(line - 1).range });
    throw new HostProblem(vscode.l10n.t('{0} has a problem in line {1}: {2}', shownPath(path), line, message));
  }
  const name = basename(path).replace(/\.espalier\.json$/, '');
  return report(await runs.start({ configPath: path, folder: dirname(path) }), name, services);
}

/** Tells of a run that was queued or not started, and opens one that was. */
function report(outcome: StartRunResult, name: string, { runs, panels }: Services): StartRunResult {
  if (!outcome.started) throw new HostProblem(outcome.message, outcome.hint);
  const run = runs.run(outcome.folder);
  if (run?.status === 'queued') vscode.window.showInformationMessage(vscode.l10n.t('{0} starts when the run under way has ended.', name));
  else if (setting('panel.openOnRun')) panels.open({ runFolder: outcome.folder });
  return outcome;
}

async function analyzeSensitivity(target: ModelTarget | undefined, services: Services): Promise<unknown> {
  requireTrust(vscode.l10n.t('Measuring sensitivity'));
  let model = await chooseModel(target, services);
  if (!model) return undefined;
  if (model.definition && model.configFile === undefined) model = await rememberDefinition(model);
  const { path, configFile } = model;
  // A definition shows its figures in its own source; a bare model in the panel.
  if (!model.definition) services.panels.open({ modelPath: path, ...(configFile === undefined ? {} : { configFile }) });
  return scan({ modelPath: path, ...(configFile === undefined ? {} : { configPath: configFile }) }, services);
}

/** Lines are found through the config that names the source: a definition asked about for the first time gets one. */
async function rememberDefinition(model: ChosenModel): Promise<ChosenModel> {
  const configFile = freeConfigFile(model);
  const path = vscode.workspace.asRelativePath(model.path, false);
  await writeConfig({
    configFile,
    text: `${JSON.stringify({ model: relativeTo(model.folder, model.path) ?? path, definition: model.definition }, null, 2)}\n`,
  });
  return { ...model, configFile };
}

function relativeTo(folder: string, file: string): string | undefined {
  return file.startsWith(folder) ? file.slice(folder.length + 1).replaceAll('\\', '/') : undefined;
}

function scan(request: Parameters<SensitivityStore['scan']>[0], { sensitivities }: Services): Thenable<unknown> {
  return vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: vscode.l10n.t('Sensitivity of {0}', basename(request.modelPath)),
      cancellable: true,
    },
    (progress, token) => {
      let shown = 0;
      return sensitivities.scan(
        request,
        ({ message, fraction }) => {
          const increment = fraction === undefined ? undefined : (fraction - shown) * 100;
          shown = fraction ?? shown;
          progress.report({ message, ...(increment === undefined ? {} : { increment }) });
        },
        token,
      );
    },
  );
}

/** The model that the active source defines, else that of the active panel or editor. */
async function analyzedModel(services: Services): Promise<{ readonly modelPath: string; readonly configFile?: string }> {
  const file = vscode.window.activeTextEditor?.document.uri.fsPath;
  const [defined] = file === undefined ? [] : await services.definitions.inFile(file);
  const modelPath = defined?.modelPath ?? services.panels.active?.modelPath;
  if (modelPath === undefined)
    throw new HostProblem(vscode.l10n.t('No model is open.'), vscode.l10n.t('Open a model or the source that defines one.'));
  return { modelPath, ...(defined ? { configFile: defined.configFile } : {}) };
}

/** Measures the model of the active panel or source file again, whatever is cached. */
async function refreshSensitivity(services: Services): Promise<unknown> {
  const { modelPath, configFile } = await analyzedModel(services);
  return scan({ modelPath, refresh: true, ...(configFile === undefined ? {} : { configPath: configFile }) }, services);
}

/** The report of what was measured: of the model named, else of the active source or panel. @returns its file */
async function openSensitivityReport(modelPath: string | undefined, configFile: string | undefined, services: Services): Promise<string> {
  const { worker } = services;
  const chosen =
    modelPath === undefined ? await analyzedModel(services) : { modelPath, ...(configFile === undefined ? {} : { configFile }) };
  const { report: file } = await worker.request('sensitivityReport', {
    modelPath: chosen.modelPath,
    ...(chosen.configFile === undefined ? {} : { configPath: chosen.configFile }),
  });
  await vscode.commands.executeCommand('markdown.showPreview', vscode.Uri.file(file));
  return file;
}

async function deleteRun(folder: string, { runs }: Services): Promise<void> {
  const name = runs.run(folder)?.name ?? basename(folder);
  // Where nothing can be read of it there is nobody who works on it.
  const now = await runs.snapshot(folder).catch(() => undefined);
  if (now && (isActive(now.summary) || now.summary.elsewhere))
    throw new HostProblem(vscode.l10n.t('{0} is running.', name), vscode.l10n.t('Stop it first.'));
  const remove = vscode.l10n.t('Delete');
  const choice = await vscode.window.showWarningMessage(
    vscode.l10n.t('Delete the run of {0} with all its files?', name),
    { modal: true, detail: folder },
    remove,
  );
  if (choice !== remove) return;
  await vscode.workspace.fs.delete(vscode.Uri.file(folder), { recursive: true, useTrash: vscode.env.remoteName === undefined });
  runs.forget(folder);
}
