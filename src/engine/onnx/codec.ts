/**
 * Protobuf messages from and to bytes, driven by the field tables of `schema.ts`.
 * The wire format itself is @bufbuild/protobuf's; here are only the tables' application and two properties that large models need:
 * decoding never copies a `bytes` field (it is a view of the file), and encoding returns a list of chunks in which large fields
 * are passed by reference, so that a 500 MB model is written without being assembled in memory.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { UserError } from '../errors';
import type { FieldSpec, Int64, MessageSpec, UnknownFields } from './schema';

type Decoded = Record<string, unknown> & { unknown?: UnknownFields };

/** Nested subgraphs (If, Loop) deeper than this are taken for damage, not for a model. */
const MAX_DEPTH = 64;
/** Bytes fields from this length on are passed by reference when encoding. */
const BY_REFERENCE = 4096;

const exact = (v: bigint | string): Int64 => {
  const big = BigInt(v);
  const n = Number(big);
  return Number.isSafeInteger(n) ? n : big;
};

/**
 * Decodes one message.
 * @throws UserError where the bytes are not such a message; the sentence names the message and the offset.
 */
export function decode<T>(bytes: Uint8Array, spec: MessageSpec): T {
  return decodeMessage(bytes, spec, 0) as T;
}

function decodeMessage(bytes: Uint8Array, spec: MessageSpec, depth: number): Decoded {
  if (depth > MAX_DEPTH) throw new UserError(`${spec.name} is nested more than ${MAX_DEPTH} deep: the file is damaged`);
  const reader = new BinaryReader(bytes);
  const out: Decoded = {};
  for (const field of spec.fields.values()) {
    if (field.repeated && (typeof field.kind === 'function' || field.kind === 'string' || field.kind === 'bytes')) out[field.key] = [];
  }
  if (spec.name === 'TensorProto') out.dims = [];
  /** Packed parts of repeated floats, joined at the end: writers of the older syntax give every number a field of its own. */
  const floatParts = new Map<FieldSpec, Uint8Array[]>();
  while (reader.pos < reader.len) {
    const start = reader.pos;
    try {
      const [no, wire] = reader.tag();
      const field = spec.fields.get(no);
      if (field && accepts(field, wire)) {
        readField(reader, field, wire, out, depth, floatParts);
      } else {
        out.unknown ??= [];
        out.unknown.push([no, wire, reader.skip(wire, no)]);
      }
    } catch (cause) {
      if (cause instanceof UserError) throw cause;
      throw new UserError(`not a valid ${spec.name}: unreadable field at byte ${start}`, undefined, { cause });
    }
  }
  for (const [field, parts] of floatParts) out[field.key] = littleEndianFloats(parts, field.kind as 'float' | 'double');
  return out;
}

/** A field of the wrong wire type is kept as unknown rather than misread. */
function accepts(field: FieldSpec, wire: WireType): boolean {
  if (typeof field.kind === 'function' || field.kind === 'string' || field.kind === 'bytes') return wire === WireType.LengthDelimited;
  if (field.repeated && wire === WireType.LengthDelimited) return true;
  if (field.kind === 'float') return wire === WireType.Bit32;
  if (field.kind === 'double') return wire === WireType.Bit64;
  return wire === WireType.Varint;
}

function readField(
  reader: BinaryReader,
  field: FieldSpec,
  wire: WireType,
  out: Decoded,
  depth: number,
  floatParts: Map<FieldSpec, Uint8Array[]>,
): void {
  const { key, kind, repeated } = field;
  if (typeof kind === 'function') {
    const child = decodeMessage(reader.bytes(), kind(), depth + 1);
    if (repeated) (out[key] as Decoded[]).push(child);
    else out[key] = child;
    return;
  }
  if (kind === 'string' || kind === 'bytes') {
    const value = kind === 'string' ? reader.string() : reader.bytes();
    if (repeated) (out[key] as unknown[]).push(value);
    else out[key] = value;
    return;
  }
  if (!repeated) {
    out[key] = readScalar(reader, kind);
    return;
  }
  if (kind === 'float' || kind === 'double') {
    const bytes = wire === WireType.LengthDelimited ? reader.bytes() : reader.skip(wire);
    if (bytes.byteLength % (kind === 'float' ? 4 : 8) !== 0) throw new RangeError('packed field of a fractional length');
    const parts = floatParts.get(field);
    if (parts) parts.push(bytes);
    else floatParts.set(field, [bytes]);
    return;
  }
  out[key] ??= [];
  const list = out[key] as Int64[];
  if (wire === WireType.LengthDelimited) {
    const end = reader.uint32() + reader.pos;
    if (end > reader.len) throw new RangeError('premature end');
    while (reader.pos < end) list.push(readScalar(reader, kind));
    if (reader.pos !== end) throw new RangeError('a number reaches past its packed field');
  } else {
    list.push(readScalar(reader, kind));
  }
}

function readScalar(reader: BinaryReader, kind: string): Int64 {
  switch (kind) {
    case 'float':
      return reader.float();
    case 'double':
      return reader.double();
    case 'int32':
      return reader.int32();
    case 'uint64':
      return exact(reader.uint64());
    default:
      return exact(reader.int64());
  }
}

/** One aligned copy of all parts of a packed field. */
function littleEndianFloats(parts: readonly Uint8Array[], kind: 'float' | 'double'): Float32Array | Float64Array {
  const bytes = new Uint8Array(parts.reduce((total, p) => total + p.byteLength, 0));
  let at = 0;
  for (const p of parts) {
    bytes.set(p, at);
    at += p.byteLength;
  }
  return kind === 'float' ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
}

/** An encoded message as chunks, large byte fields by reference; `byteLength` is their total. */
export interface Encoded {
  readonly chunks: Uint8Array[];
  readonly byteLength: number;
}

/** Encodes one message; fields that are undefined are left out, `unknown` fields are written last as they were read. */
export function encode(message: object, spec: MessageSpec): Encoded {
  const chunks: Uint8Array[] = [];
  let total = 0;
  let writer = new BinaryWriter();
  const flush = () => {
    const small = writer.finish();
    writer = new BinaryWriter();
    if (small.byteLength > 0) push(small);
  };
  const push = (chunk: Uint8Array) => {
    chunks.push(chunk);
    total += chunk.byteLength;
  };
  const delimited = (no: number, parts: Encoded) => {
    writer.tag(no, WireType.LengthDelimited).uint32(parts.byteLength);
    if (parts.byteLength < BY_REFERENCE) {
      for (const c of parts.chunks) writer.raw(c);
      return;
    }
    flush();
    for (const c of parts.chunks) push(c);
  };
  const source = message as Decoded;
  for (const [no, field] of spec.fields) {
    const value = source[field.key];
    if (value === undefined) continue;
    const { kind } = field;
    if (typeof kind === 'function') {
      for (const item of field.repeated ? (value as object[]) : [value as object]) delimited(no, encode(item, kind()));
    } else if (kind === 'string') {
      for (const item of field.repeated ? (value as string[]) : [value as string]) writer.tag(no, WireType.LengthDelimited).string(item);
    } else if (kind === 'bytes') {
      for (const item of field.repeated ? (value as Uint8Array[]) : [value as Uint8Array]) {
        delimited(no, { chunks: [item], byteLength: item.byteLength });
      }
    } else if (!field.repeated) {
      writer.tag(no, wireOf(kind));
      writeScalar(writer, kind, value as Int64);
    } else if ((value as ArrayLike<number>).length > 0) {
      if (kind === 'float' || kind === 'double') {
        const a = value as Float32Array;
        const bytes = new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
        delimited(no, { chunks: [bytes], byteLength: bytes.byteLength });
      } else {
        const packed = new BinaryWriter();
        for (const item of value as Int64[]) writeScalar(packed, kind, item);
        const bytes = packed.finish();
        delimited(no, { chunks: [bytes], byteLength: bytes.byteLength });
      }
    }
  }
  for (const [no, wire, data] of source.unknown ?? []) writer.tag(no, wire).raw(data);
  flush();
  return { chunks, byteLength: total };
}

const wireOf = (kind: string): WireType => (kind === 'float' ? WireType.Bit32 : kind === 'double' ? WireType.Bit64 : WireType.Varint);

function writeScalar(writer: BinaryWriter, kind: string, value: Int64): void {
  switch (kind) {
    case 'float':
      writer.float(Number(value));
      break;
    case 'double':
      writer.double(Number(value));
      break;
    case 'int32':
      writer.int32(Number(value));
      break;
    case 'uint64':
      writer.uint64(value);
      break;
    default:
      writer.int64(value);
  }
}
