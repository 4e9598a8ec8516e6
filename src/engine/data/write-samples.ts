import type { Random } from '../random';
import type { SampleWriter } from './augment';

/** The rows of `source` as model inputs, one after the other: what pipeline and thread both do. */
export function writeSamples(
  writer: SampleWriter,
  source: Uint8Array | Float32Array,
  rows: Uint32Array,
  target: Float32Array,
  draws?: Random,
): void {
  for (let i = 0; i < rows.length; i++) writer.write(source, rows[i] * writer.size, target, i * writer.size, draws);
}
