/**
 * One open panel: what it shows, and what its web view asks for. The worker's snapshots are the truth; the view keeps only where a person looks.
 * Every message from the view is checked, and every request is answered, also where it fails.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import * as vscode from 'vscode';
import type { LayerGraph } from '../../protocol/layer-graph';
import type { HostToPanel, PanelToHost, ViewState } from '../../protocol/panel-messages';
import { panelPage } from '../../protocol/panel-page';
import type { RunSnapshot } from '../../protocol/run-summary';
import { modelOf, writeConfig } from '../compress/compress-flow';
import { configLanguage } from '../load-config-language';
import { isCancellation, problemText, userProblem } from '../problems';
import type { RunStore } from '../runs/run-store';
import type { SensitivityStore } from '../sensitivity/sensitivity-store';
import type { WorkerClient } from '../worker-client';
import { diskPath, findConfigs, requireTrust } from '../workspace-files';
import { preferredConfig } from './model-config';

export interface PanelTarget {
  readonly runFolder?: string;
  readonly modelPath?: string;
  /** Config that overrides are written to. */
  readonly configFile?: string;
}

export interface PanelServices {
  readonly extensionUri: vscode.Uri;
  readonly worker: WorkerClient;
  readonly runs: RunStore;
  readonly sensitivities: SensitivityStore;
  readonly log: vscode.LogOutputChannel;
}

const VIEW_FOLDERS = ['dist', 'webview'] as const;

export class PanelSession implements vscode.Disposable {
  private readonly subscriptions: vscode.Disposable[] = [];
  private readonly changed = new vscode.EventEmitter<void>();
  private graph: LayerGraph | null = null;
  private run: RunSnapshot | null = null;
  private configFile?: string;
  private watcher?: vscode.Disposable;
  private viewState?: ViewState;
  private disposed = false;
  /** When the graph or the run has changed. */
  readonly onDidChange = this.changed.event;

  constructor(
    readonly panel: vscode.WebviewPanel,
    private target: PanelTarget,
    private readonly services: PanelServices,
  ) {
    const { webview } = panel;
    webview.options = { enableScripts: true, localResourceRoots: [vscode.Uri.joinPath(services.extensionUri, ...VIEW_FOLDERS)] };
    this.subscriptions.push(
      this.changed,
      webview.onDidReceiveMessage((data: unknown) => void this.receive(data)),
      services.runs.onDidChange((snapshot) => {
        if (snapshot && snapshot.summary.folder === this.target.runFolder) this.showRun(snapshot);
      }),
      services.sensitivities.onDidChange((sensitivity) => {
        if (sensitivity.modelPath === this.modelPath) this.post({ type: 'sensitivity', sensitivity });
      }),
      services.worker.onDidExit(({ reason }) => this.post({ type: 'status', health: 'error', quiescent: true, message: reason })),
      vscode.workspace.onDidGrantWorkspaceTrust(() => void this.load()),
      vscode.workspace.onDidSaveTextDocument(({ uri }) => {
        if (uri.fsPath === this.configFile) void this.postOverrides();
      }),
    );
    this.fill();
  }

  get layerGraph(): LayerGraph | null {
    return this.graph;
  }

  get snapshot(): RunSnapshot | null {
    return this.run;
  }

  get modelPath(): string | undefined {
    return this.target.modelPath ?? this.run?.summary.modelPath;
  }

  get runFolder(): string | undefined {
    return this.target.runFolder;
  }

  /** Shows another run or model in the same view. */
  async retarget(target: PanelTarget): Promise<void> {
    this.target = target;
    this.graph = null;
    this.run = null;
    this.configFile = undefined;
    await this.load();
  }

  /** Brings a layer into view. */
  selectNode(node: string): void {
    this.post({ type: 'selectNode', node });
  }

  dispose(): void {
    this.disposed = true;
    this.watcher?.dispose();
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private fill(): void {
    const { webview } = this.panel;
    const address = (name: string): string =>
      webview.asWebviewUri(vscode.Uri.joinPath(this.services.extensionUri, ...VIEW_FOLDERS, name)).toString();
    webview.html = panelPage({
      script: address('panel.js'),
      style: address('panel.css'),
      source: webview.cspSource,
      nonce: randomBytes(16).toString('hex'),
      // The texts are English wherever there is no bundle for the display language.
      language: vscode.l10n.bundle ? vscode.env.language : 'en',
      ...(vscode.l10n.bundle ? { translations: vscode.l10n.bundle } : {}),
    });
  }

  private async receive(data: unknown): Promise<void> {
    const { panelToHostSchema, readMessage } = configLanguage();
    const reading = readMessage(panelToHostSchema, data);
    if ('problem' in reading) {
      this.services.log.warn(`the panel sent something that is no message (${reading.problem})`);
      return;
    }
    const { message } = reading;
    try {
      await this.handle(message);
      if ('id' in message) this.post({ type: 'response', id: message.id });
    } catch (error) {
      const cancelled = isCancellation(error);
      if (!cancelled) this.services.log.warn(problemText(error));
      if ('id' in message && cancelled) this.post({ type: 'response', id: message.id, cancelled });
      else if ('id' in message) {
        const known = userProblem(error);
        this.post({
          type: 'response',
          id: message.id,
          error: { message: known?.message ?? problemText(error), ...(known?.hint === undefined ? {} : { hint: known.hint }) },
        });
      }
    }
  }

  private async handle(message: PanelToHost): Promise<void> {
    const { runs, sensitivities, log } = this.services;
    switch (message.type) {
      case 'ready':
        this.adopt(message.state);
        return this.load();
      case 'stateChanged':
        this.viewState = message.state;
        return;
      case 'pauseRun':
        await runs.pause(message.folder);
        return;
      case 'stopRun':
        await runs.stop(message.folder);
        return;
      case 'resumeRun':
        await runs.resume(message.folder);
        return;
      case 'exportCandidate':
        // Commands show their own errors and say nothing of them.
        if ((await vscode.commands.executeCommand('espalier.exportModel', { folder: message.folder }, message.candidate)) === undefined)
          throw new vscode.CancellationError();
        return;
      case 'requestSensitivity': {
        const modelPath = this.modelPath;
        if (modelPath === undefined) return;
        const status = (text: string): void => this.post({ type: 'status', health: 'ok', quiescent: false, message: text });
        try {
          const sensitivity = await sensitivities.scan(
            {
              modelPath,
              ...(this.configFile === undefined ? {} : { configPath: this.configFile }),
              ...(message.groups.length > 0 ? { groups: message.groups } : {}),
              ...(message.layers.length > 0 ? { layers: message.layers } : {}),
            },
            (progress) => status(progress.message),
          );
          this.post({ type: 'sensitivity', sensitivity });
        } finally {
          this.post({ type: 'status', health: 'ok', quiescent: true, message: '' });
        }
        return;
      }
      case 'stopSensitivity':
        if (this.modelPath !== undefined) sensitivities.stop(this.modelPath);
        return;
      case 'openSensitivityReport':
        if (this.modelPath !== undefined)
          await vscode.commands.executeCommand('espalier.openSensitivityReport', this.modelPath, this.configFile);
        return;
      case 'compressModel':
        if (this.modelPath !== undefined) await vscode.commands.executeCommand('espalier.compressModel', vscode.Uri.file(this.modelPath));
        return;
      case 'setOverride':
        return this.writeOverride(message.name, message.override);
      case 'openSource': {
        const document = await vscode.workspace.openTextDocument(this.sourceUri(message.file));
        const line = Math.min(message.line, document.lineCount) - 1;
        await vscode.window.showTextDocument(document, { selection: document.lineAt(line).range, viewColumn: vscode.ViewColumn.One });
        return;
      }
      case 'openConfig':
        if (this.configFile !== undefined)
          await vscode.window.showTextDocument(vscode.Uri.file(this.configFile), { viewColumn: vscode.ViewColumn.One });
        return;
      case 'showLog':
        return log.show();
      case 'copyText':
        return vscode.env.clipboard.writeText(message.text);
      case 'viewError':
        log.error(`panel: ${message.message}${message.stack === undefined ? '' : `\n${message.stack}`}`);
        return;
    }
  }

  /** After a restart of the window only the view still knows what it showed. */
  private adopt(state: ViewState | undefined): void {
    this.viewState = state ?? this.viewState;
    if (this.target.runFolder !== undefined || this.target.modelPath !== undefined || !state) return;
    this.target = {
      ...(state.runFolder === undefined ? {} : { runFolder: state.runFolder }),
      ...(state.modelPath === undefined ? {} : { modelPath: state.modelPath }),
    };
  }

  /** Reads everything anew and shows it at once; what cannot be read is said and left out. */
  private async load(): Promise<void> {
    const { worker, runs, sensitivities } = this.services;
    const problems: string[] = [];
    const orNull = <T>(reading: Promise<T>): Promise<T | null> =>
      reading.catch((error: unknown) => {
        problems.push(problemText(error));
        return null;
      });
    const { runFolder } = this.target;
    if (runFolder !== undefined) this.run = await orNull(runs.snapshot(runFolder));
    const modelPath = this.modelPath;
    if (modelPath !== undefined) this.graph = await orNull(worker.request('inspectModel', { path: modelPath, layout: true }));
    this.configFile =
      this.target.configFile ?? this.run?.summary.configPath ?? (modelPath === undefined ? undefined : await configOf(modelPath));
    if (this.configFile !== undefined && !existsSync(this.configFile)) this.configFile = undefined;
    const cached =
      modelPath === undefined
        ? null
        : await orNull(sensitivities.cached(modelPath, this.configFile).then((known) => known?.sensitivity ?? null));
    if (this.disposed) return;
    this.panel.title = this.run?.summary.name ?? (modelPath === undefined ? 'Espalier' : basename(modelPath));
    const trusted = vscode.workspace.isTrusted;
    this.post({
      type: 'show',
      graph: this.graph,
      run: this.run,
      sensitivity: cached,
      overrides: await this.overrides(),
      ...(this.configFile === undefined ? {} : { configName: basename(this.configFile) }),
      state: this.viewState ?? null,
      trusted,
      ...(trusted ? {} : { limited: vscode.l10n.t('This workspace is not trusted: models can be viewed, but nothing is run.') }),
    });
    if (problems.length > 0) this.post({ type: 'status', health: 'error', quiescent: true, message: problems.join(' ') });
    this.watchModel();
    this.changed.fire();
  }

  private showRun(snapshot: RunSnapshot): void {
    this.run = snapshot;
    this.post({ type: 'run', run: snapshot });
    this.changed.fire();
  }

  /** The graph follows the file. */
  private watchModel(): void {
    this.watcher?.dispose();
    const modelPath = this.modelPath;
    if (modelPath === undefined) return;
    const uri = vscode.Uri.file(modelPath);
    const watcher = vscode.workspace.createFileSystemWatcher(
      new vscode.RelativePattern(vscode.Uri.joinPath(uri, '..'), basename(modelPath)),
    );
    watcher.onDidChange(() => void this.load());
    this.watcher = watcher;
  }

  private async overrides(): Promise<Record<string, { skip?: boolean; ratio?: number; bits?: number }>> {
    if (this.configFile === undefined) return {};
    const { readOverrides } = configLanguage();
    return readOverrides((await vscode.workspace.openTextDocument(this.configFile)).getText());
  }

  private async postOverrides(): Promise<void> {
    this.post({ type: 'overrides', overrides: await this.overrides() });
  }

  /** Writes to the config of the model, which is made where there is none. Unsaved text of the person's is kept: the edit goes through the editor. */
  private async writeOverride(name: string, override: { skip?: boolean; ratio?: number; bits?: number } | null): Promise<void> {
    requireTrust(vscode.l10n.t('Changing a config'));
    const modelPath = this.modelPath;
    if (this.configFile === undefined) {
      if (modelPath === undefined) return;
      const { folder, name: modelName } = modelOf(modelPath);
      const configFile = vscode.Uri.joinPath(vscode.Uri.file(folder), `${modelName}.espalier.json`).fsPath;
      await writeConfig({ configFile, text: `${JSON.stringify({ model: basename(modelPath) }, null, 2)}\n` });
      this.configFile = configFile;
    }
    const document = await vscode.workspace.openTextDocument(this.configFile);
    const { withOverride } = configLanguage();
    const edit = new vscode.WorkspaceEdit();
    const text = document.getText();
    edit.replace(
      document.uri,
      new vscode.Range(document.positionAt(0), document.positionAt(text.length)),
      withOverride(text, name, override),
    );
    await vscode.workspace.applyEdit(edit);
    await document.save();
    await this.postOverrides();
  }

  /** A source file as the exporter wrote it down: as it is, else in the workspace by its end. */
  private sourceUri(file: string): vscode.Uri {
    if (existsSync(file)) return vscode.Uri.file(file);
    const folders = vscode.workspace.workspaceFolders ?? [];
    const found = folders.map((folder) => vscode.Uri.joinPath(folder.uri, file)).find((uri) => existsSync(uri.fsPath));
    return found ?? vscode.Uri.file(file);
  }

  private post(message: HostToPanel): void {
    if (!this.disposed) void this.panel.webview.postMessage(message);
  }
}

/** The config of a model that is shown without a run of a config: of those that name the model, the one named after it, else the first. */
async function configOf(modelPath: string): Promise<string | undefined> {
  const { parseJson } = configLanguage();
  const naming: string[] = [];
  for (const uri of await findConfigs()) {
    const file = diskPath(uri);
    const text = new TextDecoder().decode(await vscode.workspace.fs.readFile(uri));
    const { model } = (parseJson(text) ?? {}) as { model?: unknown };
    if (typeof model === 'string' && resolve(dirname(file), model) === modelPath) naming.push(file);
  }
  return preferredConfig(naming, modelOf(modelPath).name);
}
