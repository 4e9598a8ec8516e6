import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tf } from '../agents/tensor-backend';
import { UserError } from '../errors';
import { findChannelGroups } from '../graph/channel-groups';
import { operatorsOf } from '../graph/passes/testing/same-outputs';
import { formatOf, loadAnyModel } from './registry';
import { GraphModelBuilder, type GraphModelFiles, graphModelDifference } from './testing/graph-model';
import { loadTfjs } from './testing/tfjs';

let tf: Tf;
let folder: string;
beforeAll(async () => {
  ({ tf } = await loadTfjs());
  folder = mkdtempSync(join(tmpdir(), 'espalier-graph-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
function written({ json, bytes }: Pick<GraphModelFiles, 'bytes'> & { json: object }): string {
  const at = join(folder, String(count++));
  mkdirSync(at);
  writeFileSync(join(at, 'model.json'), JSON.stringify(json));
  writeFileSync(join(at, 'group1-shard1of1.bin'), bytes);
  return join(at, 'model.json');
}

const window = { strides: [1, 1, 1, 1], padding: 'SAME', data_format: 'NHWC', dilations: [1, 1, 1, 1] } as const;

/** An image of 9 × 8 places and 3 channels through `make`, which names its last node. */
const image = (make: (g: GraphModelBuilder, x: string) => string | string[]) => (): GraphModelFiles => {
  const g = new GraphModelBuilder();
  const ends = make(g, g.input('x', 9, 8, 3));
  return g.build(...(Array.isArray(ends) ? ends : [ends]));
};
const sample = (shape: number[], make: (g: GraphModelBuilder, x: string) => string) => (): GraphModelFiles => {
  const g = new GraphModelBuilder();
  return g.build(make(g, g.input('x', ...shape)));
};
const unary = (op: string, attributes = {}) => image((g, x) => g.node(op, 'y', [x], attributes));
const positive = (op: string) => image((g, x) => g.node(op, 'y', [g.node('AddV2', 's', [g.node('Square', 'q', [x]), g.float('one', 1)])]));

const cases: ReadonlyArray<readonly [name: string, make: () => GraphModelFiles, operators: string]> = [
  [
    'Conv2D, BiasAdd, Relu',
    image((g, x) =>
      g.node('Relu', 'y', [
        g.node('BiasAdd', 'b', [
          g.node('Conv2D', 'c', [x, g.weight('w', [3, 3, 3, 4])], { ...window, strides: [1, 2, 2, 1] }),
          g.weight('v', [4]),
        ]),
      ]),
    ),
    'Conv Relu',
  ],
  [
    '_FusedConv2D',
    image((g, x) =>
      g.node('_FusedConv2D', 'y', [x, g.weight('w', [2, 3, 3, 4]), g.weight('v', [4])], {
        ...window,
        padding: 'VALID',
        fused_ops: ['BiasAdd', 'Relu6'],
        num_args: 1,
        epsilon: { float: 0 },
      }),
    ),
    'Conv Clip',
  ],
  [
    '_FusedConv2D, leaky',
    image((g, x) =>
      g.node('_FusedConv2D', 'y', [x, g.weight('w', [2, 3, 3, 4]), g.weight('v', [4])], {
        ...window,
        fused_ops: ['BiasAdd', 'LeakyRelu'],
        num_args: 1,
        leakyrelu_alpha: { float: 0.3 },
      }),
    ),
    'Conv LeakyRelu',
  ],
  [
    'dilated and padded by numbers',
    image((g, x) =>
      g.node('Conv2D', 'y', [x, g.weight('w', [3, 3, 3, 2])], {
        ...window,
        padding: 'EXPLICIT',
        explicit_paddings: [0, 0, 1, 2, 0, 3, 0, 0],
        dilations: [1, 2, 2, 1],
      }),
    ),
    'Conv',
  ],
  [
    'DepthwiseConv2dNative',
    image((g, x) => g.node('DepthwiseConv2dNative', 'y', [x, g.weight('w', [3, 3, 3, 2])], { ...window, strides: [1, 2, 2, 1] })),
    'Conv',
  ],
  [
    'FusedDepthwiseConv2dNative',
    image((g, x) =>
      g.node('FusedDepthwiseConv2dNative', 'y', [x, g.weight('w', [3, 3, 3, 1]), g.weight('v', [3])], {
        ...window,
        fused_ops: ['BiasAdd', 'Relu'],
        num_args: 1,
      }),
    ),
    'Conv Relu',
  ],
  [
    'Conv2DBackpropInput',
    image((g, x) =>
      g.node('Conv2DBackpropInput', 'y', [g.ints('size', 2, 18, 16, 4), g.weight('w', [3, 3, 4, 3]), x], {
        ...window,
        strides: [1, 2, 2, 1],
      }),
    ),
    'ConvTranspose',
  ],
  [
    'FusedBatchNormV3',
    image((g, x) =>
      g.node('FusedBatchNormV3', 'y', [x, g.weight('a', [3]), g.weight('b', [3]), g.weight('m', [3]), g.weight('v', [3], true)], {
        is_training: false,
        epsilon: { float: 0.002 },
        data_format: 'NHWC',
      }),
    ),
    'BatchNormalization',
  ],
  [
    'MaxPool, AvgPool',
    image((g, x) =>
      g.node('AvgPool', 'y', [g.node('MaxPool', 'p', [x], { ...window, ksize: [1, 2, 2, 1], strides: [1, 2, 2, 1] })], {
        ...window,
        ksize: [1, 3, 3, 1],
      }),
    ),
    'MaxPool AveragePool',
  ],
  [
    'Mean to rows, MatMul, BiasAdd, Softmax',
    image((g, x) =>
      g.node('Softmax', 'y', [
        g.node('BiasAdd', 'b', [
          g.node('MatMul', 'd', [g.node('Mean', 'm', [x, g.ints('axes', 1, 2)], { keep_dims: false }), g.weight('w', [3, 5])], {
            transpose_a: false,
            transpose_b: false,
          }),
          g.weight('v', [5]),
        ]),
      ]),
    ),
    'ReduceMean Gemm Softmax',
  ],
  [
    'Reshape to rows, _FusedMatMul',
    image((g, x) =>
      g.node(
        '_FusedMatMul',
        'y',
        [
          g.node('Reshape', 'r', [g.node('Conv2D', 'c', [x, g.weight('w', [3, 3, 3, 2])], window), g.ints('shape', -1, 144)]),
          g.weight('k', [144, 4]),
          g.weight('v', [4]),
        ],
        { fused_ops: ['BiasAdd', 'Elu'], num_args: 1, transpose_a: false, transpose_b: false },
      ),
    ),
    'Conv Reshape Gemm Elu',
  ],
  [
    'rows that leave keep their order',
    image((g, x) => g.node('Reshape', 'y', [g.node('Relu', 'r', [x]), g.ints('shape', -1, 216)])),
    'Transpose Relu Reshape',
  ],
  [
    'a residual block',
    image((g, x) => {
      const c = g.node('_FusedConv2D', 'c', [x, g.weight('w', [3, 3, 3, 3]), g.weight('v', [3])], {
        ...window,
        fused_ops: ['BiasAdd'],
        num_args: 1,
      });
      return g.node('Relu', 'y', [g.node('AddV2', 's', [c, x])]);
    }),
    'Conv Add Relu',
  ],
  [
    'concatenation, padding',
    image((g, x) =>
      g.node('PadV2', 'y', [
        g.node('ConcatV2', 'c', [x, g.node('Tanh', 't', [x]), g.int('axis', -1)], { N: 2 }),
        g.pairs('pads', 0, 0, 1, 0, 2, 1, 0, 0),
        g.float('fill', 0.5),
      ]),
    ),
    'Tanh Concat Pad',
  ],
  [
    'squeeze and excite with computed lengths',
    image((g, x) => {
      const mean = g.node('Mean', 'm', [x, g.ints('axes', 1, 2)], { keep_dims: false });
      const batch = g.node(
        'StridedSlice',
        'n',
        [g.node('Shape', 'sh', [mean], { out_type: { type: 'DT_INT32' } }), g.ints('b', 0), g.ints('e', 1), g.ints('st', 1)],
        { begin_mask: 0, end_mask: 0, ellipsis_mask: 0, new_axis_mask: 0, shrink_axis_mask: 1 },
      );
      const shape = g.node('Pack', 'pk', [batch, g.int('one', 1), g.int('two', 1), g.int('three', 3)], { axis: 0, N: 4 });
      const gate = g.node('Sigmoid', 'g', [g.node('Reshape', 'r', [mean, shape])]);
      return g.node('Mul', 'y', [x, gate]);
    }),
    'ReduceMean Reshape Sigmoid Reshape Mul',
  ],
  [
    'a convolution of sequences (ExpandDims, Squeeze)',
    sample([9, 3], (g, x) =>
      g.node(
        'Squeeze',
        'y',
        [g.node('Conv2D', 'c', [g.node('ExpandDims', 'e', [x, g.int('axis', 1)]), g.weight('w', [1, 3, 3, 4])], window)],
        { squeeze_dims: [1] },
      ),
    ),
    'Unsqueeze Conv Squeeze',
  ],
  [
    'split, unpack, pack',
    image((g, x) => {
      g.node('Split', 's', [g.int('axis', 3), x], { num_split: 3 });
      return g.node('AddV2', 'y', ['s', g.node('Mul', 'm', ['s:1', 's:2'])]);
    }),
    'Split Mul Add',
  ],
  [
    'cuts',
    image((g, x) =>
      g.node('StridedSlice', 'y', [x, g.ints('b', 0, 1, 0, 0), g.ints('e', 0, 8, 0, 2), g.ints('st', 1, 2, 1, 1)], {
        begin_mask: 5,
        end_mask: 5,
        ellipsis_mask: 0,
        new_axis_mask: 0,
        shrink_axis_mask: 0,
      }),
    ),
    'Slice',
  ],
  [
    'ResizeNearestNeighbor',
    image((g, x) => g.node('ResizeNearestNeighbor', 'y', [x, g.ints('size', 18, 16)], { align_corners: false, half_pixel_centers: false })),
    'Resize',
  ],
  [
    'ResizeBilinear by pixel centres',
    image((g, x) => g.node('ResizeBilinear', 'y', [x, g.ints('size', 18, 24)], { align_corners: false, half_pixel_centers: true })),
    'Resize',
  ],
  [
    'ResizeBilinear by corners',
    image((g, x) => g.node('ResizeBilinear', 'y', [x, g.ints('size', 18, 16)], { align_corners: true, half_pixel_centers: false })),
    'Resize',
  ],
  ['Transpose', image((g, x) => g.node('Transpose', 'y', [x, g.ints('perm', 0, 2, 1, 3)], { Tperm: { type: 'DT_INT32' } })), 'Transpose'],
  ['DepthToSpace', sample([3, 2, 8], (g, x) => g.node('DepthToSpace', 'y', [x], { block_size: 2, data_format: 'NHWC' })), 'DepthToSpace'],
  [
    'normalisation written out',
    image((g, x) => {
      const mean = g.node('Mean', 'm', [x, g.ints('last', 3)], { keep_dims: true });
      const v = g.node('Mean', 'v', [g.node('SquaredDifference', 'd', [x, mean]), 'last'], { keep_dims: true });
      return g.node('Mul', 'y', [g.node('Sub', 'c', [x, mean]), g.node('Rsqrt', 'r', [g.node('AddV2', 'e', [v, g.float('eps', 0.1)])])]);
    }),
    'ReduceMean Sub Sub Mul ReduceMean Add Sqrt Reciprocal Mul',
  ],
  ...['Relu', 'Relu6', 'Elu', 'Sigmoid', 'Tanh', 'Softplus', 'Selu', 'Exp', 'Neg', 'Abs', 'Square', 'Erf', 'Identity'].map(
    (op) => [op, unary(op), ''] as const,
  ),
  ...['Log', 'Sqrt', 'Rsqrt', 'Reciprocal'].map((op) => [op, positive(op), ''] as const),
  ['LeakyRelu', unary('LeakyRelu', { alpha: { float: 0.3 } }), 'LeakyRelu'],
  ['Prelu', image((g, x) => g.node('Prelu', 'y', [x, g.weight('alpha', [3])])), 'PRelu'],
  ['ClipByValue', image((g, x) => g.node('ClipByValue', 'y', [x, g.float('least', -0.2), g.float('most', 0.7)])), 'Clip'],
  [
    'two values',
    image((g, x) =>
      g.node('Maximum', 'a', [g.node('Sub', 'b', [x, g.weight('w', [3])]), g.node('RealDiv', 'c', [x, g.weight('v', [8, 1], true)])]),
    ),
    'Sub Div Max',
  ],
  ['several sums', image((g, x) => g.node('AddN', 'y', [x, g.node('Minimum', 'm', [x, g.float('z', 0)]), x], { N: 3 })), 'Min Add Add'],
  [
    'reductions',
    image((g, x) =>
      g.node('AddV2', 'y', [
        g.node('Max', 'a', [x, g.ints('axes', 1)], { keep_dims: true }),
        g.node('Sum', 'b', [x, 'axes'], { keep_dims: true }),
      ]),
    ),
    'ReduceMax ReduceSum Add',
  ],
];

describe('graph models give what TensorFlow.js gives', () => {
  it.each(cases)('%s', async (_, make, operators) => {
    const files = make();
    const model = await loadAnyModel(written(files));
    expect(await graphModelDifference(tf, files, model)).toBeLessThan(1e-4);
    if (operators !== '') expect(operatorsOf(model)).toBe(operators);
  });

  it('a network as the converter writes it: groups, names, and no transposes', async () => {
    const g = new GraphModelBuilder(3);
    const at = (name: string): string => `StatefulPartitionedCall/net/${name}`;
    const conv = (x: string, name: string, inner: number, outer: number, stride: number): string =>
      g.node(
        '_FusedConv2D',
        at(`${name}/Relu`),
        [x, g.weight(at(`${name}/kernel`), [3, 3, inner, outer]), g.weight(at(`${name}/bias`), [outer])],
        { ...window, strides: [1, stride, stride, 1], fused_ops: ['BiasAdd', 'Relu'], num_args: 1 },
      );
    const stem = conv(g.input('image', 12, 12, 3), 'stem', 3, 8, 1);
    const branch = g.node(
      '_FusedConv2D',
      at('inner/BiasAdd'),
      [conv(stem, 'first', 8, 8, 1), g.weight(at('inner/kernel'), [3, 3, 8, 8]), g.weight(at('inner/bias'), [8])],
      { ...window, fused_ops: ['BiasAdd'], num_args: 1 },
    );
    const sum = g.node('Relu', at('sum/Relu'), [g.node('AddV2', at('sum/add'), [stem, branch])]);
    const rows = g.node('Reshape', at('flatten/Reshape'), [
      g.node('MaxPool', at('pool'), [sum], { ...window, ksize: [1, 2, 2, 1], strides: [1, 2, 2, 1] }),
      g.ints(at('flatten/Const'), -1, 288),
    ]);
    const head = g.node('_FusedMatMul', at('head/BiasAdd'), [rows, g.weight(at('head/kernel'), [288, 5]), g.weight(at('head/bias'), [5])], {
      fused_ops: ['BiasAdd'],
      num_args: 1,
      transpose_a: false,
      transpose_b: false,
    });
    const files = g.build(g.node('Identity', 'Identity', [head]));
    const path = written(files);
    const model = await loadAnyModel(path);
    expect(await graphModelDifference(tf, files, model)).toBeLessThan(1e-4);
    expect((await formatOf(path)).name).toBe('TensorFlow.js graph');
    expect(operatorsOf(model)).toBe('Conv Relu Conv Relu Conv Add Relu MaxPool Reshape Gemm');
    expect(model.graph.inputs[0]).toMatchObject({ name: 'image', shape: ['batch', 3, 12, 12] });
    expect(model.graph.nodes[0].name).toBe('net/stem/Relu');
    const { groups } = findChannelGroups(model);
    expect(groups.map((x) => x.channels)).toEqual([8, 8]);
  });
});

describe('what cannot be read says so', () => {
  const simple = image((g, x) => g.node('Relu', 'y', [x]));
  const rows: ReadonlyArray<readonly [what: string, json: () => object, sentence: string]> = [
    [
      'an unknown operator',
      () => image((g, x) => g.node('Fourier', 'y', [x]))().json,
      "node 'y' (Fourier) is an operator that is not read",
    ],
    [
      'a loop',
      () =>
        image((g, x) => {
          g.node('Relu', 'a', ['y']);
          return g.node('AddV2', 'y', ['a', x]);
        })().json,
      'the graph has a cycle through',
    ],
    ['a missing node', () => image((g) => g.node('Relu', 'y', ['gone']))().json, "'gone', which 'y' (Relu) needs, is not in the graph"],
    [
      'training',
      () =>
        image((g, x) =>
          g.node('FusedBatchNormV3', 'y', [x, g.weight('a', [3]), g.weight('b', [3]), g.weight('m', [3]), g.weight('v', [3])], {
            is_training: true,
          }),
        )().json,
      "node 'y' (FusedBatchNormV3) normalises by the batch it is given, as in training",
    ],
    [
      'a computed kernel',
      () => image((g, x) => g.node('Conv2D', 'y', [x, x], window))().json,
      "node 'y' (Conv2D) computes its input number 1, which has to be known here",
    ],
    ['no nodes', () => ({ ...simple().json, modelTopology: { node: 3 } }), "the graph's entry node is wrong"],
    [
      'an open input',
      () => sample([-1, 3, 3], (g, x) => g.node('Relu', 'y', [x]))().json,
      "node 'x' (Placeholder) leaves lengths of the input open: [?, ?, 3, 3]",
    ],
    [
      'lost weights',
      () => {
        const { json } = image((g, x) => g.node('Mul', 'y', [x, g.weight('w', [3])]))();
        return { ...json, weightsManifest: [] };
      },
      "node 'w' (Const) is a weight that the file does not hold",
    ],
  ];
  it.each(rows)('%s', async (_, json, sentence) => {
    const path = written({ json: json(), bytes: new Uint8Array(1e4) });
    const error = await loadAnyModel(path).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toContain(`${path}: ${sentence}`);
    expect((error as UserError).hint).toBeTruthy();
  });
});
