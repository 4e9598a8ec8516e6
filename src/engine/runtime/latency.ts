/** Milliseconds of a model on this machine, measured so that two models can be compared: interleaved, medians of many runs. */
import { availableParallelism } from 'node:os';
import type { Latency } from '../../protocol/policy';
import { parseModel } from '../onnx/file';
import { elementCount } from '../onnx/tensor';
import { scoringSignature } from './evaluate';
import { feedsOf, type SampleLayout } from './feeds';
import { Session } from './onnxruntime';

export interface LatencyOptions {
  /**
   * Exactly so many threads. Absent: each model is measured with one thread and with all `cores`, and its quicker time counts. What a
   * small network does at batch 1 is too little to share: waking another thread for every layer costs more than it saves, and times then
   * tell of the waking rather than of the model. A number of threads that takes twice as long at first is not measured further.
   */
  readonly threads?: number;
  /** How many cores there are to use, where `threads` is absent; default all of the machine. */
  readonly cores?: number;
  /** Rounds counted for each model; each round runs every model once. Default 15. */
  readonly rounds?: number;
}

/** How many times as long as at the other number of threads a first run may take. */
const SLOWER = 2;

/** A model at one number of threads. */
interface Entry {
  readonly threads: number;
  readonly session: Session;
  readonly run: () => Promise<unknown>;
  /** Milliseconds of a first run. */
  trial: number;
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
  const { threads, cores = availableParallelism(), rounds = 15 } = options;
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
        const session = await Session.create(bytes, { threads: count });
        const entry: Entry = { threads: count, session, run: () => session.run(feeds), trial: 0, times: [] };
        entries[i].push(entry);
        entry.trial = await trialOf(entry);
      }
      const quickest = Math.min(...entries[i].map((e) => e.trial));
      // On many cores a large model would take many times as long with one thread, and all its memory once more.
      for (const e of entries[i].filter((own) => own.trial > SLOWER * quickest)) {
        entries[i].splice(entries[i].indexOf(e), 1);
        await e.session.release();
      }
    }
    const all = entries.flat();
    for (let r = 0; r < rounds; r++) {
      for (const e of all) {
        const start = performance.now();
        for (let k = 0; k < repeats(e); k++) await e.run();
        e.times.push((performance.now() - start) / repeats(e));
      }
    }
  } finally {
    for (const e of entries.flat()) await e.session.release();
  }
  return entries.map((own) => quicker(own.map((e) => summary(e, batch))));
}

/** The quickest of up to three runs after a first one; of one where that takes long. */
async function trialOf({ run }: Entry): Promise<number> {
  await run();
  let quickest = Number.POSITIVE_INFINITY;
  const begin = performance.now();
  for (let k = 0; k < 3 && performance.now() - begin < 50; k++) {
    const start = performance.now();
    await run();
    quickest = Math.min(quickest, performance.now() - start);
  }
  return quickest;
}

const repeats = ({ trial }: Entry): number => Math.min(50, Math.max(1, Math.round(5 / Math.max(0.05, trial))));

function summary(entry: Entry, batch: number): Latency {
  const { threads, times } = entry;
  const sorted = [...times].sort((a, b) => a - b);
  const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
  return { batch, median: at(0.5), low: at(0.25), high: at(0.75), runs: times.length * repeats(entry), threads };
}

const quicker = (all: readonly Latency[]): Latency | undefined =>
  all.reduce<Latency | undefined>((best, l) => (best === undefined || l.median < best.median ? l : best), undefined);
