/** The runs of this worker: one at a time, the others wait; each change is told as a whole snapshot, a few times a second at most. */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { endRestingRun } from '../engine/search/end-resting-run';
import { prepare } from '../engine/search/prepare';
import { resumeRun, startRun } from '../engine/search/run';
import { RunFolder } from '../engine/search/run-folder';
import { interruptionOf, RunEnded, RunStopped } from '../engine/search/run-stopped';
import { readRunEvents, SnapshotBuilder } from '../engine/search/snapshot';
import type { Config } from '../protocol/config';
import type { RunEvent } from '../protocol/run-events';
import type { RunSnapshot, RunSummary } from '../protocol/run-summary';
import type { LogLevel } from '../protocol/worker-messages';

const SNAPSHOT_INTERVAL = 250;

interface LiveRun {
  readonly folder: string;
  readonly builder: SnapshotBuilder;
  readonly controller: AbortController;
  state: 'queued' | 'running' | 'ended';
  ended: Promise<void>;
  timer?: NodeJS.Timeout;
  /** When the last snapshot went out, in milliseconds. */
  sent: number;
}

export interface RunInputs {
  readonly config: Config;
  readonly folder: string;
  readonly configPath?: string;
  readonly dataFolder?: string;
}

export interface RunQueueOptions {
  readonly threads: { readonly actor?: string; readonly augment?: string };
  readonly changed: (snapshot: RunSnapshot) => void;
  readonly log: (level: LogLevel, message: string) => void;
}

export class RunQueue {
  private readonly runs = new Map<string, LiveRun>();
  /** Resolves when every run so far has ended. */
  private tail: Promise<void> = Promise.resolve();
  private busy = 0;

  constructor(private readonly options: RunQueueOptions) {}

  /** Answers once model, data and goal were checked. @throws UserError, with nothing written, where they do not fit */
  async start(inputs: RunInputs): Promise<{ runId: string; folder: string }> {
    if (this.busy > 0) return this.enqueue(inputs);
    const { config, folder, configPath, dataFolder } = inputs;
    const controller = new AbortController();
    return new Promise((begun, refused) => {
      let run: LiveRun | undefined;
      const listener = (event: RunEvent): void => {
        if (event.type === 'header' && !run) {
          const path = resolve(folder, config.output.folder, event.id);
          run = this.add(path, controller, 'running');
          run.ended = ended;
          begun({ runId: event.id, folder: path });
        }
        if (run) this.tell(run, event);
      };
      const ended = this.work(async () => {
        try {
          await startRun(config, {
            folder,
            configPath,
            dataFolder,
            threads: this.options.threads,
            signal: controller.signal,
            listener,
          });
        } catch (e) {
          if (!run) refused(e);
          else this.report(run, e);
        } finally {
          if (run) this.end(run);
        }
      });
    });
  }

  resume(path: string): { runId: string; folder: string } {
    const folder = RunFolder.open(path);
    const known = this.runs.get(folder.path);
    if (known && known.state !== 'ended') return { runId: folder.id, folder: folder.path };
    this.schedule(folder.path, readRunEvents(folder.path));
    return { runId: folder.id, folder: folder.path };
  }

  /**
   * Ends a run's work; returns when everything is on disk.
   * @param how 'pause': to go on later; 'end': for good, also where the run is paused already
   */
  async stop(path: string, how: 'pause' | 'end'): Promise<RunSummary | undefined> {
    const run = this.runs.get(resolve(path));
    if (run && run.state !== 'ended') {
      run.controller.abort(how === 'end' ? new RunEnded() : new Error('paused'));
      if (run.state === 'queued') this.dequeue(run);
      else await run.ended;
    }
    // Also where it was being paused when it was ended.
    if (how === 'end') {
      const event = endRestingRun(resolve(path));
      if (event && run) {
        run.builder.add(event);
        this.send(run);
      }
    }
    return (run ? this.snapshot(run) : readRunEvents(resolve(path))?.snapshot())?.summary;
  }

  /** The run as it stands; undefined where it is none of this worker's. */
  live(path: string): RunSnapshot | undefined {
    const run = this.runs.get(resolve(path));
    return run && this.snapshot(run);
  }

  /** Ends every run, for a shutdown. @param reason why, in words for the journal */
  async stopAll(reason: string): Promise<void> {
    for (const run of this.runs.values()) {
      run.controller.abort(new RunStopped(reason));
      if (run.state === 'queued') this.dequeue(run);
    }
    await Promise.all([...this.runs.values()].map((r) => r.ended));
  }

  /** A run behind another one: checked and given its folder now, worked on later, as a resumed one. */
  private async enqueue({ config, folder, configPath, dataFolder }: RunInputs): Promise<{ runId: string; folder: string }> {
    const prepared = await prepare(config, { folder, dataFolder, threads: config.threads });
    const made = RunFolder.create(resolve(folder, config.output.folder), prepared.modelPath, new Date());
    made.writeJson(made.config, { config: { ...config, model: prepared.modelPath }, folder: resolve(folder), configPath, dataFolder });
    writeFileSync(made.journal, '');
    const builder = readRunEvents(made.path);
    this.schedule(made.path, builder);
    return { runId: made.id, folder: made.path };
  }

  private schedule(path: string, builder: SnapshotBuilder | undefined): void {
    const controller = new AbortController();
    const run = this.add(path, controller, 'queued', builder);
    run.builder.reopen();
    this.send(run);
    run.ended = this.work(async () => {
      // It was taken out while it waited.
      if (run.state === 'ended') return;
      try {
        run.state = 'running';
        await resumeRun(path, {
          threads: this.options.threads,
          signal: controller.signal,
          listener: (event) => this.tell(run, event),
        });
      } catch (e) {
        this.report(run, e);
      } finally {
        this.end(run);
      }
    });
  }

  /** Takes a run whose signal was aborted out of the queue, without waiting for those before it. */
  private dequeue(run: LiveRun): void {
    const { signal } = run.controller;
    // Only what is meant to last is written: a run that has not begun is resumable as it lies.
    const ended = signal.reason instanceof RunEnded ? endRestingRun(run.folder) : undefined;
    run.builder.add(ended ?? interruptionOf(signal));
    this.end(run);
  }

  private work(task: () => Promise<void>): Promise<void> {
    this.busy++;
    const done = this.tail.then(task).finally(() => {
      this.busy--;
    });
    this.tail = done.catch(() => undefined);
    return this.tail;
  }

  private add(path: string, controller: AbortController, state: LiveRun['state'], builder?: SnapshotBuilder): LiveRun {
    const run: LiveRun = {
      folder: path,
      builder: builder ?? new SnapshotBuilder(path),
      controller,
      state,
      ended: Promise.resolve(),
      sent: Number.NEGATIVE_INFINITY,
    };
    this.runs.set(path, run);
    return run;
  }

  private tell(run: LiveRun, event: RunEvent): void {
    run.builder.add(event);
    if (event.type === 'warning') this.options.log('warning', event.message);
    if (run.timer) return;
    const wait = Math.max(0, run.sent + SNAPSHOT_INTERVAL - performance.now());
    run.timer = setTimeout(() => this.send(run), wait);
  }

  private send(run: LiveRun): void {
    clearTimeout(run.timer);
    run.timer = undefined;
    run.sent = performance.now();
    this.options.changed(this.snapshot(run));
  }

  private snapshot({ builder, state }: LiveRun): RunSnapshot {
    return builder.snapshot(state === 'ended' ? undefined : state);
  }

  private end(run: LiveRun): void {
    run.state = 'ended';
    this.send(run);
  }

  private report(run: LiveRun, error: unknown): void {
    const { signal } = run.controller;
    if (signal.aborted) {
      // While it was still being prepared, nobody wrote it down.
      if (!run.builder.ended) run.builder.add(interruptionOf(signal));
      return;
    }
    const { message, stack } = error as Error;
    // A resumed run that is refused has written nothing; what it says must still reach the reader.
    if (!run.builder.ended) run.builder.add({ type: 'failed', reason: message, hint: (error as { hint?: string }).hint });
    this.options.log('error', `${run.folder}: ${stack ?? message}`);
  }
}
