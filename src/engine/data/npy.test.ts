import { join } from 'node:path';
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { datasetFromArrays } from './arrays';
import { readUnlabelled } from './label-free';
import { parseNpy, readNpz } from './npy';
import { errorOf, npyBytes, put, raw, temporaryFolder } from './testing/sample-files';

const folder = temporaryFolder();
const bytes6 = npyBytes('|u1', [2, 3], Uint8Array.of(1, 2, 3, 4, 5, 6));

describe('npy', () => {
  it.each([
    ['|u1', Uint8Array.of(1, 2, 255)],
    ['<i4', Int32Array.of(1, -2, 2147483647)],
    ['<f4', Float32Array.of(0.5, -2, 1e20)],
    ['<f8', Float64Array.of(0.5, -2, 4)],
    ['<i8', BigInt64Array.of(1n, -2n, 2147483647n)],
  ])('reads %s in all three versions', (descriptor, values) => {
    for (const version of [1, 2, 3]) {
      const array = parseNpy(npyBytes(descriptor, [3], raw(values), { version }), 'a.npy');
      expect(array.shape).toEqual([3]);
      expect([...array.values]).toEqual([...values].map(Number));
    }
  });

  it('reads values at odd addresses', () => {
    const file = npyBytes('<f4', [2], raw(Float32Array.of(3, 4)));
    const moved = new Uint8Array(file.length + 1);
    moved.set(file, 1);
    expect([...parseNpy(moved.subarray(1), 'odd').values]).toEqual([3, 4]);
    expect([...parseNpy(Buffer.from(moved).subarray(1), 'odd').values], 'a Buffer').toEqual([3, 4]);
  });

  it.each([
    ['Fortran order', npyBytes('<f4', [1], new Uint8Array(4), { fortran: true }), /x\.npy is stored in Fortran order, expected C order/],
    ['type', npyBytes('<c8', [1], new Uint8Array(8)), /x\.npy holds values of type <c8, expected one of/],
    ['big-endian', npyBytes('>f4', [1], new Uint8Array(4)), /values of type >f4/],
    ['short', bytes6.subarray(0, bytes6.length - 2), /should have 134 bytes for its shape \(2, 3\) and type u1, found 132/],
    ['header', bytes6.subarray(0, 40), /ends within its header: expected 128 bytes, found 40/],
    ['magic', Uint8Array.from({ length: 20 }, () => 1), /is not a \.npy file/],
    ['version', bytes6.map((b, i) => (i === 6 ? 9 : b)), /version 9, expected 1, 2 or 3/],
    ['large', npyBytes('<i8', [2], raw(BigInt64Array.of(1n, 5_000_000_000n))), /value at position 1 that does not fit 32 bits/],
  ])('%s: says what is wrong', (_, bytes, sentence) => {
    const error = errorOf(() => parseNpy(bytes, 'x.npy'));
    expect(error.name).toBe('UserError');
    expect(error.message).toMatch(sentence);
  });
});

describe('npz', () => {
  it('reads stored and deflated members', () => {
    const path = put(
      join(folder, 'pair.npz'),
      zipSync({ 'x.npy': [bytes6, { level: 6 }], 'y.npy': [npyBytes('<i8', [2], raw(BigInt64Array.of(1n, 0n))), { level: 0 }] }),
    );
    const arrays = readNpz(path);
    expect([...arrays.keys()]).toEqual(['x', 'y']);
    expect([...arrays.get('x')!.values]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...arrays.get('y')!.values]).toEqual([1, 0]);
  });

  it('says what is wrong', () => {
    const whole = zipSync({ 'x.npy': bytes6 });
    expect(errorOf(() => readNpz(put(join(folder, 'cut.npz'), whole.subarray(0, 60)))).message).toMatch(
      /cut\.npz is not a whole \.npz archive/,
    );
    expect(errorOf(() => readNpz(put(join(folder, 'none.npz'), zipSync({ 'a.txt': Uint8Array.of(1) })))).message).toMatch(
      /holds no \.npy arrays/,
    );
    expect(errorOf(() => readNpz(put(join(folder, 'no.npz'), bytes6))).message).toMatch(/not a \.npz archive/);
    const inner = put(join(folder, 'inner.npz'), zipSync({ 'x.npy': bytes6.subarray(0, 100) }));
    expect(errorOf(() => readNpz(inner)).message).toMatch(/inner\.npz › x\.npy ends within its header/);
  });
});

describe('data sets from arrays', () => {
  const named = (descriptor: string, shape: number[], values: Parameters<typeof raw>[0], name = 'a.npy') => ({
    name,
    array: parseNpy(npyBytes(descriptor, shape, raw(values)), name),
  });

  it('gives grey byte images a channel axis and turns channels to the front', () => {
    expect(datasetFromArrays('d', named('|u1', [2, 1, 3], new Uint8Array(6))).shape).toEqual([1, 1, 3]);
    expect(datasetFromArrays('d', named('<f4', [2, 3], new Float32Array(6))).shape).toEqual([3]);
    const last = named(
      '|u1',
      [1, 2, 2, 3],
      Uint8Array.from({ length: 12 }, (_, i) => i),
    );
    const data = datasetFromArrays('d', last);
    expect(data.shape).toEqual([3, 2, 2]);
    expect([...data.inputs]).toEqual([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
    expect(datasetFromArrays('d', last, undefined, 'channels-first').shape).toEqual([2, 2, 3]);
  });

  it('checks labels', () => {
    const inputs = named('<f4', [2, 3], new Float32Array(6));
    expect(datasetFromArrays('d', inputs, named('<i4', [2, 1], Int32Array.of(3, 0)))).toMatchObject({
      classes: 4,
      labels: Int32Array.of(3, 0),
    });
    expect(errorOf(() => datasetFromArrays('d', inputs, named('<i4', [3], new Int32Array(3), 'y.npy'))).message).toMatch(
      /y\.npy has the shape \(3\), expected one label for each of the 2 samples of a\.npy/,
    );
    expect(errorOf(() => datasetFromArrays('d', inputs, named('<i4', [2], Int32Array.of(0, -5), 'y.npy'))).message).toMatch(
      /y\.npy has the label -5 at position 1/,
    );
    expect(errorOf(() => datasetFromArrays('d', named('<f4', [4], new Float32Array(4)))).message).toMatch(
      /shape \(4\), expected the number of samples/,
    );
  });

  it('reads unlabelled inputs of .npy and .npz files', () => {
    const npy = put(join(folder, 'inputs.npy'), bytes6);
    expect(readUnlabelled(npy)).toMatchObject({ count: 2, shape: [3] });
    expect(readUnlabelled(npy).labels).toBeUndefined();
    const one = put(join(folder, 'one.npz'), zipSync({ 'anything.npy': bytes6 }));
    expect(readUnlabelled(one).count).toBe(2);
    const two = put(join(folder, 'two.npz'), zipSync({ 'a.npy': bytes6, 'b.npy': bytes6 }));
    expect(errorOf(() => readUnlabelled(two)).message).toMatch(/two\.npz holds the arrays a, b, and none of them is called/);
  });
});
