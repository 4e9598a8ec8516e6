import { describe, expect, it } from 'vitest';
import { lenet5 } from '../../architectures/lenet5';
import { UserError } from '../../errors';
import { type Model, makeNode, type Node } from '../../onnx/model';
import { type DataType, Tensor } from '../../onnx/tensor';
import { quantizeLayer, withDequantizedWeights } from '../../quantization/quantized-layer';
import { quantizeLayers, quantizeModel } from '../../quantization/write-quantized';
import { Random } from '../../random';
import { quantizableLayers } from '../layers';
import { quantizedForm } from '../quantized-form';
import { dequantize } from './dequantize';
import { normalize } from './normalize';
import { removeIdentity } from './remove-identity';
import { answersOf, expectSameAnswers, normals, operatorsOf, tinyGraph, value } from './testing/same-outputs';

const random = new Random(3);
const normal = normals(4);
const codes = (name: string, type: DataType, dims: readonly number[], values: readonly number[]): Tensor => {
  const data = type === 'int32' ? Int32Array.from(values) : type === 'int8' ? Int8Array.from(values) : Uint8Array.from(values);
  return new Tensor(name, type, dims, new Uint8Array(data.buffer));
};
const drawn = (name: string, type: DataType, dims: readonly number[], low: number, high: number): Tensor =>
  codes(
    name,
    type,
    dims,
    Array.from({ length: dims.reduce((a, d) => a * d, 1) }, () => low + random.below(high - low + 1)),
  );

/** The largest difference between two models, as a share of the largest value. */
async function distance(a: Model, b: Model): Promise<number> {
  const [x, y] = [Object.values(await answersOf(a))[0].data, Object.values(await answersOf(b))[0].data];
  const scale = x.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  return x.reduce((most, v, i) => Math.max(most, Math.abs(v - y[i])), 0) / scale;
}

describe('our own exports, dequantised, are the float model with quantised weights', () => {
  const model = lenet5.build({ classes: 10, random });
  const bits = Object.fromEntries(quantizableLayers(model).map((l, i) => [l.name, [8, 4, 3, 2, 8][i]]));
  const calibration = { inputs: Float32Array.from({ length: 20 * 784 }, () => random.uniform()), shape: [1, 28, 28], count: 20 };

  it.each(['u8', 'float'] as const)('activations: %s', async (activations) => {
    const written = await quantizeModel(model, quantizeLayers(model, bits), { activations, calibration });
    expect(quantizedForm(written)).toBeDefined();
    const result = dequantize(written);
    expect(result.modified).toBe(true);
    expect(operatorsOf(result.model)).toBe(operatorsOf(removeIdentity(model).model));
    expect(quantizedForm(result.model)).toBeUndefined();
    const layers = quantizableLayers(model).map((l) => quantizeLayer(model, l, bits[l.name]));
    // Biases became 32-bit codes, whose rounding is the only difference.
    await expectSameAnswers(withDequantizedWeights(model, layers), result.model, activations === 'u8' ? 3e-4 : 1e-6);
  });

  it('says how the model is quantised', async () => {
    const written = await quantizeModel(model, quantizeLayers(model, bits), { activations: 'u8', calibration });
    expect(quantizedForm(model)).toBeUndefined();
    expect(quantizedForm(written)).toMatch(/^\d+ DequantizeLinear, \d+ QuantizeLinear$/);
    expect(normalize(written).notes[0]).toContain('the model is quantised already');
    expect(normalize(written, { dequantize: true }).notes).toEqual([]);
  });
});

const scale = (name: string, ...values: number[]): Tensor =>
  Tensor.float32(name, values.length === 1 ? [] : [values.length], Float32Array.from(values));
const zero = (name: string, type: DataType, v: number): Tensor => codes(name, type, [], [v]);
const input = [makeNode('QuantizeLinear', ['x', 'xs', 'xz'], ['xq'])];
const inputScale = [scale('xs', 0.03), zero('xz', 'uint8', 120)];
const output = (from: string): Node => makeNode('DequantizeLinear', [from, 'ys', 'yz'], ['y']);

const rows: ReadonlyArray<readonly [name: string, model: () => Model, operators: string]> = [
  [
    'QLinearConv whose codes end at zero: the Relu comes back',
    () =>
      tinyGraph(
        [
          ...input,
          makeNode('QLinearConv', ['xq', 'xs', 'xz', 'w', 'ws', 'wz', 'ys', 'yz', 'b'], ['yq']),
          makeNode('MaxPool', ['yq'], ['pq'], { kernel_shape: [2, 2] }),
          output('pq'),
        ],
        [
          ...inputScale,
          drawn('w', 'int8', [4, 3, 3, 3], -100, 100),
          scale('ws', 0.01, 0.02, 0.005, 0.01),
          codes('wz', 'int8', [4], [0, 0, 0, 0]),
          scale('ys', 0.2),
          zero('yz', 'uint8', 0),
          drawn('b', 'int32', [4], -3000, 3000),
        ],
        value('x', 'N', 3, 6, 6),
        value('y', 'N', 4, 3, 3),
      ),
    'Conv Relu MaxPool',
  ],
  [
    'QLinearMatMul, then QLinearAdd of a branch',
    () =>
      tinyGraph(
        [
          ...input,
          makeNode('QLinearMatMul', ['xq', 'xs', 'xz', 'w', 'ws', 'wz', 'ys', 'yz'], ['mq']),
          makeNode('QLinearAdd', ['mq', 'ys', 'yz', 'mq', 'ys', 'yz', 'ts', 'tz'], ['aq'], {}, { domain: 'com.microsoft' }),
          makeNode('DequantizeLinear', ['aq', 'ts', 'tz'], ['y']),
        ],
        [
          ...inputScale,
          drawn('w', 'uint8', [8, 5], 0, 255),
          scale('ws', 0.01),
          zero('wz', 'uint8', 128),
          scale('ys', 0.15),
          zero('yz', 'uint8', 127),
          scale('ts', 0.3),
          zero('tz', 'uint8', 127),
        ],
        value('x', 'N', 8),
        value('y', 'N', 5),
      ),
    'MatMul Add',
  ],
  [
    'DynamicQuantizeLinear and MatMulInteger, scaled and with a bias',
    () =>
      tinyGraph(
        [
          makeNode('DynamicQuantizeLinear', ['x'], ['q', 's', 'z']),
          makeNode('MatMulInteger', ['q', 'w', 'z', 'wz'], ['i']),
          makeNode('Cast', ['i'], ['f'], { to: 1 }),
          makeNode('Mul', ['s', 'ws'], ['scales']),
          makeNode('Mul', ['f', 'scales'], ['m']),
          makeNode('Add', ['m', 'b'], ['y']),
        ],
        [drawn('w', 'int8', [8, 5], -100, 100), zero('wz', 'int8', 3), scale('ws', 0.01), normal('b', 5)],
        value('x', 'N', 8),
        value('y', 'N', 5),
      ),
    'Gemm',
  ],
  [
    'ConvInteger',
    () =>
      tinyGraph(
        [
          makeNode('DynamicQuantizeLinear', ['x'], ['q', 's', 'z']),
          makeNode('ConvInteger', ['q', 'w', 'z'], ['i'], { pads: [1, 1, 1, 1] }),
          makeNode('Cast', ['i'], ['f'], { to: 1 }),
          makeNode('Mul', ['s', 'ws'], ['scales']),
          makeNode('Mul', ['f', 'scales'], ['y']),
        ],
        [drawn('w', 'uint8', [4, 3, 3, 3], 0, 20), scale('ws', 0.01)],
        value('x', 'N', 3, 6, 6),
        value('y', 'N', 4, 6, 6),
      ),
    'Conv',
  ],
];

describe('operators on codes', () => {
  it.each(rows)('%s', async (_, make, operators) => {
    const model = make();
    const result = dequantize(model);
    expect(operatorsOf(result.model)).toBe(operators);
    // What is left is the rounding of activations to 8 bits.
    expect(await distance(model, result.model)).toBeLessThan(0.03);
  });

  it('a model that is not quantised is left alone', () => {
    const model = tinyGraph([makeNode('Relu', ['x'], ['y'])], [], value('x', 'N', 4), value('y', 'N', 4));
    expect(dequantize(model)).toEqual({ model, modified: false });
  });

  it('names what cannot be turned back', () => {
    const model = tinyGraph(
      [makeNode('QLinearSoftmax', ['x', 's', 'z', 's', 'z'], ['y'], {}, { domain: 'com.microsoft', name: 'odd' })],
      [scale('s', 1), zero('z', 'uint8', 0)],
      value('x', 'N', 4),
      value('y', 'N', 4),
    );
    expect(() => dequantize(model)).toThrow(UserError);
    expect(() => dequantize(model)).toThrow("QLinearSoftmax 'odd' cannot be turned back into floats");
  });
});
