/**
 * Test support: small networks with seeded weights, one for each way in which layers share channels.
 * Each has a one-line picture and the channel groups that are expected of it, by id and number of channels.
 */
import { normalize } from '../src/engine/graph/passes/normalize';
import { Tensor } from '../src/engine/onnx/tensor';
import type { Value } from '../src/engine/ops/builder';
import { attentionTopologies } from './topologies/attention';
import { decoderTopologies } from './topologies/decoders';
import { mobileTopologies } from './topologies/mobile';
import { type Topology, topology } from './topologies/network';
import { recurrentTopologies } from './topologies/recurrent';

export type { Topology } from './topologies/network';

const makers = [
  topology('plain', 'conv1 → relu → maxpool → conv2 → relu → flatten → fc1 → relu → fc2', { conv1: 8, conv2: 6, fc1: 12 }, (n) => {
    let x = n.relu('relu1', n.conv('conv1', n.input(3, 8, 8), 8));
    x = n.op('MaxPool', 'maxpool', [x], { kernel_shape: [2, 2], strides: [2, 2] });
    x = n.relu('relu2', n.conv('conv2', x, 6));
    x = n.relu('relu3', n.gemm('fc1', n.op('Flatten', 'flat', [x], { axis: 1 }), 12));
    return n.done(n.gemm('fc2', x, 5));
  }),
  topology('batch norm', 'conv1 → bn1 → relu → conv2 → bn2 → relu → pool → fc', { conv1: 8, conv2: 10 }, (n) => {
    const x = n.relu('relu1', n.norm('bn1', n.conv('conv1', n.input(3, 8, 8), 8, 3, { bias: false })));
    return n.head(n.relu('relu2', n.norm('bn2', n.conv('conv2', x, 10))));
  }),
  topology('residual', 'stem → [a → b] + stem → relu → [c → d] + … → fc', { stem: 8, a: 6, c: 5 }, (n) => {
    const stem = n.relu('relu0', n.norm('bn0', n.conv('stem', n.input(3, 8, 8), 8)));
    const block = (x: Value, first: string, second: string, width: number): Value => {
      const inner = n.relu(`${first}.relu`, n.norm(`${first}.bn`, n.conv(first, x, width)));
      return n.relu(`${second}.relu`, n.op('Add', `${second}.add`, [n.norm(`${second}.bn`, n.conv(second, inner, 8)), x]));
    };
    return n.head(block(block(stem, 'a', 'b', 6), 'c', 'd', 5));
  }),
  topology('residual 1×1', 'stem → [a → b] + shortcut(1×1, stride 2) → relu → fc', { stem: 8, a: 6, b: 12 }, (n) => {
    const stem = n.relu('relu0', n.conv('stem', n.input(3, 8, 8), 8));
    const inner = n.relu('relu1', n.norm('bn1', n.conv('a', stem, 6, 3, { stride: 2 })));
    const main = n.norm('bn2', n.conv('b', inner, 12));
    const shortcut = n.norm('bn3', n.conv('shortcut', stem, 12, 1, { stride: 2 }));
    return n.head(n.relu('relu2', n.op('Add', 'add', [main, shortcut])));
  }),
  topology('residual option A', 'stem → [a → b] + pad(stem[::2, ::2]) → relu → [c → d] + … → fc', { stem: 8, a: 6, b: 8, c: 7 }, (n) => {
    const { b } = n;
    const stem = n.relu('relu0', n.conv('stem', n.input(3, 8, 8), 8));
    const main = n.norm('bn1', n.conv('b', n.relu('relu1', n.conv('a', stem, 6, 3, { stride: 2 })), 16));
    const sliced = n.op('Slice', 'slice', [stem, b.ints([0, 0]), b.ints([2 ** 31 - 1, 2 ** 31 - 1]), b.ints([2, 3]), b.ints([2, 2])]);
    const padded = n.op('Pad', 'pad', [sliced, b.ints([0, 4, 0, 0, 0, 4, 0, 0])], { mode: 'constant' });
    const x = n.relu('relu2', n.op('Add', 'add1', [main, padded]));
    const next = n.norm('bn2', n.conv('d', n.relu('relu3', n.conv('c', x, 7)), 16));
    return n.head(n.relu('relu4', n.op('Add', 'add2', [next, x])));
  }),
  topology('dense', 'stem → a; concat(stem, a) → b; concat(stem, a, b) → bn → relu → 1×1 → fc', { stem: 6, a: 4, b: 4, mix: 9 }, (n) => {
    const stem = n.relu('relu0', n.conv('stem', n.input(3, 8, 8), 6));
    const a = n.conv('a', n.relu('relu1', n.norm('bn1', stem)), 4);
    const two = n.op('Concat', 'concat1', [stem, a], { axis: 1 });
    const b = n.conv('b', n.relu('relu2', n.norm('bn2', two)), 4);
    const three = n.op('Concat', 'concat2', [two, b], { axis: 1 });
    return n.head(n.relu('relu4', n.conv('mix', n.relu('relu3', n.norm('bn3', three)), 9, 1)));
  }),
  topology('depthwise', 'conv1 → depthwise → 1×1 → depthwise stride 2 → 1×1 → fc', { conv1: 8, point1: 12, point2: 10 }, (n) => {
    let x = n.relu('relu1', n.norm('bn1', n.conv('conv1', n.input(3, 8, 8), 8)));
    x = n.relu('relu2', n.norm('bn2', n.conv('depth1', x, 8, 3, { group: 8, bias: false })));
    x = n.relu('relu3', n.conv('point1', x, 12, 1));
    x = n.relu('relu4', n.conv('depth2', x, 12, 3, { group: 12, stride: 2 }));
    return n.head(n.relu('relu5', n.conv('point2', x, 10, 1)));
  }),
  topology('inverted residual', 'stem → [expand → depthwise → project] + stem → fc', { stem: 6, expand: 18, last: 10 }, (n) => {
    const stem = n.conv('stem', n.input(3, 8, 8), 6);
    const expanded = n.relu6('relu1', n.conv('expand', stem, 18, 1));
    const depth = n.relu6('relu2', n.conv('depth', expanded, 18, 3, { group: 18 }));
    const x = n.op('Add', 'add', [stem, n.conv('project', depth, 6, 1)]);
    return n.head(n.relu6('relu3', n.conv('last', x, 10, 1)));
  }),
  topology('grouped', 'conv1 → grouped conv (4 groups) → relu → conv3 → fc', { conv1: 4, grouped: 3, conv3: 6 }, (n) => {
    const x = n.relu('relu1', n.conv('conv1', n.input(3, 8, 8), 16));
    const y = n.relu('relu2', n.norm('bn2', n.conv('grouped', x, 12, 3, { group: 4 })));
    return n.head(n.relu('relu3', n.conv('conv3', y, 6)));
  }),
  topology('average pool and reshape', 'conv1 → average pool → reshape → fc', { conv1: 8 }, (n) => {
    const x = n.relu('relu1', n.conv('conv1', n.input(3, 8, 8), 8));
    const pooled = n.op('AveragePool', 'pool', [x], { kernel_shape: [4, 4], strides: [4, 4] });
    return n.done(n.gemm('fc', n.op('Reshape', 'flat', [pooled, n.b.ints([-1, 8 * 4])]), 5, false));
  }),
  topology('squeeze and excite', 'conv1 → x · sigmoid(up(relu(down(pool(x))))) → conv2 → fc', { conv1: 8, down: 3, conv2: 6 }, (n) => {
    const x = n.relu('relu1', n.conv('conv1', n.input(3, 8, 8), 8));
    const squeezed = n.relu('relu2', n.conv('down', n.op('GlobalAveragePool', 'squeeze', [x]), 3, 1));
    const gate = n.op('Sigmoid', 'gate', [n.conv('up', squeezed, 8, 1)]);
    return n.head(n.relu('relu3', n.conv('conv2', n.op('Mul', 'scale', [x, gate]), 6)));
  }),
  topology(
    'perceptron',
    'Gemm → relu → MatMul → Add → relu → Gemm',
    { fc1: 12, fc2: 9 },
    (n) => {
      const hidden = n.relu('relu1', n.gemm('fc1', n.input(20), 12));
      const second = n.op('MatMul', 'fc2', [hidden, n.weights('fc2.weight', [12, 9], 0.3)]);
      const x = n.relu('relu2', n.op('Add', 'fc2.add', [second, n.weights('fc2.bias', [9], 0.3)]));
      return n.done(n.gemm('fc3', x, 5, false));
    },
    { input: [16, 20] },
  ),
  topology('transposed middle', 'conv1 → NHWC → scale and shift → NCHW → conv2 → fc', { conv1: 8, conv2: 6 }, (n) => {
    const x = n.relu('relu1', n.conv('conv1', n.input(3, 8, 8), 8));
    const nhwc = n.op('Transpose', 'nhwc', [x], { perm: [0, 2, 3, 1] });
    const scaled = n.op('Mul', 'scale', [nhwc, n.weights('scale.weight', [8], 0.3, 1)]);
    const shifted = n.op('Add', 'shift', [scaled, n.weights('shift.bias', [8], 0.3)]);
    const nchw = n.op('Transpose', 'nchw', [shifted], { perm: [0, 3, 1, 2] });
    return n.head(n.relu('relu2', n.conv('conv2', nchw, 6)));
  }),
  topology(
    'computed shapes',
    'conv1 → reshape [batch, channels, −1] → mean → reshape [batch, −1] → fc, lengths from Shape nodes (normalised)',
    { conv1: 8 },
    (n) => {
      const { b } = n;
      const x = n.relu('relu1', n.conv('conv1', n.input(3, 8, 8), 8));
      const length = (v: Value, axis: number): Value =>
        b.op('Unsqueeze', [
          b.op('Gather', [b.op('Shape', [v]), b.constant(Tensor.int64(b.fresh('index'), [], [axis]))], { axis: 0 }),
          b.ints([0]),
        ]);
      const target = b.op('Concat', [length(x, 0), length(x, 1), b.ints([-1])], { axis: 0 });
      const rows = b.op('Reshape', [x, target], {}, { name: 'rows', types: [{ shape: [n.batch, 8, 64] }] });
      const pooled = b.op('ReduceMean', [rows], { axes: [2], keepdims: 1 }, { name: 'mean' });
      const flat = b.op('Concat', [length(pooled, 0), b.ints([-1])], { axis: 0 });
      return normalize(n.done(n.gemm('fc', b.op('Reshape', [pooled, flat], {}, { name: 'flat', types: [{ shape: [n.batch, 8] }] }), 5)))
        .model;
    },
  ),
  topology(
    'channel split',
    'conv1 → split 6 + 10 → relu, sigmoid → concat swapped → conv2 → fc',
    { conv1: 6, 'conv1#2': 10, conv2: 6 },
    (n) => {
      const x = n.conv('conv1', n.input(3, 8, 8), 16);
      const [left, right] = n.b.ops('Split', [x, n.b.ints([6, 10])], { axis: 1 }, { outputs: 2 });
      const swapped = n.op('Concat', 'concat', [n.op('Sigmoid', 'sigmoid', [right]), n.relu('relu', left)], { axis: 1 });
      return n.head(n.relu('relu2', n.conv('conv2', swapped, 6)));
    },
  ),
  topology('shared weights', 'stem → a → relu → a again → fc: one weight used twice couples both ends', { stem: 6 }, (n) => {
    const stem = n.conv('stem', n.input(3, 8, 8), 6);
    const w = n.weights('a.weight', [6, 6, 3, 3], 0.2);
    const use = (name: string, x: Value): Value => n.b.op('Conv', [x, w], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, { name });
    return n.head(use('second', n.relu('relu', use('first', stem))));
  }),
  topology(
    'channels last flatten',
    'conv1 → NHWC → flatten → fc (a channel is every 8th column)',
    { conv1: 8 },
    (n) => {
      const x = n.relu('relu1', n.conv('conv1', n.input(3, 4, 4), 8));
      const nhwc = n.op('Transpose', 'nhwc', [x], { perm: [0, 2, 3, 1] });
      return n.done(n.gemm('fc', n.op('Flatten', 'flat', [nhwc], { axis: 1 }), 5));
    },
    { input: [2, 3, 4, 4] },
  ),
];

/** Every topology, with weights drawn from `seed`. */
export const topologies = (seed = 1): Topology[] =>
  [...makers, ...mobileTopologies, ...attentionTopologies, ...recurrentTopologies, ...decoderTopologies].map((make) => make(seed));
