import { describe, expect, test } from 'vitest';
import { makeNode } from '../onnx/model';
import { conv } from './conv';
import { type ChannelInput, traceChannels } from './testing/trace-channels';

const x = (shape: readonly number[], channelAxes?: readonly number[]): ChannelInput => ({ name: 'X', shape, channelAxes });
const weight = (name: string, shape: readonly number[]): ChannelInput => ({ name, shape, weight: true });
const roles = (trace: ReturnType<typeof traceChannels>) => Object.fromEntries(trace.roles);

describe('Conv', () => {
  test('filters make channels, and take those of the input', () => {
    const t = traceChannels('Conv', [x([1, 3, 8, 8]), weight('W', [4, 3, 3, 3]), weight('B', [4])]);
    expect(roles(t)).toEqual({ 'W.0': 'producer', 'W.1': 'consumer', 'B.0': 'parameter' });
    expect(t.with('W.0[2]')).toEqual(['B.0[2]', 'W.0[2]', 'Y0.1[2]']);
    expect(t.with('X.1[2]')).toEqual(['W.1[2]', 'X.1[2]']);
  });

  test('depthwise: a channel with all its filters', () => {
    const t = traceChannels('Conv', [x([1, 3, 8, 8]), weight('W', [6, 1, 3, 3]), weight('B', [6])], { group: 3 });
    expect(roles(t)).toEqual({ 'W.0': 'parameter', 'B.0': 'parameter' });
    expect(t.with('X.1[1]')).toEqual(['B.0[2]', 'B.0[3]', 'W.0[2]', 'W.0[3]', 'X.1[1]', 'Y0.1[2]', 'Y0.1[3]']);
  });

  test('depthwise: the attribute group follows', () => {
    const set: Array<[string, unknown]> = [];
    const shrink = (kept: readonly number[] | undefined, group: number, perGroup: number) =>
      conv.shrink!({
        node: makeNode('Conv', ['X', 'W'], ['Y'], { group }),
        opset: 17,
        inputs: [undefined, { type: 'float32', shape: [6, perGroup, 3, 3] }],
        outputs: [],
        keptInput: (input, axis) => (input === 0 && axis === 1 ? kept : undefined),
        keptOutput: () => undefined,
        setInts: () => expect.unreachable(),
        setAttribute: (name, value) => void set.push([name, value]),
      });
    shrink([0, 2], 3, 1);
    shrink(undefined, 3, 1);
    shrink([0, 2, 3, 5], 3, 2);
    shrink([0], 1, 1);
    expect(set).toEqual([['group', 2]]);
  });

  test('groups lose the same places', () => {
    const t = traceChannels('Conv', [x([1, 6, 8, 8]), weight('W', [4, 3, 3, 3])], { group: 2 });
    expect(t.with('X.1[1]')).toEqual(['W.1[1]', 'X.1[1]', 'X.1[4]']);
    expect(t.with('W.0[0]')).toEqual(['W.0[0]', 'W.0[2]', 'Y0.1[0]', 'Y0.1[2]']);
  });

  test('a computed weight, or an input without channels, freezes', () => {
    const computed = traceChannels('Conv', [x([1, 3, 8, 8]), { name: 'W', shape: [4, 3, 3, 3], channelAxes: [0] }]);
    expect(computed.frozen('X.1[0]')).toContain("convolution 'tested' computes its weight");
    expect(computed.frozen('W.0[0]')).toContain('computes its weight');
    const image = traceChannels('Conv', [x([1, 3, 8, 8], []), weight('W', [4, 3, 3, 3])]);
    expect(image.frozen('W.1[0]')).toContain("input of convolution 'tested'");
    expect(image.frozen('W.0[0]')).toBeUndefined();
    expect(traceChannels('Conv', [x([1, 3, 8, 8], []), weight('W', [3, 1, 3, 3])], { group: 3 }).frozen('Y0.1[0]')).toBeDefined();
  });
});

describe('Gemm', () => {
  test('a linear layer, addend in any of its shapes', () => {
    for (const shape of [[4], [1, 4]]) {
      const t = traceChannels('Gemm', [x([2, 3]), weight('W', [4, 3]), weight('C', shape)], { transB: 1 });
      expect(roles(t)).toEqual({ 'W.0': 'producer', 'W.1': 'consumer', [`C.${shape.length - 1}`]: 'parameter' });
      expect(t.with('Y0.1[3]')).toEqual([`C.${shape.length - 1}[3]`, 'W.0[3]', 'Y0.1[3]']);
      expect(t.with('X.1[2]')).toEqual(['W.1[2]', 'X.1[2]']);
    }
    const stretched = traceChannels('Gemm', [x([2, 3]), weight('W', [3, 4]), weight('C', [1])]);
    expect(stretched.with('Y0.1[3]')).toEqual(['W.1[3]', 'Y0.1[3]']);
  });

  test('the weight on the left', () => {
    const t = traceChannels('Gemm', [weight('W', [4, 3]), x([3, 2], [0])]);
    expect(roles(t)).toEqual({ 'W.0': 'producer', 'W.1': 'consumer' });
    expect(t.with('Y0.0[1]')).toEqual(['W.0[1]', 'Y0.0[1]']);
    expect(t.with('X.0[1]')).toEqual(['W.1[1]', 'X.0[1]']);
  });

  test('an input without channels freezes what meets it', () => {
    const t = traceChannels('Gemm', [x([2, 3], []), weight('W', [3, 4])]);
    expect(t.frozen('W.0[0]')).toContain("Gemm 'tested'");
    expect(t.frozen('W.1[0]')).toBeUndefined();
  });
});

describe('MatMul', () => {
  test('a weight on the right; leading axes pass', () => {
    const t = traceChannels('MatMul', [x([2, 5, 3], [1, 2]), weight('W', [3, 4])]);
    expect(roles(t)).toEqual({ 'W.0': 'consumer', 'W.1': 'producer' });
    expect(t.with('X.2[1]')).toEqual(['W.0[1]', 'X.2[1]']);
    expect(t.with('Y0.2[1]')).toEqual(['W.1[1]', 'Y0.2[1]']);
    expect(t.together('X.1[4]', 'Y0.1[4]')).toBe(true);
  });

  test('a weight on the left', () => {
    const t = traceChannels('MatMul', [weight('W', [4, 3]), x([2, 3, 5], [1, 2])]);
    expect(roles(t)).toEqual({ 'W.0': 'producer', 'W.1': 'consumer' });
    expect(t.with('Y0.1[1]')).toEqual(['W.0[1]', 'Y0.1[1]']);
    expect(t.together('X.2[4]', 'Y0.2[4]')).toBe(true);
  });

  test('two activations: queries and keys', () => {
    const keys: ChannelInput = { name: 'K', shape: [2, 6, 3, 5], channelAxes: [1, 2] };
    const t = traceChannels('MatMul', [x([2, 6, 7, 3], [1, 3]), keys]);
    expect(roles(t)).toEqual({});
    expect(t.with('X.3[1]')).toEqual(['K.2[1]', 'X.3[1]']);
    expect(t.with('Y0.1[2]')).toEqual(['K.1[2]', 'X.1[2]', 'Y0.1[2]']);
  });

  test('vectors', () => {
    expect(roles(traceChannels('MatMul', [x([2, 3]), weight('W', [3])]))).toEqual({ 'W.0': 'consumer' });
    const row = traceChannels('MatMul', [x([3], [0]), weight('W', [3, 4])]);
    expect(row.with('Y0.0[3]')).toEqual(['W.1[3]', 'Y0.0[3]']);
  });
});

test('BatchNormalization keeps channels, its parameters with them', () => {
  const parameters = ['scale', 'bias', 'mean', 'variance'];
  const t = traceChannels('BatchNormalization', [x([2, 3, 4, 4]), ...parameters.map((name) => weight(name, [3]))]);
  expect(roles(t)).toEqual(Object.fromEntries(parameters.map((name) => [`${name}.0`, 'parameter'])));
  expect(t.with('X.1[1]')).toEqual(['X.1[1]', 'Y0.1[1]', 'bias.0[1]', 'mean.0[1]', 'scale.0[1]', 'variance.0[1]']);
});

test('pooling keeps channels', () => {
  for (const opType of ['MaxPool', 'AveragePool', 'GlobalAveragePool', 'GlobalMaxPool']) {
    const attributes = opType.startsWith('Global') ? {} : { kernel_shape: [2, 2] };
    const t = traceChannels(opType, [x([2, 3, 4, 4])], attributes);
    expect(t.with('X.1[1]')).toEqual(['X.1[1]', 'Y0.1[1]']);
    expect(() => t.with('Y0.2[0]')).toThrow('carries no channels');
  }
});
