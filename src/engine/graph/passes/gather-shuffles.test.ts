import { describe, expect, it } from 'vitest';
import { type Model, makeNode, type Node, type Shape } from '../../onnx/model';
import { elementCount, Tensor } from '../../onnx/tensor';
import { floatTensor, Session } from '../../runtime/onnxruntime';
import { gatherShuffles } from './gather-shuffles';
import { normalize } from './normalize';

/** x → Reshape → Transpose → Reshape → y */
function shuffle(input: Shape, split: number[], perm: number[], output: Shape, target: number[], extra: Node[] = []): Model {
  const nodes = [
    makeNode('Reshape', ['x', 'split'], ['apart']),
    makeNode('Transpose', ['apart'], ['dealt'], { perm }),
    makeNode('Reshape', ['dealt', 'target'], ['y']),
    ...extra,
  ];
  const outputs = [
    { name: 'y', type: 'float32' as const, shape: output },
    ...extra.map((n) => ({ name: n.outputs[0], type: 'float32' as const })),
  ];
  const initializers = new Map([Tensor.ints('split', split), Tensor.ints('target', target)].map((t) => [t.name, t]));
  return {
    graph: { name: 'g', nodes, inputs: [{ name: 'x', type: 'float32', shape: input }], outputs, initializers },
    opsets: new Map([['', 17]]),
    irVersion: 8,
    metadata: new Map(),
    header: {},
  };
}

const operators = (m: Model): string => m.graph.nodes.map((n) => n.opType).join(' ');

async function run(model: Model, shape: readonly number[]): Promise<number[]> {
  const session = await Session.create(model, { threads: 1, optimization: 'disabled' });
  try {
    const { y } = await session.run({
      x: floatTensor(
        Float32Array.from({ length: elementCount(shape) }, (_, i) => i),
        shape,
      ),
    });
    return [...y.shape, ...Array.from(y.data as Float32Array)];
  } finally {
    await session.release();
  }
}

describe('gatherShuffles', () => {
  it.each([
    ['maps, 2 groups', shuffle(['N', 6, 2, 3], [-1, 2, 3, 2, 3], [0, 2, 1, 3, 4], ['N', 6, 2, 3], [-1, 6, 2, 3]), 1, [0, 3, 1, 4, 2, 5]],
    ['maps of one pixel', shuffle(['N', 6, 1, 1], [0, 3, 2, 1, 1], [0, 2, 1, 3, 4], ['N', 6, 1, 1], [0, 6, 1, 1]), 1, [0, 2, 4, 1, 3, 5]],
    ['channels last', shuffle(['N', 2, 6], [0, 2, 2, 3], [0, 1, 3, 2], ['N', 2, 6], [0, 2, 6]), 2, [0, 3, 1, 4, 2, 5]],
    [
      'three parts in a circle',
      shuffle(['N', 12], [-1, 2, 3, 2], [0, 2, 3, 1], ['N', 12], [-1, 12]),
      1,
      [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11],
    ],
  ] as const)('%s', async (_, model, axis, order) => {
    const result = gatherShuffles(model);
    expect(operators(result.model)).toBe('Gather');
    const [gather] = result.model.graph.nodes;
    expect([gather.name, Number(gather.attributes.get('axis')?.i)]).toEqual(['y', axis]);
    expect(result.model.graph.initializers.get(gather.inputs[1])?.numbers()).toEqual(order);
    const shape = model.graph.inputs[0].shape!.map((d) => (typeof d === 'number' ? d : 3));
    expect(await run(result.model, shape)).toEqual(await run(model, shape));
    expect([...normalize(model).model.graph.initializers.keys()]).toEqual([gather.inputs[1]]);
  });

  it.each([
    ['the batch is moved as well', shuffle([2, 6], [2, 2, 3], [1, 0, 2], [2, 6], [2, 6])],
    ['another shape results', shuffle(['N', 6], [0, 2, 3], [0, 2, 1], ['N', 3, 2], [0, 3, 2])],
    ['space becomes channels', shuffle([1, 2, 4], [1, 2, 2, 2], [0, 1, 3, 2], [1, 4, 2], [1, 4, 2])],
    ['the parts are read elsewhere', shuffle(['N', 6], [0, 2, 3], [0, 2, 1], ['N', 6], [0, 6], [makeNode('Relu', ['apart'], ['other'])])],
  ])('stays where %s', (_, model) => {
    expect(gatherShuffles(model)).toEqual({ model, modified: false });
  });
});
