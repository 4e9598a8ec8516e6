import { describe, expect, test } from 'vitest';
import { makeNode } from '../onnx/model';
import { Random } from '../random';
import { batchNormalization } from './batch-normalization';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

const positive = (count: number): number[] => Array.from({ length: count }, (_, i) => 0.5 + 0.3 * i);

const caseOf = (x: readonly number[], data?: Float32Array) => ({
  opType: 'BatchNormalization',
  inputs: [
    { name: 'X', shape: x, data },
    { name: 'scale', shape: [x[1]] },
    { name: 'bias', shape: [x[1]] },
    { name: 'mean', shape: [x[1]], constant: true },
    { name: 'variance', shape: [x[1]], data: positive(x[1]), constant: true },
  ],
  attributes: { epsilon: { float: 1e-3 }, momentum: { float: 0.8 } },
});

const shapes = [
  [4, 3, 5, 4],
  [6, 3],
  [4, 3, 7],
  [2, 5, 3, 2, 3],
  [8, 2, 1, 1],
];

describe('gradients', () => {
  for (const x of shapes) {
    test(`running statistics, [${x}]`, async () => void (await checkGradient(caseOf(x))));
    test(`batch statistics, [${x}]`, async () => void (await checkGradient({ ...caseOf(x), training: true, tolerance: 4e-3 })));
  }
});

describe('shapes', () => {
  for (const x of shapes)
    test(`[${x}]`, async () =>
      void (await checkInfer({ ...caseOf(x), symbolic: { X: { 0: 'batch' } }, expected: [['batch', ...x.slice(1)]] })));
});

describe('a training step', () => {
  /** Output, statistics and gradients in double precision, as the definition has them. */
  function closedForm(x: Float32Array, [n, c, h, w]: readonly number[], epsilon: number) {
    const at = (i: number, k: number, p: number): number => x[(i * c + k) * h * w + p];
    return Array.from({ length: c }, (_, k) => {
      const values = Array.from({ length: n * h * w }, (_, j) => at(Math.floor(j / (h * w)), k, j % (h * w)));
      const mean = values.reduce((s, v) => s + v, 0) / values.length;
      const squares = values.reduce((s, v) => s + (v - mean) ** 2, 0);
      const normalised = values.map((v) => (v - mean) / Math.sqrt(squares / values.length + epsilon));
      return { mean, unbiased: squares / (values.length - 1), normalised };
    });
  }

  test('equals the closed form, also far from zero, where a one-pass variance would fail', async () => {
    const shape = [8, 2, 6, 5];
    const random = new Random(5);
    // Mean 300 and deviation 0.5: E[x²] − E[x]² has an error of about 0.01 in float32, against a variance of 0.25.
    const data = Float32Array.from({ length: 480 }, () => 300 + 0.5 * random.normal());
    const x = caseOf(shape, data);
    x.inputs[1] = { name: 'scale', shape: [2], data: Float32Array.of(1.5, -0.7) };
    x.inputs[2] = { name: 'bias', shape: [2], data: Float32Array.of(0.25, -0.5) };
    const { outputs, statistics, gradients } = await checkGradient({ ...x, training: true, probes: 0 });
    const expected = closedForm(data, shape, 1e-3);
    const [scale, bias] = [
      [1.5, -0.7],
      [0.25, -0.5],
    ];
    expect([...statistics.keys()]).toEqual(['mean', 'variance']);
    for (const s of statistics.values()) expect(s.momentum).toBeCloseTo(0.8, 6);
    expected.forEach(({ mean, unbiased, normalised }, k) => {
      expect(statistics.get('mean')!.batch[k]).toBeCloseTo(mean, 3);
      expect(Math.abs(statistics.get('variance')!.batch[k] / unbiased - 1)).toBeLessThan(1e-4);
      normalised.forEach((v, j) => {
        const y = outputs[0][(Math.floor(j / 30) * 2 + k) * 30 + (j % 30)];
        expect(Math.abs(y - (v * scale[k] + bias[k]))).toBeLessThan(1e-3);
      });
      // A gradient of the normalised values neither shifts nor stretches them.
      const dx = normalised.map((_, j) => gradients.get('X')![(Math.floor(j / 30) * 2 + k) * 30 + (j % 30)]);
      const length = Math.hypot(...dx) * Math.hypot(...normalised);
      expect(Math.abs(dx.reduce((s, d) => s + d, 0)) / length).toBeLessThan(1e-4);
      expect(Math.abs(dx.reduce((s, d, j) => s + d * normalised[j], 0)) / length).toBeLessThan(1e-2);
    });
  });
});

test('inputs that do not belong together', () => {
  const node = makeNode('BatchNormalization', ['X', 'scale', 'bias', 'mean', 'variance'], ['Y']);
  const float = (shape: readonly number[]) => ({ type: 'float32' as const, shape });
  const infer = (x: readonly number[], c: readonly number[]) => () =>
    batchNormalization.infer({ node, opset: 17, inputs: [float(x), float(c), float([3]), float([3]), float([3])] });
  expect(infer([2, 3, 4, 4], [4])).toThrow("its input has 3 channels, but 'scale' has the shape [4]");
  expect(infer([2], [3])).toThrow('which has no channel axis');
  expect(() => batchNormalization.infer({ node, opset: 17, inputs: [float([2, 3])] })).toThrow('it needs an input, a scale');
});
