import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findChannelGroups } from '../graph/channel-groups';
import { costAfter, countCosts } from '../graph/costs';
import { normalize } from '../graph/passes/normalize';
import { loadModel } from '../onnx/file';
import { type Model, withGraph } from '../onnx/model';
import { elementCount, Tensor } from '../onnx/tensor';
import { Random } from '../random';
import { floatTensor, Session } from '../runtime/onnxruntime';
import { maskChannels, removeChannels } from './remove-channels';

const folder = join(process.env['ESPALIER_DATA'] ?? '', 'onnx-node-tests', 'light');

/** The "light" files of the ONNX tests hold architectures without weights (ConstantOfShape nodes): these are seeded ones, or zeros. */
function withWeights(model: Model, kind: 'random' | 'zero'): Model {
  const random = new Random(1);
  const initializers = new Map(model.graph.initializers);
  const positive = new Set(model.graph.nodes.flatMap((n) => (n.opType === 'BatchNormalization' ? [n.inputs[1], n.inputs[4]] : [])));
  const nodes = model.graph.nodes.filter((node) => {
    const shape = node.opType === 'ConstantOfShape' ? initializers.get(node.inputs[0]) : undefined;
    if (!shape) return true;
    const dims = shape.numbers();
    const size = elementCount(dims);
    const scale = dims.length > 1 ? Math.sqrt((2 * dims[0]) / size) : 0.1;
    const [name] = node.outputs;
    if (kind === 'zero') {
      // Pages that nobody writes to take no memory.
      initializers.set(name, new Tensor(name, 'float32', dims, new Uint8Array(4 * size)));
      return false;
    }
    const draw = positive.has(name) ? () => random.between(0.5, 1.5) : () => scale * random.normal();
    initializers.set(name, Tensor.float32(name, dims, Float32Array.from({ length: size }, draw)));
    return false;
  });
  return withGraph(model, { nodes, initializers });
}

async function run(model: Model): Promise<Float32Array> {
  const [input] = model.graph.inputs;
  const shape = input.shape!.map((d) => (typeof d === 'number' ? d : 1));
  const random = new Random(5);
  const data = Float32Array.from({ length: elementCount(shape) }, () => random.normal());
  const session = await Session.create(model, { threads: 1, optimization: 'basic' });
  try {
    return (await session.run({ [input.name]: floatTensor(data, shape) }))[model.graph.outputs[0].name].data as Float32Array;
  } finally {
    await session.release();
  }
}

const four = (width: number): number[] => [width, width, width, width];

/** For each stage the two inner widths of every block, and the stream's, which the first block's third convolution makes. */
const RESNET50 = [
  ...[64, 64, 64, 256, ...four(64)],
  ...[128, 128, 512, ...four(128), 128, 128],
  ...[256, 256, 1024, ...four(256), ...four(256), 256, 256],
  ...[512, 512, 2048, ...four(512)],
];

describe('architectures of the ONNX tests (needs ESPALIER_DATA)', () => {
  it.skipIf(!existsSync(folder)).each([
    // [file, groups, frozen classes]: SqueezeNet concatenates, Inception concatenates four ways, DenseNet concatenates everything,
    // ShuffleNet shuffles between grouped convolutions
    ['light_squeezenet.onnx', 25, 1],
    ['light_inception_v2.onnx', 69, 1],
    ['light_densenet121.onnx', 120, 1],
    ['light_shufflenet.onnx', 17, 1],
    ['light_inception_v1.onnx', 55, 3],
  ] as const)('%s has %i groups, and computes the same cut as masked', async (file, count, kept) => {
    const { model } = normalize(withWeights(loadModel(join(folder, file)), 'random'));
    const { groups, frozen } = findChannelGroups(model);
    expect([groups.length, frozen.length]).toEqual([count, kept]);
    const random = new Random(2);
    const removals = new Map(groups.map((g) => [g.id, [...random.permutation(g.channels).subarray(0, g.channels >> 2)]]));
    const removed = removeChannels(model, removals, groups);
    const [whole, masked, small] = [await run(model), await run(maskChannels(model, removals, groups)), await run(removed)];
    const largest = (difference: (i: number) => number): number => masked.reduce((m, _, i) => Math.max(m, Math.abs(difference(i))), 0);
    const scale = largest((i) => masked[i]);
    expect(largest((i) => small[i] - masked[i])).toBeLessThan(1e-4 * scale);
    expect(largest((i) => whole[i] - masked[i])).toBeGreaterThan(1e-3 * scale);
    const { macs, params, weightBytes } = countCosts(removed);
    const counts = Object.fromEntries(groups.map((g) => [g.id, g.channels - removals.get(g.id)!.length]));
    expect(costAfter(model, groups)(counts)).toEqual({ macs, params, weightBytes });
  });

  it.skipIf(!existsSync(folder)).each([
    // [file, channels of each group, and of what is not pruned: what LRN divides by its neighbours, and the classes]
    ['light_bvlc_alexnet.onnx', [192, 192, 128, 4096, 4096], [48, 128, 1000]],
    ['light_resnet50.onnx', RESNET50, [1000]],
    ['light_zfnet512.onnx', [512, 512, 512, 4096, 1024], [96, 256, 1000]],
    ['light_vgg19.onnx', [64, 64, 128, 128, ...four(256), ...four(512), ...four(512), 4096, 4096], [1000]],
  ] as const)('%s has the groups of its layers', (file, channels, kept) => {
    const { model } = normalize(withWeights(loadModel(join(folder, file)), 'zero'));
    const { groups, frozen } = findChannelGroups(model);
    expect(groups.map((g) => g.channels)).toEqual(channels);
    expect(frozen.map((f) => f.channels)).toEqual(kept);
  });
});
