import { describe, expect, it } from 'vitest';
import { type Model, makeNode } from '../../onnx/model';
import { blockedInputs } from './blocked-inputs';
import { expectSameAnswers, normals, operatorsOf, tinyGraph, value } from './testing/same-outputs';

const normal = normals(8);

/** A residual block whose input is a value computed before. */
function block(channels = 8): Model {
  return tinyGraph(
    [
      makeNode('Conv', ['x', 'w1'], ['c1'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
      makeNode('Relu', ['c1'], ['r1']),
      makeNode('Conv', ['r1', 'w2'], ['c2'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
      makeNode('Add', ['c2', 'x'], ['sum']),
      makeNode('Relu', ['sum'], ['y']),
    ],
    [normal('w1', 4, channels, 3, 3), normal('w2', channels, 4, 3, 3)],
    value('x', 'N', channels, 5, 6),
    value('y', 'N', channels, 5, 6),
  );
}

describe('blockedInputs', () => {
  it('the Add reads the input through a pooling of one pixel, which changes no value', async () => {
    const model = block();
    const result = blockedInputs(model);
    expect(operatorsOf(result.model)).toBe('MaxPool Conv Relu Conv Add Relu');
    await expectSameAnswers(model, result.model);
    expect(blockedInputs(result.model).modified).toBe(false);
  });

  it('left alone: channels that are no whole blocks, inputs that no Add reads', () => {
    expect(blockedInputs(block(6)).modified).toBe(false);
    const plain = block();
    const nodes = plain.graph.nodes.filter((n) => n.opType !== 'Add').map((n) => (n.inputs[0] === 'sum' ? { ...n, inputs: ['c2'] } : n));
    expect(blockedInputs({ ...plain, graph: { ...plain.graph, nodes } }).modified).toBe(false);
  });
});
