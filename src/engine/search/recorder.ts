/** Keeps the record of a run: journal lines, progress, the candidates and their Pareto front, and whole snapshots of it all. */
import { arch, cpus, platform, totalmem } from 'node:os';
import type { Candidate } from '../../protocol/policy';
import { jsonFigure, type Machine, type Phase, type Progress, type RunEvent } from '../../protocol/run-events';
import type { UpdateDiagnostics } from '../agents/agent';
import { Journal } from './journal';
import { type Objective, ParetoFront } from './pareto';

export const thisMachine = (): Machine => ({
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: cpus().length || 1,
  memoryBytes: totalmem(),
  platform: platform(),
  architecture: arch(),
});

type WithoutSeconds<T> = T extends unknown ? Omit<T, 'seconds'> : never;

/** Size, accuracy, FLOPs, and measured latency where every candidate has it. */
const OBJECTIVES: ReadonlyArray<Objective<Candidate>> = [
  { name: 'accuracy', value: (c) => c.accuracy },
  { name: 'size', value: (c) => -c.cost.weightBytes },
  { name: 'flops', value: (c) => -c.cost.macs },
  { name: 'latency', value: (c) => -(c.latency?.[0]?.median ?? 0) },
];

export class Recorder {
  readonly journal: Journal;
  readonly candidates = new Map<string, Candidate>();
  private readonly front = new ParetoFront<Candidate>(OBJECTIVES);
  private readonly started = performance.now();
  /** Seconds of earlier processes of this run. */
  private readonly before: number;
  private lastProgress = 0;
  progress: Progress = { phase: 'prepare', episode: 0, episodes: 0, best: null, secondsElapsed: 0, secondsLeft: null };

  constructor(
    path: string,
    private readonly listener: (event: RunEvent) => void = () => {},
  ) {
    this.journal = new Journal(path, (e) => this.listener(e));
    this.before = this.journal.earlier.reduce((s, e) => Math.max(s, e.seconds ?? 0), 0);
  }

  /** Seconds that this run has worked, all its processes together. */
  get seconds(): number {
    return this.before + (performance.now() - this.started) / 1000;
  }

  write(event: WithoutSeconds<RunEvent>): void {
    this.journal.append({ ...event, seconds: Math.round(this.seconds * 1000) / 1000 } as RunEvent);
  }

  /** Runs a piece of work once in the life of a run: a resumed run takes its result from the journal. */
  async once<T>(key: string, work: () => Promise<T>): Promise<T> {
    const known = this.journal.recall<T>(key);
    if (known !== undefined) return known;
    const result = await work();
    this.write({ type: 'measurement', key, result });
    return result;
  }

  phase(phase: Phase, episodes = 0): void {
    if (this.progress.phase !== phase) this.write({ type: 'phase', phase });
    this.update({ phase, episode: 0, episodes, secondsLeft: null }, true);
  }

  /** Notes where the run is; at most a few times a second reaches the listener. Progress is not journalled. */
  update(change: Partial<Progress>, now = false): void {
    this.progress = { ...this.progress, ...change, secondsElapsed: this.seconds };
    const time = performance.now();
    if (!now && time - this.lastProgress < 200) return;
    this.lastProgress = time;
    this.listener({ type: 'progress', seconds: this.seconds, progress: this.progress });
  }

  /** Adds a candidate; one that is known (a resumed run meets them again) is not written twice. */
  candidate(candidate: Candidate): void {
    if (this.candidates.has(candidate.id)) return;
    this.candidates.set(candidate.id, candidate);
    const entered = this.front.add(candidate);
    if (!candidate.partial || entered) this.write({ type: 'candidate', candidate });
  }

  /** Takes in a candidate that an earlier process of this run has journalled. */
  restore(candidate: Candidate): void {
    if (this.candidates.has(candidate.id)) return;
    this.candidates.set(candidate.id, candidate);
    this.front.add(candidate);
  }

  /** Candidates that no other betters in every respect. */
  frontIds(): string[] {
    return this.front.items().map((c) => c.id);
  }

  writeFront(): void {
    this.write({ type: 'front', candidates: this.frontIds() });
  }

  diagnostics(episode: number, step: number, d: UpdateDiagnostics): void {
    const figures = Object.fromEntries(Object.entries(d).map(([k, v]) => [k, jsonFigure(v as number)]));
    this.write({ type: 'update', episode, step, diagnostics: figures as never });
  }

  warning(message: string): void {
    this.write({ type: 'warning', message });
  }

  close(): void {
    this.journal.close();
  }
}
