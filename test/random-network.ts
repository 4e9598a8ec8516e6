/** Test support: networks of random structure, to find combinations of operators that nobody thought of. */
import type { Model } from '../src/engine/onnx/model';
import { GraphBuilder, type Value } from '../src/engine/ops/builder';
import { Random } from '../src/engine/random';

/** Shape of the input of every random network, batch first. */
export const RANDOM_INPUT = [2, 4, 8, 8] as const;

/**
 * A network of about `steps` random operators over images: convolutions of all kinds, additions, products, concatenations, splits,
 * slices, pads, shuffles and transposes of channels, gates, pooling; then a random head of linear layers.
 */
export function randomNetwork(seed: number, steps = 10): Model {
  const random = new Random(seed);
  const b = new GraphBuilder();
  const pool: Value[] = [b.input('x', ['N', ...RANDOM_INPUT.slice(1)], 'float32', RANDOM_INPUT[0])];
  let count = 0;
  const pick = <T>(items: readonly T[]): T => items[random.below(items.length)];
  const weights = (name: string, shape: readonly number[], scale: number, shift = 0): Value =>
    b.floats(
      name,
      shape,
      Float32Array.from({ length: shape.reduce((a, d) => a * d, 1) }, () => shift + scale * random.normal()),
    );
  const conv = (x: Value, out: number, kernel: number, group = 1): Value => {
    const name = `conv${++count}`;
    const perGroup = x.shape[1] / group;
    const w = weights(`${name}.weight`, [out, perGroup, kernel, kernel], 1.5 / Math.sqrt(perGroup * kernel * kernel));
    const bias = weights(`${name}.bias`, [out], 0.3);
    const pad = (kernel - 1) / 2;
    return b.op('Conv', [x, w, bias], { kernel_shape: [kernel, kernel], pads: [pad, pad, pad, pad], group }, { name });
  };
  const alike = (x: Value): Value[] => pool.filter((v) => v !== x && v.shape.join() === x.shape.join());
  const steppers: Array<(x: Value) => Value | Value[] | undefined> = [
    (x) => conv(x, pick([4, 6, 8, 12]), pick([1, 3])),
    (x) => conv(x, pick([4, 6, 8, 12]), pick([1, 3])),
    (x) => conv(x, x.shape[1], 3, x.shape[1]),
    (x) => (x.shape[1] % 2 === 0 ? conv(x, pick([4, 6, 8]), 3, 2) : undefined),
    (x) => b.op(pick(['Relu', 'Sigmoid', 'Tanh', 'LeakyRelu']), [x]),
    (x) => b.op('Clip', [x, b.scalar(-2), b.scalar(2)]),
    (x) => (alike(x).length ? b.op(pick(['Add', 'Mul', 'Sub']), [x, pick(alike(x))]) : undefined),
    (x) => (alike(x).length ? b.op('Add', [x, pick(alike(x))]) : undefined),
    (x) => b.op('Concat', [x, pick(pool.filter((v) => v.shape.slice(2).join() === x.shape.slice(2).join()))], { axis: pick([1, -3]) }),
    (x) => b.op('Add', [x, conv(x, x.shape[1], 3)]),
    (x) => b.op('Mul', [x, b.op('Sigmoid', [conv(b.op('GlobalAveragePool', [x]), x.shape[1], 1)])]),
    (x) => {
      const n = x.shape[1];
      const name = `bn${++count}`;
      return b.op(
        'BatchNormalization',
        [
          x,
          weights(`${name}.scale`, [n], 0.2, 1),
          weights(`${name}.shift`, [n], 0.2),
          weights(`${name}.mean`, [n], 0.2),
          b.floats(
            `${name}.var`,
            [n],
            Float32Array.from({ length: n }, () => random.between(0.5, 1.5)),
          ),
        ],
        {},
        { name },
      );
    },
    (x) => {
      const n = x.shape[1];
      if (n < 3) return undefined;
      const first = 1 + random.below(n - 1);
      return b.ops('Split', [x, b.ints([first, n - first])], { axis: 1 }, { outputs: 2 });
    },
    (x) => {
      const n = x.shape[1];
      const from = random.below(n);
      const to = from + 1 + random.below(n - from);
      return b.op('Slice', [x, b.ints([from]), b.ints([to]), b.ints([1]), b.ints([pick([1, 2])])]);
    },
    (x) => b.op('Pad', [x, b.ints([0, random.below(3), 0, 0, 0, random.below(3), 0, 0])], { mode: 'constant' }),
    (x) => {
      const [, c, h, w] = x.shape;
      if (c % 2) return undefined;
      const split = b.op('Reshape', [x, b.ints([0, 2, c / 2, h, w])]);
      return b.op('Reshape', [b.op('Transpose', [split], { perm: [0, 2, 1, 3, 4] }), b.ints([0, c, h, w])]);
    },
    (x) => {
      const nhwc = b.op('Transpose', [x], { perm: [0, 2, 3, 1] });
      const scaled = b.op('Mul', [nhwc, weights(`scale${++count}`, [x.shape[1]], 0.3, 1)]);
      return b.op('Transpose', [scaled], { perm: [0, 3, 1, 2] });
    },
    (x) => b.op('Add', [x, weights(`shift${++count}`, pick([[1, x.shape[1], 1, 1], [x.shape[1], 1, 1], [1]]), 0.3)]),
    (x) => b.op('Softmax', [x], { axis: 1 }),
    (x) => b.op('Sub', [x, b.op('ReduceMean', [x], { axes: [1], keepdims: 1 })]),
    (x) => {
      // Linear layer over the last axis of a channels-last view.
      const nhwc = b.op('Transpose', [x], { perm: [0, 2, 3, 1] });
      const y = b.op('MatMul', [nhwc, weights(`linear${++count}.weight`, [x.shape[1], 6], 0.4)]);
      return b.op('Transpose', [y], { perm: [0, 3, 1, 2] });
    },
    (x) => (x.shape[2] === 8 ? b.op('MaxPool', [x], { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] }) : undefined),
  ];
  for (let i = 0; i < steps; ) {
    // Mostly go on from what was made last, so that networks are deep.
    const x = random.uniform() < 0.6 ? pool[pool.length - 1] : pick(pool);
    const made = pick(steppers)(x);
    if (!made) continue;
    pool.push(...(Array.isArray(made) ? made : [made]));
    i++;
  }
  const x = pool[pool.length - 1];
  const other = pick(pool);
  const flat = (v: Value): Value =>
    pick([
      () => b.op('Flatten', [b.op('AveragePool', [v], { kernel_shape: [4, 4], strides: [4, 4] })], { axis: 1 }),
      () => b.op('ReduceMean', [v], { axes: [2, 3], keepdims: 0 }),
      () => b.op('Reshape', [b.op('GlobalMaxPool', [v]), b.ints([0, -1])]),
    ])();
  const joined = b.op('Concat', [flat(x), flat(other)], { axis: 1 });
  const hidden = b.op(
    'Gemm',
    [joined, weights('hidden.weight', [10, joined.shape[1]], 0.4), weights('hidden.bias', [10], 0.3)],
    { transB: 1 },
    { name: 'hidden' },
  );
  const y = b.op('MatMul', [b.op('Tanh', [hidden]), weights('out.weight', [10, 3], 0.4)], {}, { name: 'y' });
  b.output(y, 'y', ['N', 3]);
  return b.build();
}
