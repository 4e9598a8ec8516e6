import { describe, expect, test } from 'vitest';
import { type Model, makeNode } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { Random } from '../random';
import { floatTensor, Session } from '../runtime/onnxruntime';
import {
  activationShape,
  columnsPerChannel,
  drawPositions,
  geometryOf,
  MomentEngine,
  type PatchGeometry,
  SampleMatrix,
  sampleOutputs,
  samplePatches,
} from './gram';

type Attributes = Record<string, number[] | string | number>;
const layers: Array<[string, 'Conv' | 'Gemm' | 'MatMul', number[], number[], Attributes]> = [
  ['3×3, same size', 'Conv', [3, 4, 6, 7], [5, 4, 3, 3], { pads: [1, 1, 1, 1] }],
  ['stride 2', 'Conv', [3, 2, 8, 8], [3, 2, 3, 3], { pads: [1, 1, 1, 1], strides: [2, 2] }],
  ['uneven strides, pads and dilations', 'Conv', [2, 3, 9, 10], [4, 3, 3, 2], { pads: [0, 2, 1, 0], strides: [1, 2], dilations: [2, 3] }],
  ['pads as SAME_UPPER', 'Conv', [2, 2, 7, 8], [3, 2, 3, 4], { auto_pad: 'SAME_UPPER', strides: [2, 2] }],
  ['pads as SAME_LOWER', 'Conv', [2, 2, 7, 8], [3, 2, 4, 2], { auto_pad: 'SAME_LOWER', strides: [1, 2] }],
  ['1×1', 'Conv', [2, 5, 4, 4], [2, 5, 1, 1], {}],
  ['over one axis', 'Conv', [2, 3, 12], [4, 3, 5], { pads: [2, 1], dilations: [2] }],
  ['of rows', 'MatMul', [3, 6, 5], [5, 4], {}],
  ['of features', 'Gemm', [4, 6], [6, 3], {}],
];

describe('patches times weights is the layer', () => {
  test.each(layers)('%s (%s)', async (_, opType, inputDims, weightDims, attributes) => {
    const random = new Random(1);
    const noise = (dims: readonly number[]) => Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.normal());
    const input = noise(inputDims);
    const weight = noise(weightDims);
    const node = makeNode(opType, ['x', 'w'], ['y'], attributes);
    const model: Model = {
      graph: {
        name: 'layer',
        nodes: [node],
        inputs: [{ name: 'x', type: 'float32', shape: inputDims }],
        outputs: [{ name: 'y', type: 'float32' }],
        initializers: new Map([['w', Tensor.float32('w', weightDims, weight)]]),
      },
      opsets: new Map([['', 17]]),
      irVersion: 8,
      metadata: new Map(),
      header: {},
    };
    const session = await Session.create(model, { threads: 1 });
    const { y } = await session.run({ x: floatTensor(input, inputDims) });
    await session.release();

    const geometry = geometryOf(node, weightDims, inputDims) as PatchGeometry;
    const inShape = activationShape(geometry, inputDims);
    const outShape = activationShape(geometry, y.shape);
    if (typeof inShape === 'string' || typeof outShape === 'string') throw new Error('no shape');
    const positions = drawPositions(inputDims[0], 7, outShape.height, outShape.width, random);
    const rows = inputDims[0] * positions.perImage;
    const n = outShape.channels;
    const per = columnsPerChannel(geometry);
    const matrix = new SampleMatrix(rows, inShape.channels * per, n);
    samplePatches(matrix, input, inShape, geometry, positions, 0);
    const wanted = new Float32Array(rows * n);
    sampleOutputs(wanted, y.data as Float32Array, outShape, geometry.kind, positions, 0);
    for (let r = 0; r < rows; r++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let i = 0; i < matrix.columns; i++)
          sum += matrix.data[r * matrix.width + i] * (geometry.kind === 'conv' ? weight[j * matrix.columns + i] : weight[i * n + j]);
        expect(sum).toBeCloseTo(wanted[r * n + j], 4);
      }
    }
  });
});

test('layers of other forms say why they are left alone', () => {
  const reason = (opType: string, dims: number[], attributes: Attributes) =>
    geometryOf(makeNode(opType, ['x', 'w'], ['y'], attributes), dims, [1]);
  expect(reason('Conv', [4, 1, 3, 3], { group: 4 })).toBe('it is a grouped convolution');
  expect(reason('Conv', [4, 1, 3, 3, 3], {})).toBe('it runs over 3 spatial axes');
  expect(reason('Gemm', [4, 4], { transA: 1 })).toBe('its input is transposed');
  expect(reason('ConvTranspose', [4, 4, 2, 2], {})).toBe('operator ConvTranspose is not reconstructed');
});

test('positions do not repeat within an image, and are all of a small map in order', () => {
  const { at, perImage } = drawPositions(50, 5, 2, 4, new Random(2));
  expect(perImage).toBe(5);
  const seen = new Set<number>();
  for (let i = 0; i < 50; i++) {
    const here = Array.from({ length: 5 }, (_, k) => at[(i * 5 + k) * 2] * 4 + at[(i * 5 + k) * 2 + 1]);
    expect(new Set(here).size).toBe(5);
    for (const p of here) seen.add(p);
  }
  expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(Array.from(drawPositions(2, 9, 1, 3, new Random(2)).at)).toEqual([0, 0, 0, 1, 0, 2, 0, 0, 0, 1, 0, 2]);
});

test.each([true, false])('moments are those of a plain loop (centred: %s)', async (centred) => {
  const random = new Random(8);
  const [rows, p, n] = [2300, 6, 2];
  const matrix = new SampleMatrix(rows, p, n);
  for (let r = 0; r < rows; r++) for (let i = 0; i < p + n; i++) matrix.data[r * matrix.width + i + (i < p ? 0 : 1)] = random.normal() + i;
  const engine = await MomentEngine.create({ threads: 1 });
  const m = await engine.moments(matrix, centred);
  const x = (r: number, i: number) => matrix.data[r * matrix.width + i] - (centred ? m.meanX[i] : 0);
  const y = (r: number, j: number) => matrix.data[r * matrix.width + p + 1 + j] - (centred ? m.meanY[j] : 0);
  const total = (f: (r: number) => number): number => Array.from({ length: rows }, (_, r) => f(r)).reduce((a, b) => a + b, 0);
  for (let i = 0; i < p; i++) {
    expect(m.meanX[i]).toBeCloseTo(total((r) => matrix.data[r * matrix.width + i]) / rows, 4);
    for (let k = 0; k < p; k++) expect(m.gram[i * p + k] / rows).toBeCloseTo(total((r) => x(r, i) * x(r, k)) / rows, 3);
    for (let j = 0; j < n; j++) expect(m.cross[i * n + j] / rows).toBeCloseTo(total((r) => x(r, i) * y(r, j)) / rows, 3);
  }
  expect(m.energy[0] / rows).toBeCloseTo(total((r) => y(r, 0) ** 2) / rows, 3);

  const other = Float32Array.from({ length: rows * n }, () => random.normal());
  const changed = await engine.otherOutputs(matrix, m, other);
  expect(changed.gram).toBe(m.gram);
  const meanOther = total((r) => other[r * n + 1]) / rows;
  expect(changed.cross[3 * n + 1] / rows).toBeCloseTo(total((r) => x(r, 3) * (other[r * n + 1] - (centred ? meanOther : 0))) / rows, 4);

  const weights = Float64Array.of(1, 2, -1, 0.5);
  const predicted = await engine.predict(matrix, [1, 4], weights, Float64Array.of(10, 20));
  const at = (i: number) => matrix.data[5 * matrix.width + i];
  expect(predicted[5 * n]).toBeCloseTo(10 + at(1) - at(4), 4);
  expect(predicted[5 * n + 1]).toBeCloseTo(20 + 2 * at(1) + 0.5 * at(4), 4);
  await engine.release();
});
