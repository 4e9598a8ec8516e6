/** Calibration: the range of each activation on sample inputs, clipped where that lowers the rounding error. */
import { type Model, withGraph } from '../onnx/model';
import { scoringSignature } from '../runtime/evaluate';
import { feedsOf, type SampleLayout } from '../runtime/feeds';
import { Session, type SessionOptions } from '../runtime/onnxruntime';

export interface ActivationRange {
  readonly min: number;
  readonly max: number;
}

/** Values kept of each activation for choosing its clip. */
const SAMPLE = 20_000;
const BATCH = 50;

/**
 * Ranges of the named values over calibration inputs.
 * The clip is the fraction of the observed range that minimises the squared error of 8-bit rounding on a sample of the values
 * (rare outliers would otherwise cost every other value its precision).
 */
export async function activationRanges(
  model: Model,
  values: readonly string[],
  calibration: SampleLayout & { readonly inputs: Float32Array; readonly count: number },
  options: SessionOptions = {},
): Promise<Map<string, ActivationRange>> {
  const { inputs } = scoringSignature(model);
  const own = values.filter((v) => !inputs.some((i) => i.name === v));
  const existing = new Set(model.graph.outputs.map((o) => o.name));
  const probe = withGraph(model, {
    outputs: [...model.graph.outputs, ...own.filter((v) => !existing.has(v)).map((name) => ({ name, type: 'float32' as const }))],
  });
  const session = await Session.create(probe, options);
  const seen = new Map(values.map((v) => [v, { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, sample: [] as number[] }]));
  try {
    const size = calibration.inputs.length / calibration.count;
    const batches = Math.max(1, Math.floor(calibration.count / BATCH));
    const perBatch = Math.ceil(SAMPLE / batches);
    for (let b = 0; b < batches; b++) {
      const rows = Math.min(BATCH, calibration.count - b * BATCH);
      const feeds = feedsOf(inputs, calibration, calibration.inputs.subarray(b * BATCH * size, (b * BATCH + rows) * size), rows);
      const result = own.length > 0 ? await session.run(feeds, own) : {};
      for (const [name, entry] of seen) {
        const data = (feeds[name] ?? result[name]).data as Float32Array;
        for (const v of data) {
          if (v < entry.min) entry.min = v;
          if (v > entry.max) entry.max = v;
        }
        // A stride that shares no factor with the usual row lengths samples all channels and places.
        const step = Math.max(1, Math.floor(data.length / perBatch)) | 1;
        for (let i = b % step; i < data.length; i += step) entry.sample.push(data[i]);
      }
    }
  } finally {
    await session.release();
  }
  return new Map([...seen].map(([name, { min, max, sample }]) => [name, clippedRange(Math.min(0, min), Math.max(0, max), sample)]));
}

/** The range [f·min, f·max], f ≤ 1, with the least squared rounding error at 8 bits; it always contains 0, which must be exact. */
export function clippedRange(min: number, max: number, sample: readonly number[]): ActivationRange {
  if (!(max > min)) return { min: 0, max: 1 };
  let best = { min, max };
  let least = Number.POSITIVE_INFINITY;
  for (let step = 0; step <= 24; step++) {
    const f = 1 - step * 0.025;
    const { scale, zeroPoint } = affineParameters({ min: min * f, max: max * f });
    let error = 0;
    for (const v of sample) {
      const code = Math.max(0, Math.min(255, Math.round(v / scale) + zeroPoint));
      const d = v - (code - zeroPoint) * scale;
      error += d * d;
    }
    if (error < least) {
      least = error;
      best = { min: min * f, max: max * f };
    }
  }
  return best;
}

/** Scale and zero point of unsigned 8-bit codes for a range that contains 0. */
export function affineParameters({ min, max }: ActivationRange): { scale: number; zeroPoint: number } {
  const scale = Math.fround((max - min) / 255);
  return { scale, zeroPoint: Math.max(0, Math.min(255, Math.round(-min / scale))) };
}
