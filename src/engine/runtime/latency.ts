/** Milliseconds of a model on this machine, measured so that two models can be compared: interleaved, medians of many runs. */
import type { Latency } from '../../protocol/policy';
import { parseModel } from '../onnx/file';
import { elementCount } from '../onnx/tensor';
import { scoringSignature } from './evaluate';
import { feedsOf, type SampleLayout } from './feeds';
import { Session, type SessionOptions } from './onnxruntime';

export interface LatencyOptions extends SessionOptions {
  /** Rounds counted for each model; each round runs every model once. Default 15. */
  readonly rounds?: number;
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
  const rounds = options.rounds ?? 15;
  const layout: SampleLayout = 'shape' in sample ? sample : { shape: sample };
  const inputs = Float32Array.from({ length: batch * elementCount(layout.shape) }, (_, i) => Math.sin(i * 12.9898) * 0.5);
  const entries: Array<{ run: () => Promise<unknown>; release: () => Promise<void>; repeats: number; times: number[] } | undefined> = [];
  try {
    for (const bytes of models) {
      const signature = scoringSignature(parseModel(bytes));
      if (signature.fixedBatch !== undefined && signature.fixedBatch !== batch) {
        entries.push(undefined);
        continue;
      }
      const session = await Session.create(bytes, options);
      // Whole-number inputs get zeros of these values: a token that every vocabulary has.
      const feeds = feedsOf(signature.inputs, layout, inputs, batch);
      entries.push({ run: () => session.run(feeds), release: () => session.release(), repeats: 1, times: [] });
    }
    for (const e of entries) {
      if (!e) continue;
      await e.run();
      const start = performance.now();
      await e.run();
      e.repeats = Math.min(50, Math.max(1, Math.round(5 / Math.max(0.05, performance.now() - start))));
    }
    for (let r = 0; r < rounds; r++) {
      for (const e of entries) {
        if (!e) continue;
        const start = performance.now();
        for (let k = 0; k < e.repeats; k++) await e.run();
        e.times.push((performance.now() - start) / e.repeats);
      }
    }
  } finally {
    for (const e of entries) await e?.release();
  }
  return entries.map((e) => {
    if (!e) return undefined;
    const sorted = [...e.times].sort((a, b) => a - b);
    const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
    return { batch, median: at(0.5), low: at(0.25), high: at(0.75), runs: rounds * e.repeats };
  });
}
