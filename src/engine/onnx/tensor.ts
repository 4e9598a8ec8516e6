/** Constant tensors: a name, a type, dimensions and little-endian bytes; typed views are made when asked for. */
import { UserError } from '../errors';
import type { Int64, TensorProto, UnknownFields } from './schema';

/** TensorProto.DataType numbers by name, and bits per element. */
const TYPES = {
  float32: [1, 32],
  uint8: [2, 8],
  int8: [3, 8],
  uint16: [4, 16],
  int16: [5, 16],
  int32: [6, 32],
  int64: [7, 64],
  string: [8, 0],
  bool: [9, 8],
  float16: [10, 16],
  float64: [11, 64],
  uint32: [12, 32],
  uint64: [13, 64],
  complex64: [14, 64],
  complex128: [15, 128],
  bfloat16: [16, 16],
  float8e4m3fn: [17, 8],
  float8e4m3fnuz: [18, 8],
  float8e5m2: [19, 8],
  float8e5m2fnuz: [20, 8],
  uint4: [21, 4],
  int4: [22, 4],
  float4e2m1: [23, 4],
} as const;

export type DataType = keyof typeof TYPES;

const BY_CODE = new Map<number, DataType>(Object.entries(TYPES).map(([name, [code]]) => [code, name as DataType]));

export const dataTypeCode = (type: DataType): number => TYPES[type][0];
export const dataTypeOf = (code: number | undefined): DataType | undefined => BY_CODE.get(code ?? 0);
export const bitsPerElement = (type: DataType): number => TYPES[type][1];
export const isFloat = (type: DataType): boolean => type === 'float32' || type === 'float16' || type === 'float64' || type === 'bfloat16';

/** Product of the dimensions: the number of elements. */
export const elementCount = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

export class Tensor {
  constructor(
    readonly name: string,
    readonly type: DataType,
    readonly dims: readonly number[],
    /** Elements in row-major order, little endian, 4-bit types two to a byte (low nibble first). May be a view of a file. */
    readonly bytes: Uint8Array,
    /** Only for type 'string'. */
    readonly strings?: readonly Uint8Array[],
    /** Fields of the file's tensor that Espalier does not read; written back as they were. */
    readonly unknown?: UnknownFields,
  ) {}

  static float32(name: string, dims: readonly number[], data: Float32Array): Tensor {
    return new Tensor(name, 'float32', dims, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }

  static int64(name: string, dims: readonly number[], values: readonly number[]): Tensor {
    return new Tensor(name, 'int64', dims, new Uint8Array(BigInt64Array.from(values, toInt64).buffer));
  }

  /** A one-dimensional int64 tensor, as shapes, axes and pads are given. */
  static ints(name: string, values: readonly number[]): Tensor {
    return Tensor.int64(name, [values.length], values);
  }

  static scalar(name: string, value: number): Tensor {
    return Tensor.float32(name, [], Float32Array.of(value));
  }

  get size(): number {
    return elementCount(this.dims);
  }

  renamed(name: string): Tensor {
    return new Tensor(name, this.type, this.dims, this.bytes, this.strings, this.unknown);
  }

  /** The same bytes under other dimensions of the same product. */
  reshaped(dims: readonly number[]): Tensor {
    return new Tensor(this.name, this.type, dims, this.bytes, this.strings, this.unknown);
  }

  /** Elements as float32: a view where type and alignment allow it, else a converted copy. Never write to it. */
  floats(): Float32Array {
    if (this.type === 'float32') {
      const { buffer, byteOffset } = this.bytes;
      if (byteOffset % 4 === 0) return new Float32Array(buffer, byteOffset, this.size);
      // The bytes may be a Buffer's, whose `slice` does not copy.
      return new Float32Array(new Uint8Array(this.bytes).buffer, 0, this.size);
    }
    return Float32Array.from(this.numbers());
  }

  /** Elements as numbers, whatever the numeric type; 64-bit integers lose what a double cannot hold. */
  numbers(): number[] {
    const n = this.size;
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    const read = (get: (i: number) => number): number[] => Array.from({ length: n }, (_, i) => get(i));
    switch (this.type) {
      case 'float32':
        return read((i) => view.getFloat32(4 * i, true));
      case 'float64':
        return read((i) => view.getFloat64(8 * i, true));
      case 'int64':
        return read((i) => Number(view.getBigInt64(8 * i, true)));
      case 'uint64':
        return read((i) => Number(view.getBigUint64(8 * i, true)));
      case 'int32':
        return read((i) => view.getInt32(4 * i, true));
      case 'uint32':
        return read((i) => view.getUint32(4 * i, true));
      case 'int16':
        return read((i) => view.getInt16(2 * i, true));
      case 'uint16':
        return read((i) => view.getUint16(2 * i, true));
      case 'int8':
        return read((i) => view.getInt8(i));
      case 'uint8':
      case 'bool':
        return read((i) => view.getUint8(i));
      case 'float16':
        return read((i) => halfToNumber(view.getUint16(2 * i, true)));
      case 'bfloat16':
        return read((i) => bfloat16ToNumber(view.getUint16(2 * i, true)));
      case 'uint4':
      case 'int4':
        return read((i) => {
          const nibble = (view.getUint8(i >> 1) >> (i & 1 ? 4 : 0)) & 15;
          return this.type === 'int4' && nibble > 7 ? nibble - 16 : nibble;
        });
      default:
        throw new UserError(`tensor '${this.name}' is of type ${this.type}, which has no numeric value here`);
    }
  }
}

/** Numbers past the range arise from ends such as INT64_MAX, which a double cannot hold exactly. */
function toInt64(value: number): bigint {
  if (value >= 2 ** 63) return 2n ** 63n - 1n;
  return value < -(2 ** 63) ? -(2n ** 63n) : BigInt(value);
}

function halfToNumber(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const word = new DataView(new ArrayBuffer(4));
function bfloat16ToNumber(b: number): number {
  word.setUint32(0, b << 16);
  return word.getFloat32(0);
}

/** The bytes of a tensor that keeps them in another file; `needed` is how many its type and dimensions ask for. */
export type ExternalData = (p: TensorProto, needed: number) => Uint8Array;

/** Reads a file's tensor; `external` resolves data kept in a second file (see `file.ts`). */
export function tensorFromProto(p: TensorProto, external: ExternalData): Tensor {
  const name = p.name ?? '';
  const type = dataTypeOf(p.dataType);
  if (!type) throw new UserError(`tensor '${name}' has the unknown data type ${p.dataType ?? 0}`);
  const dims = p.dims.map(Number);
  if (dims.some((d) => !Number.isSafeInteger(d) || d < 0))
    throw new UserError(`tensor '${name}' has the impossible dimensions [${dims.join(', ')}]`);
  const size = elementCount(dims);
  if (!Number.isSafeInteger(size) || size > MAX_ELEMENTS)
    throw new UserError(`tensor '${name}' of dimensions [${dims.join(', ')}] is too large`);
  if (type === 'string') {
    if (p.stringData.length !== size) throw sizeError(name, dims, `${p.stringData.length} strings`);
    return new Tensor(name, type, dims, new Uint8Array(0), p.stringData, p.unknown);
  }
  const needed = Math.ceil((size * bitsPerElement(type)) / 8);
  // Some writers leave an empty raw field beside typed data.
  const hasRaw = p.rawData !== undefined && (p.rawData.byteLength > 0 || needed === 0);
  const bytes = p.dataLocation === 1 ? external(p, needed) : hasRaw ? p.rawData! : typedData(p, type, size);
  if (bytes.byteLength !== needed) throw sizeError(name, dims, `${bytes.byteLength} bytes where ${needed} belong`);
  return new Tensor(name, type, dims, bytes, undefined, p.unknown);
}

/** More elements would need more bytes than a number counts exactly. */
const MAX_ELEMENTS = Number.MAX_SAFE_INTEGER / 128;

const sizeError = (name: string, dims: readonly number[], what: string): UserError =>
  new UserError(
    `tensor '${name}' of dimensions [${dims.join(', ')}] holds ${what}`,
    'The file is damaged or was cut short; export it again.',
  );

/** The older way to store data: one typed list per kind instead of raw bytes. */
function typedData(p: TensorProto, type: DataType, size: number): Uint8Array {
  const bytesOf = (a: ArrayBufferView): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
  const list = (items: Int64[] | undefined): Int64[] => items ?? [];
  switch (type) {
    case 'float32':
      return bytesOf(p.floatData ?? new Float32Array(0));
    case 'float64':
      return bytesOf(p.doubleData ?? new Float64Array(0));
    case 'complex64':
      return bytesOf(p.floatData ?? new Float32Array(0));
    case 'int64':
      return bytesOf(BigInt64Array.from(list(p.int64Data), BigInt));
    case 'uint64':
      return bytesOf(BigUint64Array.from(list(p.uint64Data), BigInt));
    case 'uint32':
      return bytesOf(Uint32Array.from(list(p.uint64Data), Number));
    case 'int32':
      return bytesOf(Int32Array.from(list(p.int32Data), Number));
    case 'int16':
    case 'uint16':
    case 'float16':
    case 'bfloat16':
      return bytesOf(Uint16Array.from(list(p.int32Data), Number));
    default:
      // Four-bit types come two to an int32 item's low byte, as in raw data.
      return bytesOf(Uint8Array.from(list(p.int32Data), Number)).subarray(0, Math.ceil((size * bitsPerElement(type)) / 8));
  }
}

export function tensorToProto(t: Tensor): TensorProto {
  return {
    name: t.name,
    dataType: dataTypeCode(t.type),
    dims: [...t.dims],
    // Strings have no raw form.
    stringData: t.strings ? [...t.strings] : [],
    rawData: t.strings ? undefined : t.bytes,
    externalData: [],
    unknown: t.unknown,
  };
}
