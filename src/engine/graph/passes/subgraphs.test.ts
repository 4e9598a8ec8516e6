/** Graphs inside nodes (If, Loop, Scan) read values of the graph around them by name; nothing that changes a model may break that. */
import { describe, expect, it } from 'vitest';
import { modelBytes, parseModel } from '../../onnx/file';
import { type Model, makeNode, type Node, type ValueInfo } from '../../onnx/model';
import { modelToProto } from '../../onnx/model-proto';
import { AttributeType } from '../../onnx/schema';
import { elementCount, Tensor } from '../../onnx/tensor';
import { removeChannels } from '../../pruning/remove-channels';
import { Random } from '../../random';
import { floatTensor, Session } from '../../runtime/onnxruntime';
import { findChannelGroups } from '../channel-groups';
import { inferTypes } from '../infer';
import { removeDeadCode } from './dead-code';
import { dynamicBatch } from './dynamic-batch';
import { normalize } from './normalize';
import { normals } from './testing/same-outputs';

const normal = normals(4);
const bool = (name: string, value: boolean): Tensor => new Tensor(name, 'bool', [], Uint8Array.of(value ? 1 : 0));
const float = (name: string, ...shape: Array<number | string>): ValueInfo => ({ name, type: 'float32', shape });

function modelOf(nodes: readonly Node[], tensors: readonly Tensor[], inputs: readonly ValueInfo[], outputs: readonly ValueInfo[]): Model {
  return {
    graph: { name: 'g', nodes, inputs, outputs, initializers: new Map(tensors.map((t) => [t.name, t])) },
    opsets: new Map([['', 17]]),
    irVersion: 8,
    metadata: new Map(),
    header: {},
  };
}

/** The node with graphs as attributes. */
function withGraphs(node: Node, graphs: Readonly<Record<string, Model>>): Node {
  const attributes = new Map(node.attributes);
  for (const [name, model] of Object.entries(graphs))
    attributes.set(name, { name, type: AttributeType.GRAPH, g: modelToProto(model).graph, strings: [], tensors: [], graphs: [] });
  return { ...node, attributes };
}

/**
 * x → conv1 → relu1 ─┬→ If(then: reads relu1, copy, only, three and shape; else: reads relu1) → chosen
 *                    └→ conv2 → relu2 → Reshape(shape) → conv3 → y, with `only` and `three` read by the inner graph alone.
 */
function branching(condition: boolean): Model {
  const thenGraph = modelOf(
    [
      makeNode('Add', ['copy', 'only'], ['t1']),
      makeNode('Mul', ['t1', 'three'], ['t2']),
      makeNode('Reshape', ['big', 'shape'], ['t3']),
      makeNode('ReduceSum', ['t3'], ['t4'], { keepdims: 0 }),
      makeNode('Add', ['t2', 't4'], ['t5']),
    ],
    [normal('big', 192)],
    [],
    [float('t5', 2, 4, 4, 4)],
  );
  const elseGraph = modelOf([makeNode('Neg', ['relu1'], ['e1'])], [], [], [float('e1', 2, 4, 4, 4)]);
  const nodes = [
    makeNode('Conv', ['x', 'w1'], ['c1'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, { name: 'conv1' }),
    makeNode('Relu', ['c1'], ['relu1']),
    makeNode('Identity', ['relu1'], ['copy']),
    makeNode('Exp', ['w0'], ['only']),
    makeNode('Constant', [], ['three'], { value: Tensor.scalar('three', 3) }),
    makeNode('Sigmoid', ['relu1'], ['nobody']),
    withGraphs(makeNode('If', ['condition'], ['chosen'], {}, { name: 'choice' }), { then_branch: thenGraph, else_branch: elseGraph }),
    makeNode('Conv', ['relu1', 'w2'], ['c2'], { kernel_shape: [1, 1] }, { name: 'conv2' }),
    makeNode('Relu', ['c2'], ['relu2']),
    makeNode('Reshape', ['relu2', 'shape'], ['flat']),
    makeNode('Conv', ['flat', 'w3'], ['y'], { kernel_shape: [1] }, { name: 'conv3' }),
  ];
  const tensors = [
    normal('w1', 4, 3, 3, 3),
    normal('w2', 6, 4, 1, 1),
    normal('w3', 5, 6, 1),
    normal('w0', 4, 1, 1),
    Tensor.ints('shape', [2, 6, 16]),
    bool('condition', condition),
  ];
  return modelOf(nodes, tensors, [float('x', 2, 3, 4, 4)], [float('chosen', 2, 4, 4, 4), float('y', 2, 5, 16)]);
}

/** x → relu → Loop of 3 rounds (v + step, with `step` from the graph around it) → y */
function looping(): Model {
  const body = modelOf(
    [makeNode('Identity', ['go'], ['go_on']), makeNode('Add', ['v', 'step'], ['v_out'])],
    [],
    [{ name: 'round', type: 'int64', shape: [] }, { name: 'go', type: 'bool', shape: [] }, float('v', 2, 3)],
    [{ name: 'go_on', type: 'bool', shape: [] }, float('v_out', 2, 3)],
  );
  return modelOf(
    [
      makeNode('Relu', ['x'], ['r']),
      makeNode('Identity', ['k'], ['step']),
      withGraphs(makeNode('Loop', ['rounds', 'go0', 'r'], ['y'], {}, { name: 'loop' }), { body }),
    ],
    [normal('k', 3), Tensor.int64('rounds', [], [3]), bool('go0', true)],
    [float('x', 2, 3)],
    [float('y', 2, 3)],
  );
}

/** x → relu → Scan over its rows (sum so far, times `step` from the graph around it) → y */
function scanning(): Model {
  const body = modelOf(
    [makeNode('Add', ['sum', 'row'], ['sum_out']), makeNode('Mul', ['sum_out', 'step'], ['row_out'])],
    [],
    [float('sum', 3), float('row', 3)],
    [float('sum_out', 3), float('row_out', 3)],
  );
  return modelOf(
    [
      makeNode('Relu', ['x'], ['r']),
      makeNode('Identity', ['k'], ['step']),
      withGraphs(makeNode('Scan', ['begin', 'r'], ['total', 'y'], { num_scan_inputs: 1 }, { name: 'scan' }), { body }),
    ],
    [normal('k', 3), normal('begin', 3)],
    [float('x', 2, 3)],
    [float('y', 2, 3)],
  );
}

async function run(model: Model) {
  const shape = model.graph.inputs[0].shape!.map((d) => (typeof d === 'number' ? d : 2));
  const draw = new Random(3);
  const session = await Session.create(model, { threads: 1, optimization: 'disabled' });
  try {
    const x = Float32Array.from({ length: elementCount(shape) }, () => draw.normal());
    return await session.run({ x: floatTensor(x, shape) });
  } finally {
    await session.release();
  }
}

async function expectSame(a: Model, b: Model): Promise<void> {
  const [p, q] = [await run(a), await run(b)];
  for (const name of Object.keys(p)) expect([...q[name].data]).toEqual([...p[name].data]);
}

describe.each([
  ['If, condition true', () => branching(true)],
  ['If, condition false', () => branching(false)],
  ['Loop', looping],
  ['Scan', scanning],
])('%s', (_, make) => {
  it('gives the same after reading and writing, after all passes, and without dead code', async () => {
    const model = make();
    await expectSame(model, parseModel(modelBytes(model)));
    await expectSame(model, normalize(model).model);
    const trimmed = removeDeadCode(model).model;
    await expectSame(model, trimmed);
    expect(trimmed.graph.nodes.some((n) => n.outputs[0] === 'nobody')).toBe(false);
  });

  it('is carried through, with that as the reason; its batch stays fixed', () => {
    const model = make();
    const { unknownOperators } = inferTypes(model);
    expect(unknownOperators.map((u) => u.reason)).toEqual([
      expect.stringMatching(
        /^operator (If|Loop|Scan) \(node '(choice|loop|scan)'\) holds graphs of its own; they are carried through untouched$/,
      ),
    ]);
    expect(dynamicBatch(model)).toMatchObject({ modified: false, reason: expect.stringMatching(/the batch stays fixed: /) });
  });
});

it('the batch stays fixed where an inner graph reads samples', () => {
  expect(dynamicBatch(branching(true)).reason).toBe(
    "the batch stays fixed: If 'choice' holds graphs of its own, which may count on the batch",
  );
});

it('channels that an inner graph reads stay, others go; a constant that an inner graph shares is not changed under it', async () => {
  const model = branching(true);
  const { groups, frozen } = findChannelGroups(model);
  expect(groups.map((g) => g.id)).toEqual(['conv2']);
  expect(frozen.find((f) => f.id === 'conv1')?.reason).toBe("passes `If` at node 'choice', whose inner graphs stay as they are");
  const pruned = removeChannels(model, new Map([['conv2', [1, 4]]]), groups);
  expect(pruned.graph.initializers.get('w2')!.dims).toEqual([4, 4, 1, 1]);
  expect(pruned.graph.initializers.get('shape')!.numbers()).toEqual([2, 6, 16]);
  const [whole, small] = [await run(model), await run(pruned)];
  expect([...small['chosen'].data]).toEqual([...whole['chosen'].data]);
  expect(small['y'].shape).toEqual([2, 5, 16]);
});
