/** Small models of many kinds, as the ground from which damaged files are made. */
import { modelBytes } from '../../onnx/file';
import { attribute, type Model, makeNode, withGraph } from '../../onnx/model';
import type { GraphProto } from '../../onnx/schema';
import { Tensor } from '../../onnx/tensor';
import { GraphBuilder, type Value } from '../../ops/builder';
import type { Random } from '../../random';

const weights = (b: GraphBuilder, random: Random, name: string, shape: readonly number[]): Value =>
  b.floats(
    name,
    shape,
    Float32Array.from({ length: shape.reduce((x, y) => x * y, 1) }, () => random.normal()),
  );

/** Convolutions, batch normalisation, a residual addition, pooling, a computed reshape, and a linear layer. */
function residual(random: Random): Model {
  const b = new GraphBuilder();
  const x = b.input('image', ['N', 3, 8, 8]);
  const conv = (from: Value, out: number, kernel: number, name: string): Value =>
    b.op(
      'Conv',
      [from, weights(b, random, `${name}.weight`, [out, from.shape[1], kernel, kernel]), weights(b, random, `${name}.bias`, [out])],
      { kernel_shape: [kernel, kernel], pads: Array.from({ length: 4 }, () => kernel >> 1) },
      { name },
    );
  const first = conv(x, 8, 3, 'first');
  const statistics = ['scale', 'shift', 'mean', 'variance'].map((s) => b.floats(`norm.${s}`, [8], new Float32Array(8).fill(1)));
  const norm = b.op('BatchNormalization', [first, ...statistics], { epsilon: { float: 1e-5 } });
  const relu = b.op('Relu', [norm]);
  const second = conv(relu, 8, 3, 'second');
  const joined = b.op('Concat', [b.op('Add', [second, relu]), conv(relu, 4, 1, 'third')], { axis: 1 });
  const pooled = b.op('MaxPool', [joined], { kernel_shape: [2, 2], strides: [2, 2] });
  const target = b.op('Concat', [b.op('Gather', [b.op('Shape', [pooled]), b.ints([0])], { axis: 0 }), b.ints([192])], { axis: 0 });
  const flat = b.op('Reshape', [b.op('Identity', [pooled]), target], {}, { types: [{ type: 'float32', shape: [1, 192] }] });
  const out = b.op('Gemm', [flat, weights(b, random, 'head.weight', [10, 192]), weights(b, random, 'head.bias', [10])], { transB: 1 });
  b.output(b.op('Softmax', [out], { axis: -1 }), 'probabilities', ['N', 10]);
  return b.build();
}

/** Operators that rearrange: Pad, Slice, Split, Transpose, Resize, Tile, Expand, Squeeze, reductions, constants from shapes. */
function rearranging(random: Random): Model {
  const b = new GraphBuilder();
  const x = b.input('x', [2, 4, 6, 6]);
  const padded = b.op('Pad', [x, b.ints([0, 2, 1, 1, 0, 2, 1, 1])], { mode: 'constant' });
  const cut = b.op('Slice', [padded, b.ints([1]), b.ints([7]), b.ints([1]), b.ints([1])]);
  const [left, right] = b.ops('Split', [cut, b.ints([2, 4])], { axis: 1 }, { outputs: 2 });
  const turned = b.op('Transpose', [left], { perm: [0, 2, 3, 1] });
  const product = b.op('MatMul', [turned, weights(b, random, 'matrix', [2, 5])]);
  const back = b.op('Transpose', [product], { perm: [0, 3, 1, 2] });
  const large = b.op('Resize', [right, undefined, b.floats('scales', [4], Float32Array.of(1, 1, 2, 2))], { mode: 'nearest' });
  const mean = b.op('ReduceMean', [large], { axes: [2, 3], keepdims: 0 });
  const tiled = b.op('Tile', [b.op('Unsqueeze', [mean, b.ints([2])]), b.ints([1, 1, 3])]);
  const filled = b.op('ConstantOfShape', [b.ints([2, 4, 3])], { value: Tensor.float32('', [1], Float32Array.of(0.5)) });
  const where = b.op('Where', [b.op('Greater', [tiled, filled]), tiled, b.op('Expand', [b.scalar(0), b.ints([2, 4, 3])])]);
  b.output(b.op('Squeeze', [b.op('ReduceSum', [where, b.ints([2])], { keepdims: 1 }), b.ints([2])]), 'sums');
  b.output(b.op('DepthToSpace', [b.op('Pad', [back, b.ints([0, 0, 0, 0, 0, 3, 0, 0])])], { blocksize: 2 }), 'image');
  b.output(b.op('Range', [b.op('Size', [x]), b.ints([300]), b.ints([1])], {}, { types: [{ type: 'int64', shape: [12] }] }), 'counted');
  return b.build();
}

/** An operator nobody knows, stated shapes behind it, a branch with captured values, a constant node, metadata. */
function unusual(random: Random): Model {
  const b = new GraphBuilder();
  const x = b.input('x', [1, 4, 5, 5]);
  const conv = b.op(
    'ConvTranspose',
    [x, weights(b, random, 'w', [4, 6, 2, 2])],
    { strides: [2, 2], kernel_shape: [2, 2] },
    {
      types: [{ type: 'float32', shape: [1, 6, 10, 10] }],
    },
  );
  const odd = b.op('Fourier', [conv], { axis: 1 }, { domain: 'example', types: [conv], name: 'odd' });
  const clipped = b.op('Clip', [odd, b.scalar(0), b.scalar(6)]);
  b.output(b.op('GlobalAveragePool', [clipped]), 'y');
  const model = b.build('unusual', [['example', 1]]);
  const branch = (name: string): GraphProto => ({
    name,
    node: [
      {
        name,
        opType: 'Relu',
        input: ['y'],
        output: [`${name}_out`],
        attribute: [],
        metadataProps: [],
      },
    ],
    input: [],
    output: [{ name: `${name}_out` }],
    initializer: [],
    valueInfo: [],
  });
  const choice = makeNode('If', ['yes'], ['z'], {}, { name: 'choice' });
  const attributes = new Map(
    ['then_branch', 'else_branch'].map((name) => [name, { ...attribute(name, 0), i: undefined, type: 5, g: branch(name) }]),
  );
  const constant = makeNode('Constant', [], ['yes'], { value: new Tensor('', 'bool', [], Uint8Array.of(1)) });
  return {
    ...withGraph(model, {
      nodes: [...model.graph.nodes, constant, { ...choice, attributes }],
      outputs: [...model.graph.outputs, { name: 'z', type: 'float32', shape: [1, 6, 1, 1] }],
      valueInfo: new Map([['odd', { name: 'odd', type: 'float32', shape: [1, 6, 10, 10] }]]),
    }),
    metadata: new Map([['author', 'nobody']]),
  };
}

/** The same few models each time, as files. */
export const seedFiles = (random: Random): Uint8Array[] => [residual, rearranging, unusual].map((make) => modelBytes(make(random)));
