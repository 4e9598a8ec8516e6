/** Sensitivity of the models looked at in this window: measured by the worker, cached there by content, kept here for hints and panels. */
import { stat } from 'node:fs/promises';
import * as vscode from 'vscode';
import type { LayerGraph, Sensitivity } from '../../protocol/layer-graph';
import type { WorkerClient } from '../worker-client';
import { requireTrust } from '../workspace-files';

/** Models whose sensitivity was asked for: only for these is the worker asked when a file is opened. */
const ANALYZED_KEY = 'espalier.analyzedModels';

export interface ScanRequest {
  readonly modelPath: string;
  readonly configPath?: string;
  readonly groups?: readonly string[];
  readonly layers?: readonly string[];
  readonly refresh?: boolean;
}

interface Known {
  readonly graph: LayerGraph;
  /** Of the same content as the graph. */
  readonly sensitivity?: Sensitivity;
  /** The file's state when the graph was read. */
  readonly stamp: string | undefined;
}

export class SensitivityStore implements vscode.Disposable {
  private readonly known = new Map<string, Known>();
  private readonly scans = new Map<string, vscode.CancellationTokenSource>();
  private readonly changed = new vscode.EventEmitter<Sensitivity>();
  private readonly subscription: vscode.Disposable;
  readonly onDidChange = this.changed.event;

  constructor(
    private readonly worker: WorkerClient,
    private readonly memory: vscode.Memento,
  ) {
    this.subscription = worker.onSensitivityChanged((sensitivity) => this.take(sensitivity));
  }

  /** What is known of a model that was analyzed before, as its file is now: from here, else from the worker's cache. Undefined where it never was. */
  async cached(
    modelPath: string,
    configPath: string | undefined,
  ): Promise<{ readonly graph: LayerGraph; readonly sensitivity: Sensitivity } | undefined> {
    if (!this.memory.get<string[]>(ANALYZED_KEY, []).includes(modelPath)) return undefined;
    const stamp = await fileStamp(modelPath);
    const remembered = this.known.get(modelPath);
    // Hints ask with every change of a text: a file that nobody has written since is not read again.
    const known = remembered && stamp !== undefined && remembered.stamp === stamp ? remembered : await this.inspect(modelPath);
    const { graph } = known;
    if (known.sensitivity) return { graph, sensitivity: known.sensitivity };
    const sensitivity = await this.worker.request('sensitivity', {
      modelPath,
      cachedOnly: true,
      ...(configPath === undefined ? {} : { configPath }),
    });
    if (sensitivity.done === 0 || sensitivity.sha256 !== graph.sha256) return undefined;
    this.known.set(modelPath, { ...known, sensitivity });
    return { graph, sensitivity };
  }

  /** What is known without asking anybody. */
  of(modelPath: string): Sensitivity | undefined {
    return this.known.get(modelPath)?.sensitivity;
  }

  /** Measures; points arrive through onDidChange while it works. A second scan of the same model ends the first. */
  async scan(
    request: ScanRequest,
    report: (progress: { message: string; fraction?: number }) => void,
    token?: vscode.CancellationToken,
  ): Promise<Sensitivity> {
    requireTrust(vscode.l10n.t('Measuring sensitivity'));
    const { modelPath } = request;
    this.scans.get(modelPath)?.cancel();
    const source = new vscode.CancellationTokenSource();
    token?.onCancellationRequested(() => source.cancel());
    this.scans.set(modelPath, source);
    try {
      await this.inspect(modelPath, source.token);
      await this.rememberAnalyzed(modelPath);
      const sensitivity = await this.worker.withProgress(report, (progressToken) =>
        this.worker.request('sensitivity', { ...request, progressToken }, source.token),
      );
      this.take(sensitivity);
      return sensitivity;
    } finally {
      if (this.scans.get(modelPath) === source) this.scans.delete(modelPath);
      source.dispose();
    }
  }

  /** Ends the scan of a model; what was measured stays. */
  stop(modelPath: string): void {
    this.scans.get(modelPath)?.cancel();
  }

  dispose(): void {
    this.subscription.dispose();
    this.changed.dispose();
  }

  private take(sensitivity: Sensitivity): void {
    const known = this.known.get(sensitivity.modelPath);
    // A scan goes on with the content that it began with: once the file is another, its points are not the model's.
    if (known && known.graph.sha256 !== sensitivity.sha256) return;
    if (known) this.known.set(sensitivity.modelPath, { ...known, sensitivity });
    this.changed.fire(sensitivity);
  }

  /** Reads the model as its file is now; what was measured of another content is forgotten. */
  private async inspect(modelPath: string, token?: vscode.CancellationToken): Promise<Known> {
    const stamp = await fileStamp(modelPath);
    const graph = await this.worker.request('inspectModel', { path: modelPath }, token);
    const sensitivity = this.of(modelPath);
    const known: Known = { graph, stamp, ...(sensitivity?.sha256 === graph.sha256 ? { sensitivity } : {}) };
    this.known.set(modelPath, known);
    return known;
  }

  private async rememberAnalyzed(modelPath: string): Promise<void> {
    const analyzed = this.memory.get<string[]>(ANALYZED_KEY, []);
    if (!analyzed.includes(modelPath)) await this.memory.update(ANALYZED_KEY, [...analyzed, modelPath].slice(-100));
  }
}

/** Another one after every writing of the file; undefined for a folder, which does not tell of what is written in it. */
async function fileStamp(path: string): Promise<string | undefined> {
  return stat(path).then(
    (state) => (state.isFile() ? `${state.mtimeMs} ${state.size}` : undefined),
    () => undefined,
  );
}
