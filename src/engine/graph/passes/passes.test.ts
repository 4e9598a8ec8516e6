import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { topologies } from '../../../../test/topologies';
import { loadModel } from '../../onnx/file';
import { type Model, makeNode, type Node, type ValueInfo, withGraph } from '../../onnx/model';
import { elementCount, Tensor } from '../../onnx/tensor';
import { Random } from '../../random';
import { floatTensor, Session } from '../../runtime/onnxruntime';
import { findChannelGroups } from '../channel-groups';
import { inferTypes } from '../infer';
import { constantsToInitializers } from './constants-to-initializers';
import { removeDeadCode } from './dead-code';
import { dynamicBatch } from './dynamic-batch';
import { foldBatchNorm } from './fold-batch-norm';
import { normalize } from './normalize';
import { removeIdentity } from './remove-identity';
import { staticReshapes } from './static-reshapes';
import { normals } from './testing/same-outputs';

const random = new Random(1);
const normal = normals(1);
const positive = (name: string, n: number): Tensor =>
  Tensor.float32(
    name,
    [n],
    Float32Array.from({ length: n }, () => random.between(0.5, 2)),
  );

const value = (name: string, ...shape: (number | string)[]): ValueInfo => ({ name, type: 'float32', shape });

function graph(nodes: Node[], tensors: Tensor[], input: ValueInfo, ...outputs: ValueInfo[]): Model {
  return {
    graph: { name: 'g', nodes, inputs: [input], outputs, initializers: new Map(tensors.map((t) => [t.name, t])) },
    opsets: new Map([['', 17]]),
    irVersion: 8,
    metadata: new Map(),
    header: {},
  };
}

const operators = (m: Model): string => m.graph.nodes.map((n) => n.opType).join(' ');

async function run(model: Model, shape: readonly number[], data?: Float32Array) {
  const draw = new Random(3);
  const x = data ?? Float32Array.from({ length: elementCount(shape) }, () => draw.normal());
  const session = await Session.create(model, { threads: 1, optimization: 'disabled' });
  try {
    return await session.run({ [model.graph.inputs[0].name]: floatTensor(x, shape) });
  } finally {
    await session.release();
  }
}

async function expectSame(a: Model, b: Model, shape: readonly number[]): Promise<void> {
  const [x, y] = [await run(a, shape), await run(b, shape)];
  expect(Object.keys(y)).toEqual(Object.keys(x));
  for (const name of Object.keys(x)) {
    expect(y[name].shape).toEqual(x[name].shape);
    const scale = Math.max(...Array.from(x[name].data as Float32Array, Math.abs));
    const difference = Math.max(...Array.from(x[name].data as Float32Array, (v, i) => Math.abs(v - Number(y[name].data[i]))));
    expect(difference).toBeLessThan(2e-5 * scale);
  }
}

describe('removeDeadCode', () => {
  it('x → Relu → y, with Relu → Relu unread and a weight nobody uses', async () => {
    const model = graph(
      [makeNode('Relu', ['x'], ['y']), makeNode('Relu', ['x'], ['d1']), makeNode('Add', ['d1', 'w'], ['d2'])],
      [normal('w', 4)],
      value('x', 1, 4),
      value('y', 1, 4),
    );
    const result = removeDeadCode(model);
    expect(result.modified).toBe(true);
    expect(operators(result.model)).toBe('Relu');
    expect([...result.model.graph.initializers.keys()]).toEqual([]);
    expect(removeDeadCode(result.model)).toEqual({ model: result.model, modified: false });
    await expectSame(model, result.model, [1, 4]);
  });
});

describe('removeIdentity', () => {
  it.each([
    ['x → Identity → Relu → y', [makeNode('Identity', ['x'], ['a']), makeNode('Relu', ['a'], ['y'])], 'Relu'],
    [
      'x → Relu → Identity → y: the producer takes the output name',
      [makeNode('Relu', ['x'], ['a']), makeNode('Identity', ['a'], ['y'])],
      'Relu',
    ],
    [
      'x → Identity → Identity → Relu → y',
      [makeNode('Identity', ['x'], ['a']), makeNode('Identity', ['a'], ['b']), makeNode('Relu', ['b'], ['y'])],
      'Relu',
    ],
    ['x → Dropout → Relu → y', [makeNode('Dropout', ['x'], ['a']), makeNode('Relu', ['a'], ['y'])], 'Relu'],
    [
      'x → Relu → Identity → y, the Relu read elsewhere',
      [makeNode('Relu', ['x'], ['a']), makeNode('Identity', ['a'], ['b']), makeNode('Add', ['a', 'b'], ['y'])],
      'Relu Add',
    ],
  ] as const)('%s', async (_, nodes, expected) => {
    const model = graph([...nodes], [], value('x', 1, 4), value('y', 1, 4));
    const result = removeIdentity(model);
    expect(operators(result.model)).toBe(expected);
    await expectSame(model, result.model, [1, 4]);
  });

  it('keeps x → Identity → y, which has no producer to rename', () => {
    const model = graph([makeNode('Identity', ['x'], ['y'])], [], value('x', 1, 4), value('y', 1, 4));
    expect(removeIdentity(model)).toEqual({ model, modified: false });
  });

  it('keeps one of two outputs of the same value', async () => {
    const model = graph(
      [makeNode('Relu', ['x'], ['y']), makeNode('Identity', ['y'], ['z'])],
      [],
      value('x', 1, 4),
      value('y', 1, 4),
      value('z', 1, 4),
    );
    expect(removeIdentity(model).modified).toBe(false);
  });
});

describe('constantsToInitializers', () => {
  it('Constant → Add; Reshape and Transpose of a weight; a shape computed from the input', async () => {
    const model = graph(
      [
        makeNode('Constant', [], ['c'], { value_floats: Float32Array.of(1, 2, 3) }),
        makeNode('Constant', [], ['k'], { value: Tensor.ints('', [4, 3]) }),
        makeNode('Reshape', ['w', 'k'], ['w2']),
        makeNode('MatMul', ['x', 'w2'], ['h']),
        makeNode('Add', ['h', 'c'], ['h2']),
        makeNode('Transpose', ['v'], ['v2'], { perm: [1, 0] }),
        makeNode('MatMul', ['h2', 'v2'], ['y']),
      ],
      [normal('w', 2, 2, 3), normal('v', 5, 3)],
      value('x', 'N', 4),
      value('y', 'N', 5),
    );
    const result = constantsToInitializers(model);
    expect(operators(result.model)).toBe('MatMul Add MatMul');
    expect(result.model.graph.initializers.get('v2')!.dims).toEqual([3, 5]);
    await expectSame(model, result.model, [2, 4]);
    expect(constantsToInitializers(result.model).modified).toBe(false);
  });
});

describe('staticReshapes', () => {
  const shapes = (tail: string[]): Node[] => [
    makeNode('Shape', ['x'], ['s']),
    makeNode('Gather', ['s', 'zero'], ['n']),
    makeNode('Unsqueeze', ['n', 'axes'], ['n1']),
    makeNode('Concat', tail, ['t'], { axis: 0 }),
    makeNode('Reshape', ['x', 't'], ['y']),
  ];
  const constants = [Tensor.int64('zero', [], [0]), Tensor.ints('axes', [0]), Tensor.ints('rest', [-1]), Tensor.ints('four', [4])];

  it.each([
    ['[N, −1]', ['n1', 'rest'], value('y', 'N', 12), [-1, 12]],
    ['[−1, 4]', ['rest', 'four'], value('y', 'M', 4), [-1, 4]],
    ['[4, N, −1]', ['four', 'n1', 'rest'], value('y', 4, 'N', 3), [4, -1, 3]],
  ] as const)('x [N, 2, 6] → Shape → … → Reshape to %s', async (_, tail, output, target) => {
    const model = graph(shapes([...tail]), constants, value('x', 'N', 2, 6), output);
    const result = staticReshapes(model);
    const [reshape] = result.model.graph.nodes.filter((n) => n.opType === 'Reshape');
    expect(result.model.graph.initializers.get(reshape.inputs[1])?.numbers()).toEqual(target);
    await expectSame(model, result.model, [5, 2, 6]);
    expect(operators(normalize(model).model)).toBe('Reshape');
  });

  it('leaves a target alone that does not suit every batch', () => {
    const model = graph(shapes(['n1', 'n1', 'rest']), constants, value('x', 'N', 2, 6), value('y', 'N', 'N', 'M'));
    expect(staticReshapes(model)).toEqual({ model, modified: false });
  });
});

describe('foldBatchNorm', () => {
  const norm = (n: number): Tensor[] => [positive('gamma', n), normal('beta', n), normal('mean', n), positive('var', n)];
  const bn = (from: string, to: string): Node =>
    makeNode('BatchNormalization', [from, 'gamma', 'beta', 'mean', 'var'], [to], { epsilon: { float: 1e-3 } });

  it.each([
    ['Conv → BN', ['x', 'w'], [normal('w', 6, 3, 3, 3)]],
    ['Conv with bias → BN', ['x', 'w', 'b'], [normal('w', 6, 3, 3, 3), normal('b', 6)]],
  ] as const)('%s', async (_, inputs, tensors) => {
    const model = graph(
      [makeNode('Conv', [...inputs], ['c']), bn('c', 'y')],
      [...tensors, ...norm(6)],
      value('x', 'N', 3, 5, 5),
      value('y', 'N', 6, 3, 3),
    );
    const result = foldBatchNorm(model);
    expect(operators(result.model)).toBe('Conv');
    expect(result.model.graph.initializers.size).toBe(2);
    expect(result.model.graph.nodes[0].name).toBe('c');
    await expectSame(model, result.model, [2, 3, 5, 5]);
  });

  it.each([0, 1])('Gemm (transB %i) → BN', async (transB) => {
    const model = graph(
      [makeNode('Gemm', ['x', 'w'], ['c'], { transB }), bn('c', 'y')],
      [transB ? normal('w', 6, 4) : normal('w', 4, 6), ...norm(6)],
      value('x', 'N', 4),
      value('y', 'N', 6),
    );
    const result = foldBatchNorm(model);
    expect(operators(result.model)).toBe('Gemm');
    await expectSame(model, result.model, [2, 4]);
  });

  it('copies a weight that two layers share', async () => {
    const model = graph(
      [makeNode('Conv', ['x', 'w'], ['c']), bn('c', 'n'), makeNode('Conv', ['x', 'w'], ['d']), makeNode('Add', ['n', 'd'], ['y'])],
      [normal('w', 6, 3, 1, 1), ...norm(6)],
      value('x', 'N', 3, 5, 5),
      value('y', 'N', 6, 5, 5),
    );
    const result = foldBatchNorm(model);
    expect(operators(result.model)).toBe('Conv Conv Add');
    await expectSame(model, result.model, [2, 3, 5, 5]);
  });

  it('leaves Conv → BN alone where the Conv is read elsewhere', () => {
    const model = graph(
      [makeNode('Conv', ['x', 'w'], ['c']), bn('c', 'n'), makeNode('Add', ['n', 'c'], ['y'])],
      [normal('w', 6, 3, 1, 1), ...norm(6)],
      value('x', 'N', 3, 5, 5),
      value('y', 'N', 6, 5, 5),
    );
    expect(foldBatchNorm(model)).toEqual({ model, modified: false });
  });

  it.each(topologies().map((t) => [t.name, t] as const))('topology %s computes the same', async (_, t) => {
    const { model } = foldBatchNorm(t.model);
    await expectSame(t.model, model, t.input);
  });
});

/** The same network with its batch fixed at 1, as many exporters write it. */
const fixed = (m: Model): Model =>
  withGraph(m, {
    inputs: m.graph.inputs.map((v) => ({ ...v, shape: [1, ...v.shape!.slice(1)] })),
    outputs: m.graph.outputs.map((v) => ({ ...v, shape: [1, ...v.shape!.slice(1)] })),
  });

describe('dynamicBatch', () => {
  it.each(topologies().map((t) => [t.name, t] as const))('topology %s', async (name, t) => {
    const result = dynamicBatch(fixed(t.model));
    if (name === 'decoder rows') {
      // All positions of all samples as rows: that they come apart again is not followed.
      expect(result.reason).toBe("the batch stays fixed: Reshape 'qkv.rows' splits samples");
      return;
    }
    expect(result.reason).toBeUndefined();
    expect(result.modified).toBe(true);
    expect(result.model.graph.inputs[0].shape?.[0]).toBe('N');
    await expectSame(t.model, result.model, [3, ...t.input.slice(1)]);
  });

  it('rewrites a Reshape that names the batch: [1, 2, 6] → Reshape [1, 12] → Relu', async () => {
    const model = graph(
      [makeNode('Reshape', ['x', 's'], ['r']), makeNode('Relu', ['r'], ['y'])],
      [Tensor.ints('s', [1, 12])],
      value('x', 1, 2, 6),
      value('y', 1, 12),
    );
    const result = dynamicBatch(model);
    expect(result.model.graph.initializers.get('s')!.numbers()).toEqual([0, 12]);
    expect((await run(result.model, [4, 2, 6])).y.shape).toEqual([4, 12]);
  });

  it.each([
    ['first', [], [1, 12], 'x', [0, 12]],
    ['second, steps first', [makeNode('Transpose', ['x'], ['t'], { perm: [1, 0, 2] })], [2, 1, 3, 2], 't', [0, 0, 3, 2]],
  ] as const)(
    'rewrites a Reshape whose zeros would count as lengths (allowzero), the batch %s',
    async (_, before, target, from, rewritten) => {
      const back = before.length > 0 ? [makeNode('Transpose', ['r'], ['y'], { perm: [1, 0, 2, 3] })] : [makeNode('Relu', ['r'], ['y'])];
      const model = graph(
        [...before, makeNode('Reshape', [from, 's'], ['r'], { allowzero: 1 }), ...back],
        [Tensor.ints('s', [...target])],
        value('x', 1, 2, 6),
        before.length > 0 ? value('y', 1, 2, 3, 2) : value('y', 1, 12),
      );
      const result = dynamicBatch(model);
      expect(result.reason).toBeUndefined();
      expect(result.model.graph.initializers.get('s')!.numbers()).toEqual(rewritten);
      const x = Float32Array.from({ length: 48 }, (_, i) => i);
      const all = (await run(result.model, [4, 2, 6], x)).y.data as Float32Array;
      for (let i = 0; i < 4; i++)
        expect([...all.subarray(12 * i, 12 * i + 12)]).toEqual([
          ...((await run(model, [1, 2, 6], x.slice(12 * i, 12 * i + 12))).y.data as Float32Array),
        ]);
    },
  );

  it.each([
    ['Transpose of the batch', [makeNode('Transpose', ['x'], ['y'], { perm: [1, 0] })], "output 'y' has it as axis 1"],
    [
      'a Softmax of the transposed batch',
      [makeNode('Transpose', ['x'], ['t']), makeNode('Softmax', ['t'], ['y'])],
      "Softmax 'y' works on a value whose first axis is not the batch",
    ],
    [
      'a Slice of the transposed batch',
      [makeNode('Transpose', ['x'], ['t']), makeNode('Slice', ['t', 'zero', 'one', 'one'], ['y'])],
      "Slice 'y' may cut the batch",
    ],
    ['a Reshape that merges it', [makeNode('Reshape', ['x', 's'], ['y'])], "Reshape 'y' merges the batch with other axes"],
    ['an unknown operator', [makeNode('Strange', ['x'], ['y'], {}, { domain: 'other' })], "Strange 'y' is not a standard operator"],
    ['a sum over it', [makeNode('ReduceSum', ['x', 'axis'], ['y'])], "ReduceSum 'y' works along the batch"],
  ] as const)('keeps the batch, with the reason, for %s', (_, nodes, reason) => {
    const model = graph(
      [...nodes],
      [Tensor.ints('s', [2, 2]), Tensor.ints('axis', [0]), Tensor.ints('zero', [0]), Tensor.ints('one', [1])],
      value('x', 1, 4),
      {
        name: 'y',
        type: 'float32',
        shape: [1, 4],
      },
    );
    const result = dynamicBatch(model);
    expect(result).toEqual({ model, modified: false, reason: `the batch stays fixed: ${reason}` });
  });
});

describe('normalize', () => {
  it.each(topologies().map((t) => [t.name, t] as const))('loses no channel that can go: %s', (_, t) => {
    const count = (m: Model): number => findChannelGroups(m).groups.reduce((a, g) => a + g.channels, 0);
    expect(count(normalize(t.model).model)).toBeGreaterThanOrEqual(count(t.model));
  });

  // Of 'decoder rows' the batch stays fixed, as said above.
  const freed = topologies().filter((t) => t.name !== 'decoder rows');
  it.each(freed.map((t) => [t.name, t] as const))('a fixed batch changes nothing: %s', (_, t) => {
    const { model, notes } = normalize(fixed(t.model));
    expect([operators(model), notes]).toEqual([operators(normalize(t.model).model), []]);
  });

  it('leaves a model alone that needs nothing', () => {
    const { model } = topologies()[0];
    expect(normalize(model)).toEqual({ model, modified: false, notes: [], changes: [] });
  });

  const path = join(process.env['ESPALIER_DATA'] ?? '', 'models', 'mnist_cntk_cnn_opset8.onnx');
  it.skipIf(!process.env['ESPALIER_DATA'] || !existsSync(path))('frees the batch of an old file (needs ESPALIER_DATA)', async () => {
    const original = loadModel(path);
    const { model, notes } = normalize(original);
    expect(notes).toEqual([]);
    expect(operators(model)).toBe('Conv Relu MaxPool Conv Relu MaxPool Reshape Gemm');
    expect(inferTypes(model, { batch: 3 }).types.get(model.graph.outputs[0].name)?.shape).toEqual([3, 10]);
    const one = Float32Array.from({ length: 784 }, (_, i) => Math.sin(i));
    const three = new Float32Array(3 * 784);
    for (let i = 0; i < 3; i++) three.set(one, i * 784);
    const name = model.graph.outputs[0].name;
    const single = (await run(original, [1, 1, 28, 28], one))[name].data as Float32Array;
    const batch = (await run(model, [3, 1, 28, 28], three))[name].data as Float32Array;
    for (let i = 0; i < 30; i++) expect(batch[i]).toBeCloseTo(single[i % 10], 2);
  });
});
