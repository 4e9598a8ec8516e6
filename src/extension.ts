/** Table of contents of the extension: what it is made of, and who serves which command. Nothing heavy is loaded before it is needed. */
import { join } from 'node:path';
import * as vscode from 'vscode';
import { registerCommands } from './host/commands';
import { Definitions } from './host/definitions';
import { commandHandlers } from './host/handlers';
import { LayersView } from './host/layers/layers-view';
import { DefinitionLenses } from './host/lenses/definition-lenses';
import { Panels } from './host/panel/panels';
import { ConfigDiagnostics } from './host/reward/config-diagnostics';
import { ConfigLenses } from './host/reward/config-lenses';
import { registerFormulaLanguage } from './host/reward/formula-language';
import { announceRunEnds, offerResume } from './host/runs/run-notices';
import { RunStore } from './host/runs/run-store';
import { RunsView } from './host/runs/runs-view';
import { showRunInStatusBar } from './host/runs/status-bar';
import { SensitivityHints } from './host/sensitivity/sensitivity-hints';
import { SensitivityStore } from './host/sensitivity/sensitivity-store';
import { onSettingChanged, setting } from './host/settings';
import { CompressTasks, TASK_TYPE } from './host/tasks/task-provider';
import { registerReports, reportText } from './host/text-documents';
import { WorkerClient } from './host/worker-client';

/** What other extensions, and our own tests, may use. */
export interface EspalierApi {
  readonly runs: RunStore;
  readonly worker: WorkerClient;
  readonly panels: Panels;
  /** How long `activate` took, in milliseconds: by the clock, and of the processor, which a busy machine does not lengthen. */
  readonly activation: { readonly elapsed: number; readonly processor: number };
  /** Markdown of a report that a command opened. */
  reportText(name: string): string | undefined;
}

let worker: WorkerClient | undefined;

export function activate(context: vscode.ExtensionContext): EspalierApi {
  const start = performance.now();
  const processor = process.cpuUsage();
  const log = vscode.window.createOutputChannel('Espalier', { log: true });
  const { version } = context.extension.packageJSON as { version: string };
  const inExtension = (...path: string[]): string => join(context.extensionPath, ...path);
  worker = new WorkerClient({
    module: process.env['ESPALIER_WORKER'] ?? inExtension('dist', 'worker.js'),
    version,
    log,
    dataFolder: () => setting('dataFolder').trim() || undefined,
  });
  const runs = new RunStore(worker, context.workspaceState);
  const sensitivities = new SensitivityStore(worker, context.workspaceState);
  const definitions = new Definitions();
  const panels = new Panels({ extensionUri: context.extensionUri, worker, runs, sensitivities, log });
  const services = {
    context,
    version,
    log,
    worker,
    runs,
    sensitivities,
    definitions,
    panels,
    script: inExtension('media', 'python', 'export_model.py'),
    commandLine: inExtension('dist', 'cli.js'),
  };

  context.subscriptions.push(
    log,
    runs,
    sensitivities,
    definitions,
    registerCommands(commandHandlers(services), log),
    registerReports(),
    vscode.window.registerTreeDataProvider('espalier.runs', new RunsView(runs, log)),
    panels.register(),
    new LayersView().register(panels),
    showRunInStatusBar(runs),
    announceRunEnds(runs),
    new DefinitionLenses(definitions, runs).register(),
    new SensitivityHints(definitions, sensitivities, log).register(),
    new ConfigDiagnostics().register(),
    new ConfigLenses(runs).register(),
    registerFormulaLanguage(runs),
    vscode.tasks.registerTaskProvider(TASK_TYPE, new CompressTasks(services.commandLine)),
    onSettingChanged('dataFolder', () => worker?.dataFolderChanged()),
    // What the worker may do depends on trust: it learns of it by starting anew.
    vscode.workspace.onDidGrantWorkspaceTrust(() => void worker?.stop()),
  );
  void offerResume(runs, log);
  const { user, system } = process.cpuUsage(processor);
  return { runs, worker, panels, activation: { elapsed: performance.now() - start, processor: (user + system) / 1000 }, reportText };
}

/** The window closes: runs are stopped cleanly, so that nothing is lost and the next start can resume them. */
export async function deactivate(): Promise<void> {
  await worker?.stop();
}
