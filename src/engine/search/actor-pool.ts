/** The parallel actors of a stage: worker threads where a bundle of the thread is at hand, else in this thread. */
import { Worker } from 'node:worker_threads';
import { UserError } from '../errors';
import { type ActorResult, type ActorSetup, type ActorTask, CompressionActor, type TuningBatch } from './actor';
import type { ThreadAnswer, ThreadRequest } from './actor-thread';

export interface ActorPool {
  readonly size: number;
  /** Runs a task on one actor. The same task gives the same result on every actor; `actor` only says whose caches to use. */
  run(task: ActorTask, actor: number): Promise<ActorResult>;
  /** Frees threads and sessions; twice does no harm. */
  dispose(): Promise<void>;
}

/**
 * @param threadFile path of the bundled `actor-thread.js`; undefined runs everything in this thread (tests, single actors)
 */
export function createActorPool(setup: ActorSetup, size: number, threadFile?: string): ActorPool {
  return threadFile === undefined ? new InProcessPool(setup, size) : new ThreadPool(shared(setup), size, threadFile);
}

/** Actors of one thread share one model and its caches: there is nothing to gain from copies. */
class InProcessPool implements ActorPool {
  private readonly actor: CompressionActor;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    setup: ActorSetup,
    readonly size: number,
  ) {
    this.actor = new CompressionActor(setup);
  }

  run(task: ActorTask): Promise<ActorResult> {
    const result = this.last.then(() => this.actor.run(task));
    this.last = result.catch(() => undefined);
    return result;
  }

  async dispose(): Promise<void> {
    await this.last;
    await this.actor.dispose();
  }
}

interface Waiting {
  readonly resolve: (result: ActorResult) => void;
  readonly reject: (error: unknown) => void;
}

interface ActorThread {
  readonly worker: Worker;
  readonly waiting: Map<number, Waiting>;
  failed?: Error;
}

/** Threads start with their first task: a resumed run may have none left for them. */
class ThreadPool implements ActorPool {
  private readonly threads: Array<ActorThread | undefined>;
  private counter = 0;

  constructor(
    private readonly setup: ActorSetup,
    readonly size: number,
    private readonly threadFile: string,
  ) {
    this.threads = Array.from({ length: size }, () => undefined);
  }

  private start(): ActorThread {
    const worker = new Worker(this.threadFile, { workerData: this.setup });
    const thread: ActorThread = { worker, waiting: new Map() };
    worker.on('message', (answer: ThreadAnswer) => {
      const entry = thread.waiting.get(answer.id);
      thread.waiting.delete(answer.id);
      if (!entry) return;
      if (!answer.error) entry.resolve((answer.result ?? {}) as ActorResult);
      else if (answer.error.user) entry.reject(new UserError(answer.error.message, answer.error.hint));
      else entry.reject(Object.assign(new Error(answer.error.message), { stack: answer.error.stack }));
    });
    const fail = (error: Error) => {
      thread.failed = error;
      for (const w of thread.waiting.values()) w.reject(error);
      thread.waiting.clear();
    };
    worker.on('error', fail);
    worker.on('exit', (code) => {
      if (code !== 0 || thread.waiting.size > 0) fail(new Error(`an actor's thread ended with code ${code}`));
    });
    return thread;
  }

  run(task: ActorTask, actor: number): Promise<ActorResult> {
    return this.send(actor % this.size, { task });
  }

  private send(index: number, body: { task: ActorTask } | { dispose: true }): Promise<ActorResult> {
    this.threads[index] ??= this.start();
    const thread = this.threads[index];
    if (thread.failed) return Promise.reject(thread.failed);
    const id = this.counter++;
    return new Promise((resolve, reject) => {
      thread.waiting.set(id, { resolve, reject });
      thread.worker.postMessage({ id, ...body } as ThreadRequest);
    });
  }

  async dispose(): Promise<void> {
    const started = this.threads.flatMap((t, i) => (t ? [{ ...t, i }] : []));
    await Promise.all(started.map(({ i }) => this.send(i, { dispose: true }).catch(() => undefined)));
    await Promise.all(started.map(({ worker }) => worker.terminate()));
    this.threads.fill(undefined);
  }
}

/** Moves large arrays to shared memory, so that threads do not copy them. */
function shared(setup: ActorSetup): ActorSetup {
  const floats = (a: Float32Array): Float32Array => {
    if (a.buffer instanceof SharedArrayBuffer) return a;
    const out = new Float32Array(new SharedArrayBuffer(a.byteLength));
    out.set(a);
    return out;
  };
  const batch = (b: TuningBatch): TuningBatch => ({ ...b, inputs: floats(b.inputs) });
  return {
    ...setup,
    scoring: { ...setup.scoring, inputs: floats(setup.scoring.inputs) },
    calibration: { ...setup.calibration, inputs: floats(setup.calibration.inputs) },
    ...(setup.tuning && { tuning: { ...setup.tuning, batches: setup.tuning.batches.map(batch) } }),
    ...(setup.masking && { masking: { ...setup.masking, batches: setup.masking.batches.map(batch) } }),
    ...(setup.variational && { variational: { ...setup.variational, batches: setup.variational.batches.map(batch) } }),
  };
}
