/** Sensitivity of the models looked at in this window: measured by the worker, cached there by content, kept here for hints and panels. */
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
  readonly sensitivity?: Sensitivity;
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

  /** What is known of a model that was analyzed before: from here, else from the worker's cache. Undefined where it never was. */
  async cached(modelPath: string, configPath: string | undefined): Promise<Required<Known> | undefined> {
    if (!this.memory.get<string[]>(ANALYZED_KEY, []).includes(modelPath)) return undefined;
    const known = this.known.get(modelPath);
    if (known?.sensitivity) return { graph: known.graph, sensitivity: known.sensitivity };
    const graph = known?.graph ?? (await this.worker.request('inspectModel', { path: modelPath }));
    this.known.set(modelPath, { graph });
    const sensitivity = await this.worker.request('sensitivity', {
      modelPath,
      cachedOnly: true,
      ...(configPath === undefined ? {} : { configPath }),
    });
    if (sensitivity.done === 0) return undefined;
    this.known.set(modelPath, { graph, sensitivity });
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
      const graph = await this.worker.request('inspectModel', { path: modelPath }, source.token);
      this.known.set(modelPath, {
        graph,
        ...(this.known.get(modelPath)?.graph.sha256 === graph.sha256 ? { sensitivity: this.of(modelPath) } : {}),
      } as Known);
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
    if (known) this.known.set(sensitivity.modelPath, { ...known, sensitivity });
    this.changed.fire(sensitivity);
  }

  private async rememberAnalyzed(modelPath: string): Promise<void> {
    const analyzed = this.memory.get<string[]>(ANALYZED_KEY, []);
    if (!analyzed.includes(modelPath)) await this.memory.update(ANALYZED_KEY, [...analyzed, modelPath].slice(-100));
  }
}
