import { describe, expect, test } from 'vitest';
import { lenet5 } from '../architectures/lenet5';
import { quantizableLayers } from '../graph/layers';
import { modelBytes } from '../onnx/file';
import { type Model, withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { Random } from '../random';
import { CODINGS, decodeModel, encodeModel } from './deep-compression-file';
import { kMeans } from './k-means';
import { gapSymbols, positionsOf } from './sparse-positions';

/** LeNet-5 with a share of its weights at zero and the others at `k` values a layer. */
function sharedModel(sparsity: number, k: number): { model: Model; weights: string[] } {
  const random = new Random(4);
  const model = lenet5.build({ classes: 10, random });
  const weights = quantizableLayers(model).map((l) => l.weight);
  const initializers = new Map(model.graph.initializers);
  for (const name of weights) {
    const t = initializers.get(name)!;
    const kept = Float32Array.from(t.floats(), (v) => (random.uniform() < sparsity ? 0 : v));
    const nonzero = kept.filter((v) => v !== 0);
    const { centroids, assignment } = kMeans(nonzero, k, 'linear');
    let at = 0;
    initializers.set(
      name,
      Tensor.float32(
        name,
        t.dims,
        kept.map((v) => (v === 0 ? 0 : centroids[assignment[at++]])),
      ),
    );
  }
  return { model: withGraph(model, { initializers }), weights };
}

/** Of the whole models as files. */
const sameBytes = (a: Model, b: Model): boolean => Buffer.compare(modelBytes(a), modelBytes(b)) === 0;

describe.each([
  { sparsity: 0, k: 256 },
  { sparsity: 0.9, k: 32 },
  { sparsity: 0.999, k: 4 },
  { sparsity: 1, k: 4 },
])('$sparsity of the weights zero, $k values a layer', ({ sparsity, k }) => {
  const { model, weights } = sharedModel(sparsity, k);

  test.each(CODINGS)('%s: decodes to the same model, byte for byte', (coding) => {
    expect(sameBytes(decodeModel(encodeModel(model, weights, coding)), model)).toBe(true);
  });
});

test('each step of the method makes the file smaller', () => {
  const { model, weights } = sharedModel(0.9, 32);
  const [floats, indices, huffman] = CODINGS.map((c) => encodeModel(model, weights, c).length);
  expect(floats).toBeLessThan(modelBytes(model).length / 3);
  expect(indices).toBeLessThan(floats / 2);
  expect(huffman).toBeLessThan(indices);
});

test('weights with more values than a code book has stay the floats they are', () => {
  const random = new Random(9);
  const { model } = sharedModel(0, 4);
  const initializers = new Map(model.graph.initializers);
  const many = Tensor.float32(
    'fc1.weight',
    [300, 400],
    Float32Array.from({ length: 120_000 }, () => random.normal()),
  );
  initializers.set(many.name, many);
  const wide = withGraph(model, { initializers });
  expect(sameBytes(decodeModel(encodeModel(wide, [many.name], 'huffman')), wide)).toBe(true);
});

test('steps between weights: zeros are counted, long runs take several symbols', () => {
  const values = Float32Array.of(1, 0, 0, 2, 3, 0, 0, 0, 0, 0, 4, 0);
  // 2 bits: at most 2 zeros before a weight; 3 says three zeros and no weight.
  expect([...gapSymbols(values, 2)]).toEqual([0, 2, 0, 3, 2]);
  expect([...gapSymbols(values, 4)]).toEqual([0, 2, 0, 5]);
  expect([...positionsOf([0, 2, 0, 3, 2], 2, 12)]).toEqual([0, 3, 4, 10]);
  expect(() => positionsOf([3, 3, 1], 2, 7)).toThrow('do not fit their tensor');
});

describe('damaged files', () => {
  const { model, weights } = sharedModel(0.9, 16);
  const whole = encodeModel(model, weights, 'huffman');

  test('another file, a newer version, a cut', () => {
    expect(() => decodeModel(modelBytes(model))).toThrow('its signature is missing');
    expect(() => decodeModel(whole.with(4, 9))).toThrow('the file is of version 9');
    for (const end of [6, 11, 40, whole.length - 1]) expect(() => decodeModel(whole.subarray(0, end))).toThrow('damaged');
  });

  test('a bit that is wrong anywhere gives an error for people or another model, never anything else', () => {
    const random = new Random(1);
    for (let trial = 0; trial < 60; trial++) {
      const at = 8 + random.below(whole.length - 8);
      try {
        decodeModel(whole.with(at, whole[at] ^ (1 << random.below(8))));
      } catch (e) {
        expect((e as Error).name, String((e as Error).stack)).toBe('UserError');
      }
    }
  });
});
