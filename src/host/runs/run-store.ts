/** The runs that the window knows: listed by the worker, changed by its snapshots, queued one behind the other. */
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import type { RunSnapshot, RunSummary } from '../../protocol/run-summary';
import type { StartRunParams, StartRunResult } from '../../protocol/worker-messages';
import { HostProblem, problemText } from '../problems';
import type { WorkerClient } from '../worker-client';
import { findRunFolders, requireTrust } from '../workspace-files';
import { isActive, newestFirst } from './run-order';

/** Runs under way, so that the next start of the window can offer to resume them. */
const ACTIVE_KEY = 'espalier.activeRuns';
/** Folders of runs outside the usual places. */
const FOLDERS_KEY = 'espalier.runFolders';

/** A run that waits for another to end. */
export interface QueuedRun {
  readonly id: number;
  readonly name: string;
  readonly begin: () => Promise<StartRunResult>;
}

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
  private readonly waiting: QueuedRun[] = [];
  private readonly changed = new vscode.EventEmitter<RunSnapshot | undefined>();
  private readonly ended = new vscode.EventEmitter<RunEnd>();
  private readonly subscriptions: vscode.Disposable[];
  private nextQueueId = 1;
  private starting = false;
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

  get queue(): readonly QueuedRun[] {
    return this.waiting;
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
    return this.runs.find((run) => (of.model !== undefined && run.modelPath === of.model) || (of.config !== undefined && run.configPath === of.config));
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
  async start(params: StartRunParams, name: string): Promise<StartOutcome> {
    requireTrust(vscode.l10n.t('A run'));
    return this.enqueue(name, () => this.worker.request('startRun', params));
  }

  async resume(folder: string): Promise<StartOutcome> {
    requireTrust(vscode.l10n.t('A run'));
    const run = this.summaries.get(folder);
    if (run && isActive(run)) throw new HostProblem(vscode.l10n.t('{0} is running already.', run.name));
    return this.enqueue(run?.name ?? basename(folder), () => this.worker.request('resumeRun', { folder }));
  }

  /** Ends a run after the evaluation in flight; everything is then on disk, and it can be resumed. */
  async stop(folder: string): Promise<RunSummary> {
    this.stopRequested.add(folder);
    const summary = await this.worker.request('stopRun', { folder });
    this.takeSummary(summary);
    return summary;
  }

  /** Takes a waiting run out of the queue. */
  dequeue(id: number): void {
    const at = this.waiting.findIndex((entry) => entry.id === id);
    if (at >= 0) this.waiting.splice(at, 1);
    this.changed.fire(undefined);
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

  private async enqueue(name: string, begin: () => Promise<StartRunResult>): Promise<StartOutcome> {
    if (this.starting || this.active.length > 0) {
      const id = this.nextQueueId++;
      this.waiting.push({ id, name, begin });
      this.changed.fire(undefined);
      return { started: true, queued: id };
    }
    this.starting = true;
    try {
      const result = await begin();
      if (result.started) await this.remember(result.folder);
      return result;
    } finally {
      this.starting = false;
    }
  }

  /** A run that has begun is shown at once, also before its first snapshot came. */
  private async remember(folder: string): Promise<void> {
    this.stopRequested.delete(folder);
    const parent = dirname(folder);
    const folders = this.memory.get<string[]>(FOLDERS_KEY, []);
    if (!folders.includes(parent)) await this.memory.update(FOLDERS_KEY, [...folders, parent].slice(-50));
    this.keep(await this.worker.request('readRun', { folder }));
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
      this.startNext();
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

  private startNext(): void {
    const next = this.waiting.shift();
    if (!next) return;
    this.enqueue(next.name, next.begin).then(
      (result) => {
        this.changed.fire(undefined);
        if (!result.started)
          vscode.window.showErrorMessage(vscode.l10n.t('{0} was not started: {1}', next.name, `${result.message} ${result.hint ?? ''}`.trim()));
      },
      (error) => vscode.window.showErrorMessage(vscode.l10n.t('{0} was not started: {1}', next.name, problemText(error))),
    );
  }
}
