/** Small networks after the convolutional families: concatenations of branches, channel shuffles, gates, cardinality. */
import { normalize } from '../../src/engine/graph/passes/normalize';
import type { Value } from '../../src/engine/ops/builder';
import { type Network, topology } from './network';

/** Channels dealt out anew: [N, C, H, W] → [N, groups, C/groups, H, W] → exchanged → [N, C, H, W]. */
function shuffle(n: Network, name: string, x: Value, groups: number): Value {
  const [, c, h, w] = x.shape;
  const apart = n.op('Reshape', `${name}.apart`, [x, n.b.ints([-1, groups, c / groups, h, w])]);
  const dealt = n.op('Transpose', `${name}.dealt`, [apart], { perm: [0, 2, 1, 3, 4] });
  return n.op('Reshape', name, [dealt, n.b.ints([-1, c, h, w])]);
}

/** Convolution, batch normalisation, Relu. */
const unit = (n: Network, name: string, x: Value, out: number, kernel = 1, options: { stride?: number; group?: number } = {}): Value =>
  n.relu(`${name}.relu`, n.norm(`${name}.bn`, n.conv(name, x, out, kernel, { ...options, bias: false })));

const depthwise = (n: Network, name: string, x: Value, stride = 1): Value =>
  n.norm(`${name}.bn`, n.conv(name, x, x.shape[1], 3, { stride, group: x.shape[1], bias: false }));

export const mobileTopologies = [
  topology(
    'inception',
    'stem → concat(1×1, 1×1 → 3×3, 1×1 → 5×5, maxpool → 1×1) → last → fc',
    { stem: 6, one: 4, three: 5, reduce3: 3, five: 3, reduce5: 2, pooled: 4, last: 7 },
    (n) => {
      const leaky = (name: string, x: Value, out: number, kernel = 1): Value =>
        n.op('LeakyRelu', `${name}.relu`, [n.norm(`${name}.bn`, n.conv(name, x, out, kernel, { bias: false }))], { alpha: { float: 0.3 } });
      const stem = leaky('stem', n.input(3, 8, 8), 6, 3);
      const pool = n.op('MaxPool', 'maxpool', [stem], { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] });
      const branches = [
        leaky('one', stem, 4),
        leaky('three', leaky('reduce3', stem, 3), 5, 3),
        leaky('five', leaky('reduce5', stem, 2), 3, 5),
        leaky('pooled', pool, 4),
      ];
      return n.head(leaky('last', n.op('Concat', 'concat', branches, { axis: 1 }), 7, 3));
    },
  ),
  topology(
    'squeeze net',
    'stem → [squeeze → concat(1×1, 3×3)] twice, the second added to its input → 1×1 → pool → classes',
    { stem: 6, squeeze1: 4, one1: 6, three1: 6, squeeze2: 4 },
    (n) => {
      const fire = (x: Value, at: number): Value => {
        const squeezed = n.relu(`squeeze${at}.relu`, n.conv(`squeeze${at}`, x, 4, 1));
        const wide = [
          n.relu(`one${at}.relu`, n.conv(`one${at}`, squeezed, 6, 1)),
          n.relu(`three${at}.relu`, n.conv(`three${at}`, squeezed, 6)),
        ];
        return n.op('Concat', `concat${at}`, wide, { axis: 1 });
      };
      const first = fire(n.relu('stem.relu', n.conv('stem', n.input(3, 8, 8), 6)), 1);
      const second = n.op('Add', 'bypass', [first, fire(first, 2)]);
      const pooled = n.op('GlobalAveragePool', 'pool', [n.conv('classes', second, 5, 1)]);
      return n.done(n.op('Flatten', 'flat', [pooled], { axis: 1 }));
    },
  ),
  topology(
    'residual bottleneck, grouped',
    'stem → [1×1 → grouped 3×3 (4 groups) → 1×1] + stem → [… stride 2] + 1×1(stem) → fc',
    { stem: 8, a1: 4, b1: 4, a2: 3, b2: 3, short2: 10 },
    (n) => {
      const stem = unit(n, 'stem', n.input(3, 8, 8), 8, 3);
      const block = (at: number, x: Value, inner: number, out: number, stride: number): Value => {
        const y = unit(n, `b${at}`, unit(n, `a${at}`, x, inner), inner, 3, { group: 4, stride });
        const short = stride === 1 ? x : n.norm(`short${at}.bn`, n.conv(`short${at}`, x, out, 1, { stride }));
        return n.relu(`relu${at}`, n.op('Add', `add${at}`, [n.norm(`c${at}.bn`, n.conv(`c${at}`, y, out, 1)), short]));
      };
      return n.head(block(2, block(1, stem, 16, 8, 1), 12, 10, 2));
    },
  ),
  topology(
    'shuffle v1',
    'stem → [grouped 1×1 → shuffle → depthwise → grouped 1×1] + stem → [… stride 2] concat pool(stem) → last → fc',
    { stem: 4, a1: 2, a2: 2, c2: 6, last: 6 },
    (n) => {
      const stem = unit(n, 'stem', n.input(3, 8, 8), 8, 3);
      const block = (at: number, x: Value, out: number, stride: number): Value => {
        const mixed = shuffle(n, `shuffle${at}`, unit(n, `a${at}`, x, 8, 1, { group: 2 }), 2);
        const y = n.norm(`c${at}.bn`, n.conv(`c${at}`, depthwise(n, `b${at}`, mixed, stride), out, 1, { group: 2, bias: false }));
        if (stride === 1) return n.relu(`relu${at}`, n.op('Add', `add${at}`, [x, y]));
        const pooled = n.op('AveragePool', `pool${at}`, [x], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
        return n.relu(`relu${at}`, n.op('Concat', `concat${at}`, [pooled, y], { axis: 1 }));
      };
      return n.head(unit(n, 'last', block(2, block(1, stem, 8, 1), 12, 2), 6));
    },
  ),
  topology(
    'shuffle v2',
    'stem → concat(depthwise → 1×1, 1×1 → depthwise → 1×1), shuffle → split, [1×1 → depthwise → 1×1] on one half, concat, shuffle → fc',
    { stem: 6, left: 4, 'right.a': 8, 'unit.a': 8, last: 7 },
    (n) => {
      const branch = (name: string, x: Value, out: number, stride: number): Value =>
        unit(n, `${name}.c`, depthwise(n, `${name}.b`, unit(n, `${name}.a`, x, out), stride), out);
      const stem = unit(n, 'stem', n.input(3, 8, 8), 6, 3);
      const left = unit(n, 'left', depthwise(n, 'left.depth', stem, 2), 8);
      const down = shuffle(n, 'shuffle1', n.op('Concat', 'concat1', [left, branch('right', stem, 8, 2)], { axis: 1 }), 2);
      const [keep, work] = n.b.ops('Split', [down], { axis: 1 }, { outputs: 2, name: 'split' });
      const joined = n.op('Concat', 'concat2', [keep, branch('unit', work, 8, 1)], { axis: 1 });
      return n.head(unit(n, 'last', shuffle(n, 'shuffle2', joined, 2), 7));
    },
  ),
  topology(
    'shuffle v2, sliced',
    'stem → slice into halves, [1×1 → depthwise → 1×1] on one, concat, shuffle: twice → fc, normalised: the shuffles are Gathers',
    { stem: 3, 'stem#2': 3, 'stem#3': 6, a1: 6, c1: 3, 'c1#2': 3, a2: 6, c2: 6, last: 7 },
    (n) => {
      const { b } = n;
      const step = (at: number, x: Value): Value => {
        const half = x.shape[1] / 2;
        const part = (name: string, from: number, to: number): Value =>
          n.op('Slice', `${name}${at}`, [x, b.ints([from]), b.ints([to]), b.ints([1])]);
        const work = unit(n, `c${at}`, depthwise(n, `b${at}`, unit(n, `a${at}`, part('right', half, 2 * half), half)), half);
        return shuffle(n, `shuffle${at}`, n.op('Concat', `concat${at}`, [part('left', 0, half), work], { axis: 1 }), 2);
      };
      return normalize(n.head(unit(n, 'last', step(2, step(1, unit(n, 'stem', n.input(3, 8, 8), 12, 3))), 7))).model;
    },
  ),
  topology(
    'squeeze and excite, linear',
    'conv1 → x · reshape(sigmoid(Gemm(relu(Gemm(flatten(pool(x))))))) → conv2 → x · unsqueeze(… mean …) → fc',
    { conv1: 8, down1: 3, conv2: 6, down2: 4 },
    (n) => {
      const { b } = n;
      const gate = (at: number, pooled: Value, inner: number, out: number): Value =>
        n.op('Sigmoid', `gate${at}`, [n.gemm(`up${at}`, n.relu(`relu${at}`, n.gemm(`down${at}`, pooled, inner)), out)]);
      const x = n.relu('relu0', n.conv('conv1', n.input(3, 8, 8), 8));
      const flat = n.op('Flatten', 'flat1', [n.op('GlobalAveragePool', 'squeeze1', [x])], { axis: 1 });
      const first = n.op('Mul', 'scale1', [x, n.op('Reshape', 'wide1', [gate(1, flat, 3, 8), b.ints([-1, 8, 1, 1])])]);
      const y = n.conv('conv2', first, 6);
      const mean = n.op('ReduceMean', 'squeeze2', [y], { axes: [2, 3], keepdims: 0 });
      return n.head(n.op('Mul', 'scale2', [y, n.op('Unsqueeze', 'wide2', [gate(2, mean, 4, 6), b.ints([2, 3])])]));
    },
  ),
  topology(
    'inverted residual with gate',
    'stem → [expand → depthwise → x · gate(x) → project] + stem → last → fc, with HardSwish',
    { stem: 6, expand: 12, down: 3, last: 8 },
    (n) => {
      const swish = (name: string, x: Value): Value => n.op('HardSwish', name, [x]);
      const stem = swish('swish0', n.norm('stem.bn', n.conv('stem', n.input(3, 8, 8), 6)));
      const deep = swish('swish2', depthwise(n, 'depth', swish('swish1', n.norm('expand.bn', n.conv('expand', stem, 12, 1)))));
      const squeezed = n.relu('relu', n.conv('down', n.op('GlobalAveragePool', 'squeeze', [deep]), 3, 1));
      const gated = n.op('Mul', 'scale', [deep, n.op('HardSigmoid', 'gate', [n.conv('up', squeezed, 12, 1)])]);
      const x = n.op('Add', 'add', [stem, n.norm('project.bn', n.conv('project', gated, 6, 1))]);
      return n.head(swish('swish3', n.conv('last', x, 8, 1)));
    },
  ),
];
