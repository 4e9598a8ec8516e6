/** Test support: small networks whose weights and data both sides of a comparison compute from one formula. */
import type { Model } from '../../onnx/model';
import { elementCount } from '../../onnx/tensor';
import { GraphBuilder, type Value } from '../../ops/builder';

/** Uniform in [−bound, bound): a linear congruential generator, its upper 24 bits; the same as `fill` of test/fixtures/pytorch-steps/make.py. */
export function fill(count: number, seed: number, bound: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 8) / 2 ** 24) * 2 * bound - bound;
  });
}

/** Weights in the order in which PyTorch names them. */
class Weights {
  private index = 0;
  constructor(private readonly b: GraphBuilder) {}

  next(name: string, shape: readonly number[]): Value {
    const fanIn = shape.length > 1 ? elementCount(shape.slice(1)) : 0;
    const bound = fanIn ? Math.sqrt(6 / fanIn) : 0.1;
    const values = fill(elementCount(shape), 1000 + this.index++, bound);
    return this.b.floats(name, shape, name.endsWith('bn.weight') ? values.map((v) => v + 1) : values);
  }
}

/** LeNet-5 on 28×28. */
export function lenet(): Model {
  const b = new GraphBuilder();
  const w = new Weights(b);
  const conv = (x: Value, name: string, shape: readonly number[], pad: number): Value => {
    const y = b.op('Conv', [x, w.next(`${name}.weight`, shape), w.next(`${name}.bias`, [shape[0]])], {
      kernel_shape: shape.slice(2),
      pads: [pad, pad, pad, pad],
    });
    return b.op('MaxPool', [b.op('Relu', [y])], { kernel_shape: [2, 2], strides: [2, 2] });
  };
  const linear = (x: Value, name: string, shape: readonly number[]): Value =>
    b.op('Gemm', [x, w.next(`${name}.weight`, shape), w.next(`${name}.bias`, [shape[0]])], { transB: 1 }, { name });
  let h = b.input('input', ['N', 1, 28, 28]);
  h = conv(h, 'conv1', [6, 1, 5, 5], 2);
  h = conv(h, 'conv2', [16, 6, 5, 5], 0);
  h = b.op('Flatten', [h], { axis: 1 });
  h = b.op('Relu', [linear(h, 'fc1', [120, 400])]);
  h = b.op('Relu', [linear(h, 'fc2', [84, 120])]);
  b.output(linear(h, 'fc3', [10, 84]), 'logits', ['N', 10]);
  return b.build('lenet');
}

/** stem – block – strided block with a projection – pooling – linear, with BatchNormalization after every convolution. */
export function residual(): Model {
  const b = new GraphBuilder();
  const w = new Weights(b);
  const layers = new Map<string, readonly number[]>([
    ['stem', [8, 3, 3, 1]],
    ['a1', [8, 8, 3, 1]],
    ['a2', [8, 8, 3, 1]],
    ['b1', [16, 8, 3, 2]],
    ['b2', [16, 16, 3, 1]],
    ['short', [16, 8, 1, 2]],
  ]);
  const parts = new Map<string, { weight: Value; bn: Value[] }>();
  for (const [name, [o, i, k]] of layers) {
    const weight = w.next(`${name}.weight`, [o, i, k, k]);
    const bn = [
      w.next(`${name}_bn.weight`, [o]),
      w.next(`${name}_bn.bias`, [o]),
      b.floats(`${name}_bn.running_mean`, [o], new Float32Array(o)),
      b.floats(`${name}_bn.running_var`, [o], new Float32Array(o).fill(1)),
    ];
    parts.set(name, { weight, bn });
  }
  const conv = (x: Value, name: string): Value => {
    const { weight, bn } = parts.get(name)!;
    const [, , k, stride] = layers.get(name)!;
    const pad = Math.floor(k / 2);
    const y = b.op(
      'Conv',
      [x, weight],
      { kernel_shape: [k, k], strides: [stride, stride], pads: [pad, pad, pad, pad] },
      { name: `${name}.conv` },
    );
    return b.op('BatchNormalization', [y, ...bn], {}, { name: `${name}.bn` });
  };
  const relu = (x: Value): Value => b.op('Relu', [x]);
  const x = b.input('input', ['N', 3, 16, 16]);
  const stem = relu(conv(x, 'stem'));
  const a = relu(b.op('Add', [conv(relu(conv(stem, 'a1')), 'a2'), stem]));
  const c = relu(b.op('Add', [conv(relu(conv(a, 'b1')), 'b2'), conv(a, 'short')]));
  const pooled = b.op('Flatten', [b.op('GlobalAveragePool', [c])], { axis: 1 });
  b.output(b.op('Gemm', [pooled, w.next('fc.weight', [10, 16]), w.next('fc.bias', [10])], { transB: 1 }), 'logits', ['N', 10]);
  return b.build('residual');
}

/** x W₁ + b₁ → Relu → W₂ + b₂, from `inputs` to `classes`, of MatMul-free operators (Gemm). */
export function twoLayers(inputs: number, hidden: number, classes: number): Model {
  const b = new GraphBuilder();
  const w = new Weights(b);
  const x = b.input('input', ['N', inputs]);
  const h = b.op('Gemm', [x, w.next('first.weight', [hidden, inputs]), w.next('first.bias', [hidden])], { transB: 1 }, { name: 'first' });
  const r = b.op('Relu', [h], {}, { name: 'relu' });
  b.output(
    b.op('Gemm', [r, w.next('last.weight', [classes, hidden]), w.next('last.bias', [classes])], { transB: 1 }, { name: 'last' }),
    'logits',
    ['N', classes],
  );
  return b.build('two_layers');
}
