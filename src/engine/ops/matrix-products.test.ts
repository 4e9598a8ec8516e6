import { describe, expect, test } from 'vitest';
import { type AttributeValue, makeNode } from '../onnx/model';
import { gemm } from './gemm';
import { matmul } from './matmul';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

interface GemmRow {
  readonly what: string;
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly c?: readonly number[];
  readonly attributes?: Record<string, AttributeValue>;
}

const gemms: readonly GemmRow[] = [
  { what: 'plain', a: [3, 4], b: [4, 5] },
  { what: 'as exported from linear layers', a: [3, 4], b: [5, 4], c: [5], attributes: { transB: 1 } },
  { what: 'transA, alpha', a: [4, 3], b: [4, 5], c: [3, 5], attributes: { transA: 1, alpha: { float: 0.5 } } },
  {
    what: 'both transposed, alpha, beta',
    a: [4, 3],
    b: [5, 4],
    c: [1, 5],
    attributes: { transA: 1, transB: 1, alpha: { float: 2 }, beta: { float: -0.3 } },
  },
  { what: 'addend one column', a: [3, 4], b: [4, 5], c: [3, 1], attributes: { beta: { float: 3 } } },
  { what: 'addend one number', a: [3, 4], b: [4, 5], c: [1] },
  { what: 'addend a scalar', a: [3, 4], b: [4, 5], c: [] },
  { what: 'one row', a: [1, 4], b: [4, 5], c: [5] },
];

const gemmCase = ({ a, b, c, attributes }: GemmRow) => ({
  opType: 'Gemm',
  inputs: [{ name: 'A', shape: a }, { name: 'B', shape: b }, c && { name: 'C', shape: c }],
  attributes,
});

const matmuls: ReadonlyArray<readonly [a: readonly number[], b: readonly number[]]> = [
  [
    [3, 4],
    [4, 5],
  ],
  [
    [2, 3, 4],
    [4, 5],
  ],
  [
    [2, 6, 3, 4],
    [4, 5],
  ],
  [
    [2, 3, 4],
    [2, 4, 5],
  ],
  [
    [2, 6, 3, 4],
    [2, 6, 4, 5],
  ],
  [
    [6, 3, 4],
    [2, 6, 4, 5],
  ],
  [
    [2, 1, 3, 4],
    [6, 4, 5],
  ],
  [
    [3, 4],
    [2, 4, 5],
  ],
  [
    [1, 3, 4],
    [2, 4, 5],
  ],
  [[4], [4, 5]],
  [[4], [2, 4, 5]],
  [[3, 4], [4]],
  [[2, 3, 4], [4]],
  [[4], [4]],
];

const matmulCase = ([a, b]: readonly [readonly number[], readonly number[]]) => ({
  opType: 'MatMul',
  inputs: [
    { name: 'A', shape: a },
    { name: 'B', shape: b },
  ],
});

describe('gradients', () => {
  for (const row of gemms) test(`Gemm, ${row.what}`, async () => void (await checkGradient({ ...gemmCase(row), step: 0.1 })));
  for (const row of matmuls)
    test(`MatMul [${row[0]}] × [${row[1]}]`, async () => void (await checkGradient({ ...matmulCase(row), step: 0.1 })));
});

describe('shapes', () => {
  for (const row of gemms)
    test(`Gemm, ${row.what}`, async () =>
      void (await checkInfer({
        ...gemmCase(row),
        symbolic: { A: { [row.attributes?.transA ? 1 : 0]: 'batch' } },
        expected: [['batch', 5]],
      })));
  for (const row of matmuls)
    test(`MatMul [${row[0]}] × [${row[1]}]`, async () => void (await checkInfer({ ...matmulCase(row), symbolic: { A: { 0: 'batch' } } })));
  test('a symbolic batch passes through a MatMul', async () => {
    const test = matmulCase([
      [2, 3, 4],
      [4, 5],
    ]);
    await checkInfer({ ...test, symbolic: { A: { 0: 'batch', 1: 'tokens' } }, expected: [['batch', 'tokens', 5]] });
  });
});

const float = (shape: ReadonlyArray<number | string>) => ({ type: 'float32' as const, shape });

test('cost is multiply-accumulates; symbolic lengths count as 1', () => {
  const fc = { node: makeNode('Gemm', ['A', 'B'], ['Y'], { transB: 1 }), opset: 17, inputs: [float(['batch', 4]), float([5, 4])] };
  expect(gemm.cost!({ ...fc, outputs: gemm.infer(fc) })).toBe(20);
  const product = { node: makeNode('MatMul', ['A', 'B'], ['Y']), opset: 17, inputs: [float(['batch', 3, 4]), float([4, 5])] };
  expect(matmul.cost!({ ...product, outputs: matmul.infer(product) })).toBe(60);
});

test('inputs that do not belong together', () => {
  const node = makeNode('Gemm', ['A', 'weight', 'C'], ['Y']);
  const infer =
    (...shapes: number[][]) =>
    () =>
      gemm.infer({ node, opset: 17, inputs: shapes.map(float) });
  expect(infer([3, 4], [5, 6])).toThrow("its input has 4 features, its weight 'weight' expects 5");
  expect(infer([3, 4, 1], [4, 6])).toThrow("its input 'A' has the shape [3, 4, 1] where a matrix belongs");
  expect(infer([3, 4], [4, 6], [5])).toThrow("its addend 'C' of shape [5] does not stretch to [3, 6]");
  expect(() => matmul.infer({ node, opset: 17, inputs: [float([3, 4]), float([5, 6])] })).toThrow(
    'shapes [3, 4] and [5, 6] cannot be multiplied: rows of 4 meet columns of 5',
  );
  expect(() => matmul.infer({ node, opset: 17, inputs: [float([3, 4]), float([])] })).toThrow("its input 'weight' is a single number");
});
