/** Tiny data files that tests write. */

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'espalier-data-'));
}

/** Writes a file, making its folders, and returns its path. */
export function put(path: string, bytes: Uint8Array): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  return path;
}

/** An idx file of bytes. */
export function idxBytes(shape: readonly number[], values: ArrayLike<number>): Uint8Array {
  const out = new Uint8Array(4 + 4 * shape.length + values.length);
  const view = new DataView(out.buffer);
  out[2] = 8;
  out[3] = shape.length;
  shape.forEach((n, i) => {
    view.setUint32(4 + 4 * i, n);
  });
  out.set(values, 4 + 4 * shape.length);
  return out;
}

/** CIFAR-10 records: record i has label i mod 10 and pixels counting up from i. */
export function cifarBytes(records: number): Uint8Array {
  const out = new Uint8Array(records * 3073);
  for (let i = 0; i < records; i++) {
    out[i * 3073] = i % 10;
    for (let p = 0; p < 3072; p++) out[i * 3073 + 1 + p] = i + p;
  }
  return out;
}

/** A .npy file as NumPy writes it: the header is padded so that values begin at a multiple of 64. */
export function npyBytes(
  descriptor: string,
  shape: readonly number[],
  values: Uint8Array,
  { version = 1, fortran = false } = {},
): Uint8Array {
  const shapeText = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const dictionary = `{'descr': '${descriptor}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${shapeText}, }`;
  const prefix = version === 1 ? 10 : 12;
  const length = Math.ceil((prefix + dictionary.length + 1) / 64) * 64 - prefix;
  const out = new Uint8Array(prefix + length + values.length);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0]);
  const view = new DataView(out.buffer);
  if (version === 1) view.setUint16(8, length, true);
  else view.setUint32(8, length, true);
  out.set(new TextEncoder().encode(`${dictionary.padEnd(length - 1)}\n`), prefix);
  out.set(values, prefix + length);
  return out;
}

/** The bytes of a typed array. */
export function raw(values: Uint8Array | Int32Array | Float32Array | Float64Array | BigInt64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** The UserError that `action` throws. */
export function errorOf(action: () => unknown): { name: string; message: string; hint?: string } {
  try {
    action();
  } catch (error) {
    return error as { name: string; message: string; hint?: string };
  }
  throw new Error('nothing was thrown');
}
