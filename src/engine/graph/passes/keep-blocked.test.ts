import { describe, expect, it } from 'vitest';
import { type Model, makeNode } from '../../onnx/model';
import { Tensor } from '../../onnx/tensor';
import { countCosts } from '../costs';
import { keepBlocked } from './keep-blocked';
import { expectSameAnswers, normals, operatorsOf, tinyGraph, value } from './testing/same-outputs';

const normal = normals(8);

interface Shortcut {
  readonly steps: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly pads: readonly number[];
  readonly filler: number;
  readonly channels: number;
}

const OPTION_A: Shortcut = {
  steps: [2, 2],
  starts: [0, 0],
  ends: [2147483647, 2147483647],
  pads: [0, 4, 0, 0, 0, 4, 0, 0],
  filler: 0,
  channels: 8,
};

/** A block with twice the channels at half the resolution, its shortcut without weights; odd sizes too. */
function block(change: Partial<Shortcut> = {}, rows = 9, columns = 6): Model {
  const { steps, starts, ends, pads, filler, channels } = { ...OPTION_A, ...change };
  const out = channels + pads[1] + pads[5];
  const size = (length: number, stride: number): number => Math.ceil(length / stride) + pads[2] + pads[6];
  return tinyGraph(
    [
      makeNode('Conv', ['x', 'w1'], ['c1'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
      makeNode('Relu', ['c1'], ['r1']),
      makeNode('Conv', ['r1', 'w2'], ['c2'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] }),
      makeNode('Slice', ['r1', 'starts', 'ends', 'axes', 'steps'], ['sliced']),
      makeNode('Pad', ['sliced', 'pads', 'filler'], ['padded']),
      makeNode('Add', ['c2', 'padded'], ['sum']),
      makeNode('Relu', ['sum'], ['y']),
    ],
    [
      normal('w1', channels, 3, 3, 3),
      normal('w2', out, channels, 3, 3),
      Tensor.ints('starts', starts),
      Tensor.ints('ends', ends),
      Tensor.ints('axes', [2, 3]),
      Tensor.ints('steps', steps),
      Tensor.ints('pads', pads),
      Tensor.float32('filler', [], Float32Array.of(filler)),
    ],
    value('x', 'N', 3, rows, columns),
    value('y', 'N', out, size(rows, 2), size(columns, 2)),
  );
}

describe('keepBlocked', () => {
  it.each([
    ['an even size', 8, 6],
    ['an odd size', 9, 7],
  ])('a shortcut of option A pools instead of slicing: %s', async (_, rows, columns) => {
    const model = block({}, rows, columns);
    const result = keepBlocked(model);
    expect(result.modified).toBe(true);
    expect(operatorsOf(result.model)).toBe('Conv Relu Conv MaxPool Pad MaxPool Add Relu');
    expect(countCosts(result.model)).toMatchObject({ macs: countCosts(model).macs, params: countCosts(model).params });
    await expectSameAnswers(model, result.model);
    expect(keepBlocked(result.model).modified).toBe(false);
  });

  it.each<[string, Partial<Shortcut>]>([
    ['a Slice that leaves out the first pixel', { starts: [1, 0], ends: [2147483647, 2147483647] }],
    ['a Slice that ends early', { ends: [7, 6] }],
    ['a Pad with something other than zeros', { filler: 1 }],
    ['channels that are no whole blocks', { channels: 6, pads: [0, 3, 0, 0, 0, 3, 0, 0] }],
  ])('left alone: %s', (_, change) => {
    expect(keepBlocked(block(change, 8, 6)).modified).toBe(false);
  });

  it('left alone: a padded value that something else reads', () => {
    const model = block();
    const read = { ...model, graph: { ...model.graph, outputs: [...model.graph.outputs, value('padded', 'N', 16, 5, 3)] } };
    expect(keepBlocked(read).modified).toBe(false);
  });
});
