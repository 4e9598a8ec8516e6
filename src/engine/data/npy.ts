/**
 * NumPy's .npy format, versions 1 to 3 (numpy.lib.format), and .npz archives (zip files of .npy members).
 * Types: u1, i4, i8, f4, f8, little-endian, C order. i8 must fit 32 bits; f8 is rounded to float32, which is what models compute in.
 */

import { unzipSync } from 'fflate';
import { UserError } from '../errors';
import { readDataFile } from './files';

export interface NpyArray {
  readonly shape: readonly number[];
  /** As stored: 'u1', 'i4', 'i8', 'f4' or 'f8'. */
  readonly type: string;
  readonly values: Uint8Array | Int32Array | Float32Array;
}

const BYTES: Readonly<Record<string, number>> = { u1: 1, i4: 4, i8: 8, f4: 4, f8: 8 };

/** Reads one array. `name` is how errors call the file (or `file.npz › member`). */
export function parseNpy(bytes: Uint8Array, name: string): NpyArray {
  const again = 'Save it again with numpy.save.';
  if (bytes.length < 10 || bytes[0] !== 0x93 || String.fromCharCode(...bytes.subarray(1, 6)) !== 'NUMPY') {
    throw new UserError(`${name} is not a .npy file: it does not begin with the bytes 93 "NUMPY".`, again);
  }
  const version = bytes[6];
  if (version < 1 || version > 3) throw new UserError(`${name} is a .npy file of version ${version}, expected 1, 2 or 3.`, again);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerStart = version === 1 ? 10 : 12;
  const headerLength = version === 1 ? view.getUint16(8, true) : bytes.length >= 12 ? view.getUint32(8, true) : 0;
  const start = headerStart + headerLength;
  if (bytes.length < start) throw new UserError(`${name} ends within its header: expected ${start} bytes, found ${bytes.length}.`, again);
  const header = new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(bytes.slice(headerStart, start));

  const descriptor = /'descr'\s*:\s*'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)?.[1];
  const shapeText = /'shape'\s*:\s*\(([^)]*)\)/.exec(header)?.[1];
  if (order === undefined || shapeText === undefined)
    throw new UserError(`The header of ${name} cannot be understood: ${header.trim()}`, again);
  const type = descriptor?.slice(1) ?? '';
  if (descriptor === undefined || !(type in BYTES) || (descriptor[0] !== '<' && descriptor[0] !== '|')) {
    const found = descriptor ?? 'records or objects';
    throw new UserError(
      `${name} holds values of type ${found}, expected one of |u1, <i4, <i8, <f4, <f8.`,
      "Convert it in NumPy, e.g. with array.astype('<f4').",
    );
  }
  if (order === 'True') {
    throw new UserError(`${name} is stored in Fortran order, expected C order.`, 'Save numpy.ascontiguousarray(array) instead.');
  }
  const shape = shapeText
    .split(',')
    .map((s) => s.trim().replace(/L$/, ''))
    .filter((s) => s !== '')
    .map(Number);
  if (shape.some((n) => !Number.isSafeInteger(n) || n < 0))
    throw new UserError(`The header of ${name} has the shape (${shapeText}).`, again);
  const size = shape.reduce((a, b) => a * b, 1);
  const expected = start + size * BYTES[type];
  if (bytes.length !== expected) {
    throw new UserError(
      `${name} should have ${expected} bytes for its shape (${shape.join(', ')}) and type ${type}, found ${bytes.length}.`,
      again,
    );
  }
  return { shape, type, values: values(bytes, start, size, type, name) };
}

function values(bytes: Uint8Array, start: number, size: number, type: string, name: string): NpyArray['values'] {
  if (type === 'u1') return bytes.subarray(start);
  // A copy begins at an address that wider types can be read from. All platforms Node runs on here are little-endian.
  const { buffer } = new Uint8Array(bytes.subarray(start));
  if (type === 'f4') return new Float32Array(buffer, 0, size);
  if (type === 'i4') return new Int32Array(buffer, 0, size);
  if (type === 'f8') return Float32Array.from(new Float64Array(buffer, 0, size));
  const words = new Int32Array(buffer, 0, 2 * size);
  const out = new Int32Array(size);
  for (let i = 0; i < size; i++) {
    out[i] = words[2 * i];
    if (words[2 * i + 1] !== out[i] >> 31) {
      throw new UserError(
        `${name} has a value at position ${i} that does not fit 32 bits.`,
        "Convert it in NumPy, e.g. with array.astype('<f4').",
      );
    }
  }
  return out;
}

export function readNpy(path: string): NpyArray {
  return parseNpy(readDataFile(path), path);
}

/** All arrays of a .npz archive by name (without `.npy`), in the archive's order. */
export function readNpz(path: string): Map<string, NpyArray> {
  const bytes = readDataFile(path);
  const again = 'Save it again with numpy.savez.';
  if (bytes[0] !== 0x50 || bytes[1] !== 0x4b) throw new UserError(`${path} is not a .npz archive: it does not begin with "PK".`, again);
  let members: Record<string, Uint8Array>;
  try {
    members = unzipSync(bytes, { filter: (file) => file.name.endsWith('.npy') });
  } catch (cause) {
    throw new UserError(`${path} is not a whole .npz archive: ${(cause as Error).message}.`, again, { cause });
  }
  const arrays = new Map<string, NpyArray>();
  for (const [member, content] of Object.entries(members)) arrays.set(member.slice(0, -4), parseNpy(content, `${path} › ${member}`));
  if (arrays.size === 0) throw new UserError(`${path} holds no .npy arrays.`, again);
  return arrays;
}
