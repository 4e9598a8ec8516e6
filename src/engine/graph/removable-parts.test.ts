import { describe, expect, test } from 'vitest';
import { lenet5 } from '../architectures/lenet5';
import type { Model } from '../onnx/model';
import { GraphBuilder, type Value } from '../ops/builder';
import { Random } from '../random';
import { floatTensor, Session } from '../runtime/onnxruntime';
import { findRemovableParts, removeParts } from './removable-parts';

const random = new Random(3);
const draw = (n: number): Float32Array => Float32Array.from({ length: n }, () => 0.3 * random.normal());

/** Convolution [out, in, 3, 3] with padding, its bias, and a ReLU where asked for. */
function conv(b: GraphBuilder, x: Value, name: string, out: number, { relu = true, stride = 1 } = {}): Value {
  const c = x.shape[1];
  const weight = b.floats(`${name}.weight`, [out, c, 3, 3], draw(out * c * 9));
  const y = b.op(
    'Conv',
    [x, weight, b.floats(`${name}.bias`, [out], draw(out))],
    { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [stride, stride] },
    { name },
  );
  return relu ? b.op('Relu', [y], {}, { name: `${name}.relu` }) : y;
}

/** stem ─ block1 (same width) ─ block2 (wider, with a convolution on its shortcut) ─ block3 ─ pool ─ fc1 ─ fc2 */
function residual(): Model {
  const b = new GraphBuilder();
  let x = conv(b, b.input('input', ['N', 2, 8, 8]), 'stem', 4);
  const block = (from: Value, name: string, width: number): Value => {
    const main = conv(b, conv(b, from, `${name}.a`, width), `${name}.b`, width, { relu: false });
    const shortcut = from.shape[1] === width ? from : conv(b, from, `${name}.shortcut`, width, { relu: false });
    return b.op('Relu', [b.op('Add', [main, shortcut], {}, { name: `${name}.add` })], {}, { name: `${name}.relu` });
  };
  x = block(x, 'block1', 4);
  x = block(x, 'block2', 6);
  x = block(x, 'block3', 6);
  const pooled = b.op('Flatten', [b.op('GlobalAveragePool', [x], {}, { name: 'pool' })], { axis: 1 }, { name: 'flat' });
  const fc = b.op(
    'Gemm',
    [pooled, b.floats('fc1.weight', [5, 6], draw(30)), b.floats('fc1.bias', [5], draw(5))],
    { transB: 1 },
    { name: 'fc1' },
  );
  const out = b.op('Gemm', [fc, b.floats('fc2.weight', [5, 3], draw(15)), b.floats('fc2.bias', [3], draw(3))], {}, { name: 'fc2' });
  b.output(out, 'logits', ['N', 3]);
  return b.build('residual');
}

async function answers(model: Model, seed = 1): Promise<number[]> {
  const draws = new Random(seed);
  const inputs = Float32Array.from({ length: 2 * 2 * 64 }, () => draws.normal());
  const session = await Session.create(model, { threads: 1 });
  try {
    const { logits } = await session.run({ input: floatTensor(inputs, [2, 2, 8, 8]) });
    return [...(logits.data as Float32Array)];
  } finally {
    await session.release();
  }
}

/** The model with these weights zero. */
function zeroed(model: Model, names: readonly string[]): Model {
  const initializers = new Map(model.graph.initializers);
  for (const name of names) {
    const t = initializers.get(name)!;
    initializers.set(name, Object.assign(Object.create(Object.getPrototypeOf(t)), t, { bytes: new Uint8Array(t.bytes.byteLength) }));
  }
  return { ...model, graph: { ...model.graph, initializers } };
}

describe('a residual network', () => {
  const model = residual();

  test('offers the blocks whose shortcut is the input, and linear layers that another reads', () => {
    expect(findRemovableParts(model).map(({ name, kind }) => [name, kind])).toEqual([
      ['block1.a…block1.b', 'block'],
      ['block3.a…block3.b', 'block'],
      ['fc1', 'linear'],
    ]);
  });

  test('without a block it answers as with that block’s last weights at zero', async () => {
    for (const [part, layer] of [
      ['block1.a…block1.b', 'block1.b'],
      ['block3.a…block3.b', 'block3.b'],
    ]) {
      const cut = removeParts(model, [part]);
      expect([...cut.graph.initializers.keys()].filter((n) => n.startsWith(layer.slice(0, 6)))).toEqual([]);
      const [a, b] = [await answers(cut), await answers(zeroed(model, [`${layer}.weight`, `${layer}.bias`]))];
      a.forEach((v, i) => {
        expect(v).toBeCloseTo(b[i], 5);
      });
    }
  });

  test('without a linear layer that has no activation it answers as before', async () => {
    const [a, b] = [await answers(removeParts(model, ['fc1'])), await answers(model)];
    a.forEach((v, i) => {
      expect(v).toBeCloseTo(b[i], 5);
    });
  });

  test('everything at once still runs', async () => {
    const cut = removeParts(
      model,
      findRemovableParts(model).map((p) => p.name),
    );
    expect(findRemovableParts(cut)).toEqual([]);
    expect((await answers(cut)).every(Number.isFinite)).toBe(true);
  });

  test('a part there is not is an error', () => {
    expect(() => removeParts(model, ['stem'])).toThrow("no part 'stem'");
  });
});

test('a chain offers layers that keep their input’s shape, whose input then passes on', async () => {
  const b = new GraphBuilder();
  const x = b.input('input', ['N', 2, 8, 8]);
  const c = conv(b, conv(b, x, 'one', 3), 'two', 3);
  const flat = b.op('Flatten', [b.op('GlobalAveragePool', [c], {}, { name: 'pool' })], { axis: 1 }, { name: 'flat' });
  b.output(flat, 'logits', ['N', 3]);
  const model = b.build('chain');
  expect(findRemovableParts(model)).toMatchObject([{ name: 'two', kind: 'layer' }]);
  const cut = removeParts(model, ['two']);
  expect(cut.graph.nodes.map((n) => n.opType).slice(0, 4)).toEqual(['Conv', 'Relu', 'GlobalAveragePool', 'Flatten']);
  expect(await answers(cut)).not.toEqual(await answers(model));
});

test('LeNet-5 offers its first two linear layers, in either order', () => {
  const model = lenet5.build({ classes: 10, random: new Random(1) });
  expect(findRemovableParts(model).map((p) => p.name)).toEqual(['fc1', 'fc2']);
  const shapes = (order: readonly string[]): string[] =>
    [...removeParts(model, order).graph.initializers.values()]
      .filter((t) => t.dims.length === 2)
      .map((t) => `${t.name} ${t.dims.join('×')}`);
  expect(shapes(['fc2'])).toEqual(['fc1.weight 120×400', 'fc3.weight 10×120']);
  expect(shapes(['fc1', 'fc2'])).toEqual(['fc3.weight 10×400']);
  expect(shapes(['fc2', 'fc1'])).toEqual(['fc3.weight 10×400']);
});
