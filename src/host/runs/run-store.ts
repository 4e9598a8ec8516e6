/** The runs that the window knows: listed by the worker, changed by its snapshots, and shown as they stand. The worker works on one at a time; the others wait there. */
import { dirname } from 'node:path';
import * as vscode from 'vscode';
import type { RunSnapshot, RunSummary } from '../../protocol/run-summary';
import type { StartRunParams, StartRunResult } from '../../protocol/worker-messages';
import { HostProblem } from '../problems';
import type { WorkerClient } from '../worker-client';
import { findRunFolders, requireTrust } from '../workspace-files';
import { isActive, newestFirst } from './run-order';

/** Runs under way, so that the next start of the window can offer to resume them. */
const ACTIVE_KEY = 'espalier.activeRuns';
/** Folders of runs outside the usual places. */
const FOLDERS_KEY = 'espalier.runFolders';

export interface RunEnd {
  readonly run: RunSummary;
  /** True where a person asked for it. */
  readonly expected: boolean;
}

export type StartOutcome = StartRunResult | { readonly started: true; readonly queued: number };

export class RunStore implements vscode.Disposable {
  private readonly summaries = new Map<string, RunSummary>();
  private readonly snapshots = new Map<string, RunSnapshot>();
  private readonly stopRequested = new Set<string>();
  private readonly changed = new vscode.EventEmitter<RunSnapshot | undefined>();
  private readonly ended = new vscode.EventEmitter<RunEnd>();
  private readonly subscriptions: vscode.Disposable[];
  private listed = false;
  /** With the snapshot where one run has changed, without where the list has. */
  readonly onDidChange = this.changed.event;
  readonly onDidEnd = this.ended.event;

  constructor(
    private readonly worker: WorkerClient,
    private readonly memory: vscode.Memento,
  ) {
    this.subscriptions = [
      worker.onRunChanged((snapshot) => this.take(snapshot)),
      worker.onDidExit(({ reason }) => this.interruptAll(reason)),
    ];
  }

  get runs(): readonly RunSummary[] {
    return newestFirst(this.summaries.values());
  }

  get active(): readonly RunSummary[] {
    return this.runs.filter(isActive);
  }

  run(folder: string): RunSummary | undefined {
    return this.summaries.get(folder);
  }

  /** Runs that were under way when the window last closed. */
  get remembered(): readonly string[] {
    return this.memory.get<string[]>(ACTIVE_KEY, []);
  }

  /** The newest run of a model or a config that scored something. */
  lastRun(of: { readonly model?: string; readonly config?: string }): RunSummary | undefined {
    const isOf = (run: RunSummary): boolean =>
      (of.model !== undefined && run.modelPath === of.model) || (of.config !== undefined && run.configPath === of.config);
    return this.runs.find((run) => run.best !== undefined && isOf(run));
  }

  /** Reads the list anew; starts the worker only where there is any run folder. */
  async refresh(): Promise<void> {
    const folders = await findRunFolders(this.memory.get<string[]>(FOLDERS_KEY, []));
    this.listed = true;
    if (folders.length > 0) {
      const runs = await this.worker.request('listRuns', { folders });
      const known = new Set(runs.map((run) => run.folder));
      for (const [folder, run] of this.summaries) if (!known.has(folder) && !isActive(run)) this.summaries.delete(folder);
      for (const run of runs) this.summaries.set(run.folder, run);
    }
    this.changed.fire(undefined);
  }

  /** The list, read once. */
  async list(): Promise<readonly RunSummary[]> {
    if (!this.listed) await this.refresh();
    return this.runs;
  }

  /** A run as it stands: the worker's snapshot is the truth. */
  async snapshot(folder: string): Promise<RunSnapshot> {
    const known = this.snapshots.get(folder);
    if (known && this.summaries.get(folder) && isActive(known.summary)) return known;
    const snapshot = await this.worker.request('readRun', { folder });
    this.keep(snapshot);
    return snapshot;
  }

  /** Starts a run, or queues it behind the one under way. */
  async start(params: StartRunParams): Promise<StartRunResult> {
    requireTrust(vscode.l10n.t('A run'));
    return this.begun(await this.worker.request('startRun', params));
  }

  async resume(folder: string): Promise<StartRunResult> {
    requireTrust(vscode.l10n.t('A run'));
    const run = this.summaries.get(folder);
    if (run && isActive(run)) throw new HostProblem(vscode.l10n.t('{0} is running already.', run.name));
    return this.begun(await this.worker.request('resumeRun', { folder }));
  }

  /** Ends a run's work after the evaluation in flight; everything is then on disk, to go on later. */
  async pause(folder: string): Promise<RunSummary> {
    this.stopRequested.add(folder);
    const summary = await this.worker.request('pauseRun', { folder });
    this.takeSummary(summary);
    return summary;
  }

  /** The same for good, also of a run that is paused: its best so far is its result. */
  async stop(folder: string): Promise<RunSummary> {
    const before = this.summaries.get(folder);
    this.stopRequested.add(folder);
    const run = await this.worker.request('stopRun', { folder });
    if (before && isActive(before)) this.takeSummary(run);
    else {
      // Nothing ended now, but somebody is done with it.
      this.stopRequested.delete(folder);
      this.keep(await this.worker.request('readRun', { folder }));
      if (run.stopped && !before?.stopped) this.ended.fire({ run, expected: true });
    }
    return run;
  }

  /** Lists the runs of another folder too, from now on. */
  async addFolder(folder: string): Promise<void> {
    await this.rememberFolder(folder);
    await this.refresh();
  }

  /** Forgets a run whose folder was deleted. */
  forget(folder: string): void {
    this.summaries.delete(folder);
    this.snapshots.delete(folder);
    this.changed.fire(undefined);
  }

  dispose(): void {
    for (const subscription of this.subscriptions) subscription.dispose();
    this.changed.dispose();
    this.ended.dispose();
  }

  private async begun(result: StartRunResult): Promise<StartRunResult> {
    if (result.started) await this.remember(result.folder);
    return result;
  }

  /** A run that has begun is shown at once, also before its first snapshot came. */
  private async remember(folder: string): Promise<void> {
    this.stopRequested.delete(folder);
    await this.rememberFolder(dirname(folder));
    this.keep(await this.worker.request('readRun', { folder }));
  }

  private async rememberFolder(folder: string): Promise<void> {
    const folders = this.memory.get<string[]>(FOLDERS_KEY, []);
    if (!folders.includes(folder)) await this.memory.update(FOLDERS_KEY, [...folders, folder].slice(-50));
  }

  private take(snapshot: RunSnapshot): void {
    const known = this.snapshots.get(snapshot.summary.folder);
    // A resumed run counts its revisions anew.
    if (known && known.revision >= snapshot.revision && isActive(known.summary) && isActive(snapshot.summary)) return;
    this.keep(snapshot);
  }

  private keep(snapshot: RunSnapshot): void {
    this.snapshots.set(snapshot.summary.folder, snapshot);
    this.takeSummary(snapshot.summary, snapshot);
  }

  private takeSummary(run: RunSummary, snapshot?: RunSnapshot): void {
    const before = this.summaries.get(run.folder);
    this.summaries.set(run.folder, run);
    void this.memory.update(
      ACTIVE_KEY,
      this.active.map((other) => other.folder),
    );
    this.changed.fire(snapshot);
    if (before && isActive(before) && !isActive(run)) {
      this.ended.fire({ run, expected: this.stopRequested.delete(run.folder) });
    }
  }

  private interruptAll(reason: string): void {
    for (const run of this.active) {
      const summary: RunSummary = { ...run, status: 'interrupted', reason, resumable: true };
      const snapshot = this.snapshots.get(run.folder);
      if (snapshot) this.keep({ ...snapshot, revision: snapshot.revision + 1, summary });
      else this.takeSummary(summary);
    }
  }
}
