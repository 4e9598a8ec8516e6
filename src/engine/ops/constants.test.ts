import { Tensor as RuntimeTensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { inferTypes } from '../graph/infer';
import { attribute, makeNode } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { GraphBuilder } from './builder';
import { findOperator } from './registry';
import { wholeNumbers } from './testing/check-channels';
import { checkInfer } from './testing/check-infer';
import { withSession } from './testing/single-node';

test.each([
  { value: Tensor.ints('t', [3, 4]), numbers: [3, 4], name: 'value' },
  { value: 7, numbers: [7], name: 'value_int' },
  { value: [1, 2], numbers: [1, 2], name: 'value_ints' },
  { value: { float: 0.5 }, numbers: [0.5], name: 'value_float' },
  { value: Float32Array.of(0.5, 2), numbers: [0.5, 2], name: 'value_floats' },
])('Constant by $name', async ({ value, numbers, name }) => {
  const [y] = await checkInfer({ opType: 'Constant', inputs: [], attributes: { [name]: value } });
  expect(y.value?.numbers()).toEqual(numbers);
});

test('ConstantOfShape, Shape, Size, Range', async () => {
  const value = (opType: string, inputs: Parameters<typeof checkInfer>[0]['inputs'], attributes = {}) =>
    checkInfer({ opType, inputs, attributes }).then(([y]) => y.value?.numbers());
  const x = { name: 'X', shape: [2, 3, 4] };
  expect(await value('ConstantOfShape', [wholeNumbers('S', [2, 1])], { value: Tensor.int64('v', [1], [9]) })).toEqual([9, 9]);
  expect(await value('ConstantOfShape', [wholeNumbers('S', [2])])).toEqual([0, 0]);
  expect(await value('Shape', [x])).toEqual([2, 3, 4]);
  expect(await value('Shape', [x], { start: -2 })).toEqual([3, 4]);
  expect(await value('Shape', [x], { start: 0, end: -1 })).toEqual([2, 3]);
  expect(await value('Size', [x])).toEqual([24]);
  const scalar = (name: string, v: number) => ({ name, shape: [], data: [v], type: 'int64' as const });
  expect(await value('Range', [scalar('a', 1), scalar('b', 8), scalar('c', 3)])).toEqual([1, 4, 7]);
  expect(await value('Range', [scalar('a', 3), scalar('b', 0), scalar('c', -1)])).toEqual([3, 2, 1]);
});

test('a shape with named lengths is known in length only, and its known part where that is asked for', () => {
  const infer = (attributes: Record<string, number>) =>
    findOperator('Shape')!.infer({
      node: makeNode('Shape', ['X'], ['Y'], attributes),
      opset: 17,
      inputs: [{ type: 'float32', shape: ['n', 3, 4] }],
    })[0];
  expect(infer({})).toEqual({ type: 'int64', shape: [3], value: undefined });
  expect(infer({ start: 1 }).value?.numbers()).toEqual([3, 4]);
});

/** X ─ Shape ─ Gather(0) ─ Unsqueeze ─ Concat([n], [-1]) ─ Reshape, as exporters write `x.view(x.size(0), -1)`. */
function exportedView(): ReturnType<GraphBuilder['build']> {
  const b = new GraphBuilder();
  const x = b.input('X', ['batch', 3, 2, 2], 'float32', 5);
  const first = b.op('Gather', [b.op('Shape', [x]), b.constant(Tensor.int64('zero', [], [0]))], { axis: 0 });
  const target = b.op('Concat', [b.op('Unsqueeze', [first, b.ints([0])]), b.ints([-1])], { axis: 0 });
  b.output(b.op('Reshape', [x, target]), 'Y', ['batch', 12]);
  return b.build();
}

test('the chains by which exporters compute shapes resolve', async () => {
  const model = exportedView();
  expect(inferTypes(model, { batch: 5 }).types.get('Y')?.shape).toEqual([5, 12]);
  // Without a batch size the rank still follows.
  const reshape = model.graph.nodes.find((n) => n.opType === 'Reshape')!;
  expect(inferTypes(model).types.get(reshape.outputs[0])?.shape).toEqual(['', '']);
  const dims = await withSession(
    model,
    async (s) => (await s.run({ X: new RuntimeTensor('float32', new Float32Array(60), [5, 3, 2, 2]) })).Y.dims,
  );
  expect(dims).toEqual([5, 12]);
});

test('lengths computed with floating-point scales', () => {
  const b = new GraphBuilder();
  const x = b.input('X', [1, 3, 7, 9]);
  const size = b.op('Slice', [b.op('Shape', [x]), b.ints([2]), b.ints([4])]);
  const scaled = b.op('Floor', [b.op('Mul', [b.op('Cast', [size], { to: 1 }), b.scalar(1.5)])]);
  expect(b.constantOf(b.op('Cast', [scaled], { to: 7 }))?.numbers()).toEqual([10, 13]);
});

test('a constant without a value is refused', () => {
  const node = { ...makeNode('Constant', [], ['Y']), attributes: new Map([['other', attribute('other', 1)]]) };
  expect(() => findOperator('Constant')!.infer({ node, opset: 17, inputs: [] })).toThrow(/holds no value/);
});
