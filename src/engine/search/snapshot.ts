/** A run as it stands, whole, built from its events one by one: from the journal of an old run, or live as they come. */
import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Candidate, Policy } from '../../protocol/policy';
import type { Machine, Phase, Progress, RunEvent, RunHeader } from '../../protocol/run-events';
import type { EpisodePoint, RunSnapshot, RunStatus, RunSummary } from '../../protocol/run-summary';
import { readJournal } from './journal';
import { headerOfQueued } from './queued-run';
import { RunFolder } from './run-folder';
import { isHeld } from './run-lock';

/** Diagnostics kept; beyond that every second one is dropped, so that snapshots stay small enough to be sent whole. */
const MOST_DIAGNOSTICS = 1000;

type Original = Extract<RunEvent, { type: 'original' }>;
type End = Extract<RunEvent, { type: 'finished' | 'interrupted' | 'failed' }>;

export class SnapshotBuilder {
  private header?: RunHeader;
  private original?: Original;
  private phase?: Phase;
  private progress: Progress | null = null;
  private end?: End;
  private endedAt?: string;
  private seconds = 0;
  private current: Policy | null = null;
  private readonly candidates = new Map<string, Candidate>();
  private front: readonly string[] = [];
  private readonly episodes = new Map<string, EpisodePoint>();
  private diagnostics: RunSnapshot['diagnostics'] = [];
  private readonly warnings = new Set<string>();
  private revision = 0;

  constructor(readonly folder: string) {}

  /** @param at when it happened, for an end; default now */
  add(event: RunEvent, at: Date = new Date()): void {
    this.revision++;
    this.seconds = Math.max(this.seconds, event.seconds ?? 0);
    switch (event.type) {
      case 'header':
        this.header = event;
        break;
      case 'original':
        this.original = event;
        break;
      case 'resumed':
        this.end = undefined;
        this.endedAt = undefined;
        break;
      case 'phase':
        this.phase = event.phase;
        break;
      case 'progress':
        this.progress = event.progress;
        break;
      case 'evaluation':
        this.current = event.policy;
        break;
      case 'candidate':
        if (!event.candidate.partial) this.candidates.set(event.candidate.id, event.candidate);
        break;
      case 'front':
        this.front = event.candidates;
        break;
      case 'episode':
        this.addEpisode(event);
        break;
      case 'update':
        this.diagnostics.push({ episode: event.episode, step: event.step, figures: event.diagnostics });
        if (this.diagnostics.length > MOST_DIAGNOSTICS) this.diagnostics = this.diagnostics.filter((_, i) => i % 2 === 0);
        break;
      case 'warning':
        this.warnings.add(event.message);
        break;
      case 'finished':
      case 'interrupted':
      case 'failed':
        this.end = event;
        this.endedAt = at.toISOString();
        this.current = null;
        break;
    }
  }

  private addEpisode({ episode, reward, accuracy, flops, policy }: Extract<RunEvent, { type: 'episode' }>): void {
    const stage = this.phase === 'quantize' ? 'quantize' : 'prune';
    // A resumed stage meets its last episodes again.
    this.episodes.set(`${stage}:${episode}`, { stage, episode, reward, accuracy, flops, policy });
  }

  /** The run is taken up again: what ended it is over. */
  reopen(): void {
    this.revision++;
    this.end = undefined;
    this.endedAt = undefined;
  }

  /** True once an end was noted and the run has not gone on since. */
  get ended(): boolean {
    return this.end !== undefined;
  }

  /**
   * @param live what its process says of it, or that there is one which cannot be asked; absent: a journal without an end is of a process
   * that was killed
   */
  snapshot(live?: 'queued' | 'running' | 'elsewhere'): RunSnapshot {
    const points = [...this.episodes.values()];
    return {
      revision: this.revision,
      summary: this.summary(live),
      progress: this.progress,
      machine: (this.header?.machine as Machine | undefined) ?? null,
      measures0: this.original?.measures ?? null,
      current: live === 'running' ? this.current : null,
      candidates: [...this.candidates.values()],
      front: this.front.filter((id) => this.candidates.has(id)),
      episodes: points,
      diagnostics: [...this.diagnostics],
      warnings: [...this.warnings],
    };
  }

  private summary(live?: 'queued' | 'running' | 'elsewhere'): RunSummary {
    const { header, original, end } = this;
    const elsewhere = end === undefined && live === 'elsewhere';
    const status: RunStatus = end?.type ?? (live === 'elsewhere' ? undefined : live) ?? 'interrupted';
    const config = header?.config as { method?: { name?: string }; search?: { episodes?: number } } | undefined;
    const stage = this.phase === 'quantize' ? 'quantize' : 'prune';
    const done = [...this.episodes.values()].filter((p) => p.stage === stage).length;
    return {
      id: header?.id ?? basename(this.folder),
      name: basename(header?.model.path ?? this.folder).replace(/\.[^.]*$/, ''),
      folder: this.folder,
      modelPath: header?.model.path ?? '',
      configPath: header?.configPath,
      method: config?.method?.name ?? '',
      seed: header?.seed,
      status,
      reason:
        end && end.type !== 'finished'
          ? end.reason
          : elsewhere
            ? 'another process is working on it'
            : status === 'interrupted'
              ? original
                ? 'its process ended'
                : 'it had not begun yet'
              : undefined,
      elsewhere: elsewhere || undefined,
      paused: end?.type === 'interrupted' && end.asked && !end.ended ? true : undefined,
      stopped: end?.type === 'interrupted' && end.ended ? true : undefined,
      startedAt: header?.startedAt ?? new Date(0).toISOString(),
      endedAt: this.endedAt,
      secondsElapsed: this.seconds,
      phase: this.phase,
      episode: this.progress?.episode ?? done,
      episodes: this.progress?.episodes ?? config?.search?.episodes ?? 0,
      original: original && {
        accuracy: original.candidate.accuracy,
        cost: original.candidate.cost,
        images: original.candidate.images,
        latency: original.candidate.latency && [...original.candidate.latency],
      },
      best: this.best(),
      goalMet: end?.type === 'finished' ? end.goalMet : undefined,
      resumable: !elsewhere && (status === 'interrupted' || status === 'failed'),
    };
  }

  /** The result; until there is one, the best rewarded candidate of the latest stage. */
  private best(): Candidate | undefined {
    if (this.end?.type === 'finished') return this.candidates.get(this.end.candidate);
    if (this.progress?.best) return this.progress.best;
    const all = [...this.candidates.values()];
    for (const stage of ['final', 'quantize', 'prune'] as const) {
      const of = all.filter((c) => c.stage === stage);
      if (of.length > 0) return of.reduce((a, b) => (b.reward > a.reward ? b : a));
    }
    return undefined;
  }
}

/** The snapshot of a run folder; undefined where it holds no journal. */
export function readRunSnapshot(folder: string): RunSnapshot | undefined {
  return readRunEvents(folder)?.snapshot(isHeld(new RunFolder(folder).lock) ? 'elsewhere' : undefined);
}

/** A builder with everything that is in a run folder's journal. */
export function readRunEvents(folder: string): SnapshotBuilder | undefined {
  const path = join(folder, 'journal.jsonl');
  if (!existsSync(path)) return undefined;
  const { events } = readJournal(path);
  const at = statSync(path).mtime;
  const builder = new SnapshotBuilder(folder);
  // Before its header is written, what a run's config says stands for it; a run may be ended before it has begun.
  const queued = events.some((e) => e.type === 'header') ? undefined : headerOfQueued(new RunFolder(folder), at);
  for (const e of queued ? [queued, ...events] : events) builder.add(e, at);
  return builder;
}
