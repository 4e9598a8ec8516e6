import { expect, it } from 'vitest';
import { topologies } from '../../../test/topologies';
import { type Model, makeNode } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { Random } from '../random';
import { floatTensor, type RuntimeTensor, Session } from '../runtime/onnxruntime';
import { canStandBeside, sideBySide } from './side-by-side';

const outputsOf = async (model: Model, x: RuntimeTensor): Promise<Record<string, RuntimeTensor>> => {
  const session = await Session.create(model, { threads: 1 });
  try {
    return await session.run({ [session.inputNames[0]]: x });
  } finally {
    await session.release();
  }
};

/** The model with one of its weights halved. */
function halved(model: Model, name: string): Model {
  const weight = model.graph.initializers.get(name)!;
  const half = Tensor.float32(
    name,
    weight.dims,
    weight.floats().map((v) => v / 2),
  );
  return { ...model, graph: { ...model.graph, initializers: new Map([...model.graph.initializers, [name, half]]) } };
}

it('computes what each model computes, and holds a weight that they share once', async () => {
  const { model } = topologies().find((t) => t.name === 'residual')!;
  const weights = [...model.graph.initializers].filter(([, t]) => t.dims.length === 4).map(([name]) => name);
  const models = [model, halved(model, weights[0]), halved(model, weights.at(-1)!)];
  const merged = sideBySide(models);
  expect(merged.model.graph.initializers.size).toBe(model.graph.initializers.size + 2);
  expect(merged.model.graph.inputs).toEqual(model.graph.inputs);
  const random = new Random(1);
  const shape = [4, ...(model.graph.inputs[0].shape!.slice(1) as number[])];
  const x = floatTensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal()),
    shape,
  );
  const together = await outputsOf(merged.model, x);
  for (const [i, m] of models.entries()) {
    const [alone] = Object.values(await outputsOf(m, x));
    const beside = together[merged.outputs[i][0]];
    expect(beside.shape).toEqual(alone.shape);
    alone.data.forEach((v, k) => {
      expect(beside.data[k]).toBeCloseTo(Number(v), 5);
    });
  }
});

it('gives no two values one name, whatever the names are', () => {
  const add = (output: string, constant: number): Model => ({
    graph: {
      name: 'g',
      nodes: [makeNode('Add', ['y#1', 'c'], [output])],
      inputs: [{ name: 'y#1', type: 'float32', shape: ['n'] }],
      outputs: [{ name: output, type: 'float32' }],
      initializers: new Map([['c', Tensor.scalar('c', constant)]]),
    },
    opsets: new Map([['', 17]]),
    irVersion: 8,
    metadata: new Map(),
    header: {},
  });
  const { model, outputs } = sideBySide([add('y', 1), add('y', 2)]);
  const names = [
    ...model.graph.inputs.map((i) => i.name),
    ...model.graph.nodes.flatMap((n) => n.outputs),
    ...model.graph.initializers.keys(),
  ];
  expect(new Set(names).size).toBe(names.length);
  expect(outputs.flat()).toEqual(model.graph.outputs.map((o) => o.name));
});

it('knows that it cannot take graphs inside of nodes', () => {
  const { model } = topologies().find((t) => t.name === 'plain')!;
  expect(canStandBeside(model)).toBe(true);
  const attributes = new Map([['body', { name: 'body', type: 5, g: { node: [] } }]]);
  const loop = { ...makeNode('Loop', [], ['l']), attributes } as unknown as Model['graph']['nodes'][number];
  expect(canStandBeside({ ...model, graph: { ...model.graph, nodes: [...model.graph.nodes, loop] } })).toBe(false);
});
