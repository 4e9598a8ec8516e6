/** The caller's end of the augmentation thread. */

import { Worker } from 'node:worker_threads';
import type { Random } from '../random';
import type { AugmentThreadData, BatchReply, BatchRequest } from './augment-thread-protocol';
import type { Augmentation, Dataset, Normalization } from './dataset';

/** One copy in shared memory for each data set, for as long as the data set lives. */
const sharedSamples = new WeakMap<Dataset, SharedArrayBuffer>();

function share(dataset: Dataset): SharedArrayBuffer {
  let shared = sharedSamples.get(dataset);
  if (!shared) {
    const { buffer, byteOffset, byteLength } = dataset.inputs;
    shared = new SharedArrayBuffer(byteLength);
    new Uint8Array(shared).set(new Uint8Array(buffer, byteOffset, byteLength));
    sharedSamples.set(dataset, shared);
  }
  return shared;
}

interface Waiting {
  resolve(inputs: Float32Array): void;
  reject(reason: Error): void;
}

export class AugmentThreadClient {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private failure?: Error;
  private lastId = 0;

  constructor(file: string | URL, dataset: Dataset, normalization: Normalization, augmentation: Augmentation) {
    const workerData: AugmentThreadData = {
      samples: share(dataset),
      bytes: dataset.inputs instanceof Uint8Array,
      shape: dataset.shape,
      normalization,
      augmentation,
    };
    this.worker = new Worker(file, { workerData, name: 'augmentation' });
    this.worker.on('message', ({ id, inputs }: BatchReply) => {
      this.waiting.get(id)?.resolve(inputs);
      this.settled(id);
    });
    this.worker.on('error', (error) => this.fail(error as Error));
    this.worker.on('exit', () => this.fail(new Error('The augmentation thread has ended.')));
    // An idle thread does not keep the process alive; one that owes a batch does.
    this.worker.unref();
  }

  /** The model inputs of these rows of the data set, made with these draws. Requests are served in order. */
  request(rows: Uint32Array, draws: Random): Promise<Float32Array> {
    if (this.failure) return Promise.reject(this.failure);
    const request: BatchRequest = { id: ++this.lastId, rows: rows.slice(), random: draws.state() };
    if (this.waiting.size === 0) this.worker.ref();
    return new Promise((resolve, reject) => {
      this.waiting.set(request.id, { resolve, reject });
      this.worker.postMessage(request);
    });
  }

  async close(): Promise<void> {
    this.fail(new Error('The batch pipeline was closed.'));
    await this.worker.terminate();
  }

  private settled(id: number): void {
    // A batch that nobody waits for any more (the pipeline is being closed) must not let go of the worker: where nothing else keeps the process alive,
    // it would end before `terminate` does, with all that its caller had to do or to report still open.
    if (this.waiting.delete(id) && this.waiting.size === 0) this.worker.unref();
  }

  private fail(error: Error): void {
    this.failure ??= error;
    for (const { reject } of this.waiting.values()) reject(this.failure);
    this.waiting.clear();
    this.worker.unref();
  }
}
