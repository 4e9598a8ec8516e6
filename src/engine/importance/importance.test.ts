import { describe, expect, test } from 'vitest';
import type { ChannelGroup, WeightMember } from '../graph/channel-group';
import { ChannelGroup as Group } from '../graph/channel-group';
import { type Model, makeNode } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { Random } from '../random';
import type { Criterion } from './criterion';
import { criteria, highestChannels } from './registry';

const member = (tensor: string, axis: number, length: number, role: WeightMember['role'], positions: number[][]): WeightMember => ({
  layers: [tensor],
  tensor,
  axis,
  length,
  role,
  positions,
});

/** Three channels: filters (3,4), (0,−1), (1,0) of one producer, ten times smaller ones of a second, batch-normalisation scales 0.1, −2, 1. */
function example(withNormalization = true): { group: ChannelGroup; model: Model } {
  const tensors = [
    Tensor.float32('w', [3, 2], Float32Array.of(3, 4, 0, -1, 1, 0)),
    // Along axis 1: channel c has column c + 1; column 0 belongs to someone else.
    Tensor.float32('v', [2, 4], Float32Array.of(100, 0.3, 0, 0.1, 100, 0.4, -0.1, 0)),
    Tensor.float32('scale', [3], Float32Array.of(0.1, -2, 1)),
    Tensor.float32('bias', [3], Float32Array.of(9, 9, 9)),
  ];
  const one = [[0], [1], [2]];
  const group = new Group({
    id: 'w',
    channels: 3,
    producers: [member('w', 0, 3, 'producer', one), member('v', 1, 4, 'producer', [[1], [2], [3]])],
    consumers: [],
    parameters: [member('bias', 0, 3, 'parameter', one), ...(withNormalization ? [member('scale', 0, 3, 'parameter', one)] : [])],
    values: [],
    widths: [],
    parts: [],
    couplings: [],
  });
  const model: Model = {
    graph: {
      name: 'g',
      nodes: [makeNode('BatchNormalization', ['x', 'scale', 'bias', 'bias', 'bias'], ['y'])],
      inputs: [],
      outputs: [],
      initializers: new Map(tensors.map((t) => [t.name, t])),
    },
    opsets: new Map([['', 17]]),
    irVersion: 8,
    metadata: new Map(),
    header: {},
  };
  return { group, model };
}

const scores = (name: string, { group, model } = example()): number[] =>
  Array.from((criteria.get(name) as Criterion).score(group, model, new Random(1)));

describe.each([...criteria.values()])('$name', (criterion) => {
  test('gives one finite score for each channel, the same every time', () => {
    const { group, model } = example();
    const first = criterion.score(group, model, new Random(3));
    expect(first).toHaveLength(3);
    expect(first.every(Number.isFinite)).toBe(true);
    expect(criterion.score(group, model, new Random(3))).toEqual(first);
    expect(criterion.description).toMatch(/\.$/);
  });
});

test('l1 adds absolute weights, each producer counting alike', () => {
  expect(scores('l1')).toEqual([expect.closeTo((2 * 7) / 3, 5), expect.closeTo(2 / 3, 5), expect.closeTo(2 / 3, 5)]);
});

test('l2 adds norms, each producer counting alike', () => {
  expect(scores('l2')).toEqual([expect.closeTo((2 * 15) / 7, 5), expect.closeTo(6 / 7, 5), expect.closeTo(6 / 7, 5)]);
});

test('bn-scale reads the scale of the normalisation, and nothing else', () => {
  const mean = 3.1 / 3;
  expect(scores('bn-scale')).toEqual([0.1, 2, 1].map((v) => expect.closeTo(v / mean, 5)));
});

test('bn-scale falls back on the norm where nothing is normalised', () => {
  expect(scores('bn-scale', example(false))).toEqual(scores('l2'));
});

test('fpgm: the filter nearest the others is the first to go', () => {
  const [a, b, c] = scores('fpgm');
  const distances = [Math.sqrt(34) + Math.sqrt(20), Math.sqrt(34) + Math.sqrt(2), Math.sqrt(20) + Math.sqrt(2)];
  const mean = distances.reduce((s, v) => s + v, 0) / 3;
  [a, b, c].forEach((v, i) => {
    expect(v).toBeCloseTo((2 * distances[i]) / mean, 5);
  });
});

test('random depends on the generator', () => {
  const { group, model } = example();
  const random = criteria.get('random') as Criterion;
  expect(random.score(group, model, new Random(1))).not.toEqual(random.score(group, model, new Random(2)));
});

test('the highest scores stay, the lower index on a tie', () => {
  expect(highestChannels([1, 5, 5, 0, 5], 2)).toEqual([1, 2]);
});
