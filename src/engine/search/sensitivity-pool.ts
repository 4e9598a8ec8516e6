/** Who scores the units of a scan: worker threads with a share of the samples each, or this thread alone. */
import { Worker } from 'node:worker_threads';
import { UserError } from '../errors';
import { modelBytes } from '../onnx/file';
import type { Model } from '../onnx/model';
import type { ScoringSet } from '../runtime/evaluate';
import type { SensitivityThreadAnswer, SensitivityThreadData, SensitivityThreadRequest } from './sensitivity-thread';
import { type SensitivityUnit, UnitScorer } from './sensitivity-unit';

export interface SensitivityPool {
  /** Samples answered rightly at each point of a unit; units are scored in the order in which they are asked for. */
  score(unit: SensitivityUnit): Promise<number[]>;
  /** Ends at once, work in flight included. */
  dispose(): Promise<void>;
}

export interface SensitivityPoolOptions {
  /** Processor threads to use in all. */
  readonly threads: number;
  /** The bundled `sensitivity-thread.js`; absent: this thread does it all. */
  readonly threadFile?: string;
  readonly signal?: AbortSignal;
}

export function createSensitivityPool(model: Model, set: ScoringSet, options: SensitivityPoolOptions): SensitivityPool {
  const { threads, threadFile, signal } = options;
  if (threadFile === undefined || threads < 2) {
    const scorer = new UnitScorer(model, set);
    let last: Promise<unknown> = Promise.resolve();
    const score = (unit: SensitivityUnit): Promise<number[]> => {
      const answer = last.then(() => scorer.score(unit, { threads, signal }));
      last = answer.catch(() => {});
      return answer;
    };
    return { score, dispose: async () => {} };
  }
  return new ThreadPool(model, set, threads, threadFile);
}

class ThreadPool implements SensitivityPool {
  private readonly workers: Worker[];
  private readonly waiting = new Map<string, { resolve: (right: readonly number[]) => void; reject: (e: unknown) => void }>();
  private counter = 0;
  private failed?: Error;

  constructor(model: Model, set: ScoringSet, threads: number, threadFile: string) {
    const inputs = new Float32Array(new SharedArrayBuffer(set.inputs.byteLength));
    inputs.set(set.inputs);
    const shared = modelBytes(model);
    this.workers = Array.from({ length: threads }, (_, part) => {
      const data: SensitivityThreadData = { model: shared, set: { ...set, inputs }, part, of: threads };
      const worker = new Worker(threadFile, { workerData: data });
      worker.on('message', (answer: SensitivityThreadAnswer) => {
        const key = `${part}:${answer.id}`;
        const entry = this.waiting.get(key);
        this.waiting.delete(key);
        if (!entry) return;
        if ('right' in answer) entry.resolve(answer.right);
        else if (answer.error.user) entry.reject(new UserError(answer.error.message, answer.error.hint));
        else entry.reject(Object.assign(new Error(answer.error.message), { stack: answer.error.stack }));
      });
      const fail = (error: Error): void => {
        this.failed ??= error;
        for (const w of this.waiting.values()) w.reject(error);
        this.waiting.clear();
      };
      worker.on('error', fail);
      worker.on('exit', () => fail(new Error("a sensitivity scan's thread has ended")));
      return worker;
    });
  }

  async score(unit: SensitivityUnit): Promise<number[]> {
    if (this.failed) throw this.failed;
    const id = this.counter++;
    const parts = await Promise.all(
      this.workers.map(
        (worker, part) =>
          new Promise<readonly number[]>((resolve, reject) => {
            this.waiting.set(`${part}:${id}`, { resolve, reject });
            worker.postMessage({ id, unit } satisfies SensitivityThreadRequest);
          }),
      ),
    );
    return parts[0].map((_, point) => parts.reduce((sum, right) => sum + right[point], 0));
  }

  async dispose(): Promise<void> {
    await Promise.all(this.workers.map((w) => w.terminate()));
  }
}
