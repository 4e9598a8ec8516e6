/** Milliseconds of a model on this machine, measured so that two models can be compared: interleaved, medians of many runs. */
import { availableParallelism } from 'node:os';
import type { Latency } from '../../protocol/policy';
import { parseModel } from '../onnx/file';
import { elementCount } from '../onnx/tensor';
import { scoringSignature } from './evaluate';
import { feedsOf, type SampleLayout } from './feeds';
import { Session, type SessionOptions } from './onnxruntime';

export interface LatencyOptions extends Pick<SessionOptions, 'spin' | 'optimization'> {
  /**
   * Exactly so many threads. Absent: each model is measured with one thread and with all `cores`, and its quicker time counts. What a
   * small network does at batch 1 is too little to share: waking another thread for every layer costs more than it saves, and times then
   * tell of the waking rather than of the model.
   */
  readonly threads?: number;
  /** How many cores there are to use, where `threads` is absent; default all of the machine. */
  readonly cores?: number;
  /** Rounds counted for each model; each round runs every model once. Default 15. */
  readonly rounds?: number;
}

/** A model at one number of threads. */
interface Entry {
  readonly threads: number;
  readonly session: Session;
  readonly run: () => Promise<unknown>;
  repeats: number;
  readonly times: number[];
}

/**
 * Measures several model files side by side at one batch size. A round is one run of each in turn, so that a change of the machine's
 * speed hits all alike; short runs are repeated within a round until a round's share lasts a few milliseconds.
 * @param sample shape of one sample, or how its row is laid out for several inputs
 * @returns one Latency for each model, in order; undefined for a model whose fixed batch differs from `batch`
 */
export async function measureLatency(
  models: readonly Uint8Array[],
  sample: readonly number[] | SampleLayout,
  batch: number,
  options: LatencyOptions = {},
): Promise<Array<Latency | undefined>> {
  const { threads, cores = availableParallelism(), rounds = 15, ...session } = options;
  const counts = threads !== undefined ? [threads] : [...new Set([1, cores])];
  const layout: SampleLayout = 'shape' in sample ? sample : { shape: sample };
  const inputs = Float32Array.from({ length: batch * elementCount(layout.shape) }, (_, i) => Math.sin(i * 12.9898) * 0.5);
  const entries: Entry[][] = models.map(() => []);
  try {
    for (const [i, bytes] of models.entries()) {
      const signature = scoringSignature(parseModel(bytes));
      if (signature.fixedBatch !== undefined && signature.fixedBatch !== batch) continue;
      // Whole-number inputs get zeros of these values: a token that every vocabulary has.
      const feeds = feedsOf(signature.inputs, layout, inputs, batch);
      for (const count of counts) {
        const made = await Session.create(bytes, { ...session, threads: count });
        entries[i].push({ threads: count, session: made, run: () => made.run(feeds), repeats: 1, times: [] });
      }
    }
    const all = entries.flat();
    for (const e of all) {
      await e.run();
      const start = performance.now();
      await e.run();
      e.repeats = Math.min(50, Math.max(1, Math.round(5 / Math.max(0.05, performance.now() - start))));
    }
    for (let r = 0; r < rounds; r++) {
      for (const e of all) {
        const start = performance.now();
        for (let k = 0; k < e.repeats; k++) await e.run();
        e.times.push((performance.now() - start) / e.repeats);
      }
    }
  } finally {
    for (const e of entries.flat()) await e.session.release();
  }
  return entries.map((own) => quicker(own.map((e) => summary(e, batch))));
}

function summary({ threads, repeats, times }: Entry, batch: number): Latency {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  return { batch, median: at(0.5), low: at(0.25), high: at(0.75), runs: times.length * repeats, threads };
}

const quicker = (all: readonly Latency[]): Latency | undefined =>
  all.reduce<Latency | undefined>((best, l) => (best === undefined || l.median < best.median ? l : best), undefined);
