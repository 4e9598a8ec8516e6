import { describe, expect, it } from 'vitest';
import type { TensorProto } from './schema';
import { type DataType, dataTypeCode, Tensor, tensorFromProto, tensorToProto } from './tensor';

const none = (): never => {
  throw new Error('no data elsewhere');
};
const read = (type: DataType, dims: number[], fields: Partial<TensorProto>): number[] =>
  tensorFromProto({ name: 't', dataType: dataTypeCode(type), dims, stringData: [], externalData: [], ...fields }, none).numbers();
const raw = (...bytes: number[]): Partial<TensorProto> => ({ rawData: Uint8Array.from(bytes) });

describe('data fields of each type', () => {
  it('reads typed lists', () => {
    expect(read('float32', [2], { floatData: Float32Array.of(1.5, -2) })).toEqual([1.5, -2]);
    expect(read('float64', [2], { doubleData: Float64Array.of(1e300, -2) })).toEqual([1e300, -2]);
    expect(read('int64', [2], { int64Data: [-(2 ** 40), 7] })).toEqual([-(2 ** 40), 7]);
    expect(read('uint64', [1], { uint64Data: [2 ** 40] })).toEqual([2 ** 40]);
    expect(read('uint32', [1], { uint64Data: [2 ** 32 - 1] })).toEqual([2 ** 32 - 1]);
    expect(read('int32', [2], { int32Data: [-5, 5] })).toEqual([-5, 5]);
    expect(read('int16', [2], { int32Data: [-5, 5] })).toEqual([-5, 5]);
    expect(read('uint16', [1], { int32Data: [65535] })).toEqual([65535]);
    expect(read('int8', [3], { int32Data: [-128, -1, 127] })).toEqual([-128, -1, 127]);
    expect(read('uint8', [2], { int32Data: [255, 0] })).toEqual([255, 0]);
    expect(read('bool', [2], { int32Data: [1, 0] })).toEqual([1, 0]);
    expect(read('float16', [2], { int32Data: [0x3c00, 0xc000] })).toEqual([1, -2]);
    expect(read('bfloat16', [2], { int32Data: [0x3f80, 0xc000] })).toEqual([1, -2]);
    expect(read('int4', [3], { int32Data: [0xf7, 0x08] })).toEqual([7, -1, -8]);
  });

  it('reads typed lists beside an empty raw field', () => {
    expect(read('float32', [1], { floatData: Float32Array.of(3), rawData: new Uint8Array(0) })).toEqual([3]);
  });

  it('knows half precision at its limits', () => {
    const values: Array<[number, number]> = [
      [0x0001, 2 ** -24],
      [0x03ff, 1023 * 2 ** -24],
      [0x0400, 2 ** -14],
      [0x7bff, 65504],
      [0x7c00, Number.POSITIVE_INFINITY],
      [0xfc00, Number.NEGATIVE_INFINITY],
      [0x3555, 0.333251953125],
      [0x8000, -0],
    ];
    for (const [bits, value] of values) expect(read('float16', [], raw(bits & 255, bits >> 8))).toEqual([value]);
    expect(read('float16', [], raw(0x01, 0x7e))).toEqual([Number.NaN]);
  });

  it('knows bfloat16 and 4-bit integers, low half first', () => {
    expect(read('bfloat16', [3], raw(0x49, 0x40, 0x80, 0x7f, 0x00, 0x80))).toEqual([3.140625, Number.POSITIVE_INFINITY, -0]);
    expect(read('uint4', [5], raw(0x21, 0x43, 0x0f))).toEqual([1, 2, 3, 4, 15]);
    expect(read('int4', [4], raw(0xf8, 0x70))).toEqual([-8, -1, 0, 7]);
  });

  it('reads floats that do not lie on a multiple of 4 bytes', () => {
    const bytes = new Uint8Array(9);
    new DataView(bytes.buffer).setFloat32(1, 2.5, true);
    expect([...new Tensor('t', 'float32', [2], bytes.subarray(1)).floats()]).toEqual([2.5, 0]);
  });

  it('keeps strings', () => {
    const strings = ['a', '', 'é'].map((s) => new TextEncoder().encode(s));
    const proto: TensorProto = { name: 't', dataType: 8, dims: [3], stringData: strings, externalData: [] };
    expect(tensorToProto(tensorFromProto(proto, none)).stringData).toEqual(strings);
  });

  it('writes INT64_MAX where a double says 2^63', () => {
    expect(new DataView(Tensor.ints('t', [2 ** 63]).bytes.buffer).getBigInt64(0, true)).toBe(2n ** 63n - 1n);
  });
});

describe('impossible tensors', () => {
  it.each([
    ['a negative length', { dims: [-1] }, /impossible dimensions \[-1\]/],
    ['too many elements', { dims: [2 ** 40, 2 ** 40] }, /too large/],
    ['an empty tensor of endless axes', { dims: [0, 2 ** 52, 2 ** 52, 2n ** 63n - 1n] }, /impossible dimensions/],
    ['too few bytes', { dims: [3], rawData: new Uint8Array(8) }, /'t' of dimensions \[3\] holds 8 bytes where 12 belong/],
    ['no bytes where many belong', { dims: [2 ** 40] }, /holds 0 bytes/],
    ['an unknown type', { dims: [], dataType: 99 }, /unknown data type 99/],
    ['missing strings', { dims: [2], dataType: 8 }, /holds 0 strings/],
  ])('names the tensor with %s', (_, fields, sentence) => {
    const proto: TensorProto = { name: 't', dataType: 1, stringData: [], externalData: [], ...fields } as TensorProto;
    expect(() => tensorFromProto(proto, none)).toThrow(sentence);
  });

  it('gives strings no numbers', () => {
    expect(() => new Tensor('t', 'string', [0], new Uint8Array(0), []).numbers()).toThrow(/'t' is of type string/);
  });
});
