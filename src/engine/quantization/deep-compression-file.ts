/**
 * The file of Deep Compression (Han, Mao, Dally 2016): a whole model in which weights are stored sparsely, as indices into a code book of
 * each layer, Huffman coded. It decodes to the very same floats. docs/formats.md says what lies where.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { UserError } from '../errors';
import { modelBytes, parseModel } from '../onnx/file';
import { type Model, withGraph } from '../onnx/model';
import { elementCount, Tensor } from '../onnx/tensor';
import { BitReader, BitWriter } from './bit-stream';
import { codeLengths, frequenciesOf, readSymbols, writeSymbols } from './huffman';
import { gapSymbols, positionsOf } from './sparse-positions';

/** What the three steps of the method store of a weight that was kept: its float; its index at a fixed width; its index, Huffman coded. */
export const CODINGS = ['floats', 'indices', 'huffman'] as const;
export type Coding = (typeof CODINGS)[number];

export const SIGNATURE = 'ESDC';
const VERSION = 1;
/** Signature, version, three bytes of zero, length of the directory. */
const HEADER_BYTES = 12;
/** Widths of a step that are tried; the shortest result is taken. (The paper: 8 bits for convolutions, 5 for full connections.) */
const GAP_BITS = [2, 3, 4, 5, 6, 7, 8];
/** A tensor with more different values has no code book, nor has one whose book would be larger than what it saves. */
const LARGEST_BOOK = 2 ** 16;

export const isDeepCompressed = (head: Uint8Array): boolean =>
  head.length >= SIGNATURE.length && [...SIGNATURE].every((c, i) => head[i] === c.charCodeAt(0));

interface CodedTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly coding: Coding;
  readonly gapBits: number;
  /** Weights that are stored, and symbols that say where. */
  readonly stored: number;
  readonly gaps: number;
  readonly book: Float32Array;
  /** Code lengths; empty unless Huffman coded. */
  readonly indexLengths: Uint8Array;
  readonly gapLengths: Uint8Array;
  readonly stream: Uint8Array;
}

/**
 * The model as a file in which these float32 weights are coded; everything else of it is kept as it is, and compressed as text is (deflate).
 * Zeros of either sign come back as 0.
 * Weights with more than 65,536 different values, or almost as many as weights, stay floats in any coding.
 */
export function encodeModel(model: Model, weights: Iterable<string>, coding: Coding): Uint8Array {
  const initializers = new Map(model.graph.initializers);
  const tensors: CodedTensor[] = [];
  for (const name of new Set(weights)) {
    const tensor = initializers.get(name);
    if (tensor?.type !== 'float32') throw new RangeError(`'${name}' is no float32 weight of the model`);
    tensors.push(encodeTensor(tensor, coding));
    // An empty tensor holds its place in the order.
    initializers.set(name, Tensor.float32(name, [0], new Float32Array(0)));
  }
  const rest = modelBytes(withGraph(model, { initializers }));
  const directory = deflateRawSync(Buffer.concat([directoryOf(tensors), rest]), { level: 9 });
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(SIGNATURE, 'latin1');
  header.writeUInt8(VERSION, 4);
  header.writeUInt32LE(directory.length, 8);
  return Uint8Array.from(Buffer.concat([header, directory, ...tensors.map((t) => t.stream)]));
}

/** The model that `encodeModel` was given. @throws UserError where the bytes are not such a file, or are damaged */
export function decodeModel(bytes: Uint8Array): Model {
  if (!isDeepCompressed(bytes)) throw new UserError('this is not a Deep Compression file: its signature is missing');
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (file.length < HEADER_BYTES) throw damaged();
  if (file[4] !== VERSION) throw new UserError(`the file is of version ${file[4]}, and ${VERSION} is read here`, 'Update Espalier.');
  const start = HEADER_BYTES + file.readUInt32LE(8);
  if (start > file.length) throw damaged();
  let directory: Buffer;
  try {
    directory = inflateRawSync(file.subarray(HEADER_BYTES, start));
  } catch (cause) {
    throw damaged(cause);
  }
  const { tensors, end } = readDirectory(directory, file.subarray(start));
  const model = parseModel(directory.subarray(end));
  const initializers = new Map(model.graph.initializers);
  for (const t of tensors) {
    if (!initializers.has(t.name)) throw damaged();
    initializers.set(t.name, Tensor.float32(t.name, t.dims, decodeTensor(t)));
  }
  return withGraph(model, { initializers });
}

function encodeTensor(tensor: Tensor, wanted: Coding): CodedTensor {
  const values = tensor.floats();
  const kept = values.filter((v) => v !== 0);
  const book = Float32Array.from(new Set(kept)).sort();
  // A book with almost as many values as there are weights is no saving.
  const coding =
    book.length > LARGEST_BOOK || 32 * book.length + kept.length * indexBits(book.length) >= 32 * kept.length ? 'floats' : wanted;
  const gapBits = GAP_BITS.reduce((a, b) => (bitsOfGaps(values, coding, b) < bitsOfGaps(values, coding, a) ? b : a));
  return encodeWith(tensor, { values, kept, book, coding, gapBits });
}

/** Bits that the places of the weights take, with the table of their codes. */
function bitsOfGaps(values: Float32Array, coding: Coding, gapBits: number): number {
  const gaps = gapSymbols(values, gapBits);
  if (coding !== 'huffman') return gaps.length * gapBits;
  const frequencies = frequenciesOf(gaps, 2 ** gapBits);
  const lengths = codeLengths(frequencies);
  return frequencies.reduce((sum, f, s) => sum + f * lengths[s] + (f > 0 ? 8 : 0), 0);
}

interface Parts {
  readonly values: Float32Array;
  readonly kept: Float32Array;
  readonly book: Float32Array;
  readonly coding: Coding;
  readonly gapBits: number;
}

function encodeWith({ name, dims }: Tensor, { values, kept, book, coding, gapBits }: Parts): CodedTensor {
  const gaps = gapSymbols(values, gapBits);
  const writer = new BitWriter();
  const frame = { name, dims, coding, gapBits, stored: kept.length, gaps: gaps.length };
  const none = new Uint8Array(0);
  if (coding === 'floats') {
    for (const g of gaps) writer.write(g, gapBits);
    const bits = new Uint32Array(kept.buffer, kept.byteOffset, kept.length);
    for (const b of bits) writer.write(b, 32);
    return { ...frame, book: new Float32Array(0), indexLengths: none, gapLengths: none, stream: writer.finish() };
  }
  const place = new Map([...book].map((v, i) => [v, i]));
  const indices = Uint32Array.from(kept, (v) => place.get(v)!);
  if (coding === 'indices') {
    for (const g of gaps) writer.write(g, gapBits);
    for (const i of indices) writer.write(i, indexBits(book.length));
    return { ...frame, book, indexLengths: none, gapLengths: none, stream: writer.finish() };
  }
  // The table ends with the largest symbol there is: where only one is, that is it.
  const gapLengths = codeLengths(frequenciesOf(gaps, gaps.reduce((a, g) => Math.max(a, g), -1) + 1));
  const indexLengths = codeLengths(frequenciesOf(indices, book.length));
  writeSymbols(gaps, gapLengths, writer);
  writeSymbols(indices, indexLengths, writer);
  return { ...frame, book, indexLengths, gapLengths, stream: writer.finish() };
}

/** Bits that tell so many values apart. */
const indexBits = (count: number): number => Math.ceil(Math.log2(Math.max(1, count)));

function decodeTensor({ dims, coding, gapBits, stored, gaps, book, indexLengths, gapLengths, stream }: CodedTensor): Float32Array {
  const size = elementCount(dims);
  const values = new Float32Array(size);
  const reader = new BitReader(stream);
  const fixed = (count: number, bits: number): Uint32Array => Uint32Array.from({ length: count }, () => reader.read(bits));
  const symbols = coding === 'huffman' ? readSymbols(gaps, gapLengths, reader, gapLengths.length - 1) : fixed(gaps, gapBits);
  const positions = positionsOf(symbols, gapBits, size);
  if (positions.length !== stored) throw damaged();
  if (coding === 'floats') {
    const floats = new Float32Array(fixed(stored, 32).buffer);
    positions.forEach((p, i) => {
      values[p] = floats[i];
    });
    return values;
  }
  const indices = coding === 'huffman' ? readSymbols(stored, indexLengths, reader) : fixed(stored, indexBits(book.length));
  positions.forEach((p, i) => {
    if (indices[i] >= book.length) throw damaged();
    values[p] = book[indices[i]];
  });
  return values;
}

function directoryOf(tensors: readonly CodedTensor[]): Buffer {
  const parts: Buffer[] = [];
  const uint = (value: number, bytes: 1 | 2 | 4): void => {
    const b = Buffer.alloc(bytes);
    b.writeUIntLE(value, 0, bytes);
    parts.push(b);
  };
  uint(tensors.length, 4);
  for (const t of tensors) {
    const name = Buffer.from(t.name, 'utf8');
    uint(name.length, 2);
    parts.push(name);
    uint(t.dims.length, 1);
    for (const d of t.dims) uint(d, 4);
    uint(CODINGS.indexOf(t.coding), 1);
    uint(t.gapBits, 1);
    for (const count of [t.stored, t.gaps, t.book.length, t.gapLengths.length, t.stream.length]) uint(count, 4);
    for (const v of t.book) {
      const b = Buffer.alloc(4);
      b.writeFloatLE(v);
      parts.push(b);
    }
    parts.push(Buffer.from(t.indexLengths), Buffer.from(t.gapLengths));
  }
  return Buffer.concat(parts);
}

function readDirectory(directory: Buffer, streams: Buffer): { tensors: CodedTensor[]; end: number } {
  let at = 0;
  let used = 0;
  const take = (bytes: number): Buffer => {
    if (at + bytes > directory.length) throw damaged();
    at += bytes;
    return directory.subarray(at - bytes, at);
  };
  const uint = (bytes: 1 | 2 | 4): number => take(bytes).readUIntLE(0, bytes);
  const tensors = Array.from({ length: uint(4) }, (): CodedTensor => {
    const name = take(uint(2)).toString('utf8');
    const dims = Array.from({ length: uint(1) }, () => uint(4));
    const coding = CODINGS[uint(1)];
    const gapBits = uint(1);
    const [stored, gaps, books, gapTable, streamBytes] = Array.from({ length: 5 }, () => uint(4));
    const bytes = take(4 * books);
    const book = Float32Array.from({ length: books }, (_, i) => bytes.readFloatLE(4 * i));
    const indexLengths = Uint8Array.from(take(coding === 'huffman' ? books : 0));
    const gapLengths = Uint8Array.from(take(gapTable));
    // A weight takes at least its place in the tensor; sizes beyond that are damage, not memory to ask for.
    if (coding === undefined || gapBits > 16 || stored > elementCount(dims) || gaps > 2 * elementCount(dims)) throw damaged();
    if (used + streamBytes > streams.length) throw damaged();
    used += streamBytes;
    const stream = streams.subarray(used - streamBytes, used);
    return { name, dims, coding, gapBits, stored, gaps, book, indexLengths, gapLengths, stream };
  });
  if (used !== streams.length) throw damaged();
  return { tensors, end: at };
}

const damaged = (cause?: unknown): UserError =>
  new UserError('the Deep Compression file is damaged or was cut short', 'Write it again.', { cause });
