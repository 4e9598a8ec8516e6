import { expect, test } from 'vitest';
import { UserError } from '../errors';
import { type Model, makeNode, withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { GraphBuilder, type Value } from '../ops/builder';
import { expectRightGradients } from './testing/gradients';
import { fill, residual, twoLayers } from './testing/networks';
import { Trainer } from './trainer';
import { buildTrainingGraph } from './training-graph';

const labelsOf = (n: number, classes: number): Int32Array => Int32Array.from({ length: n }, (_, i) => (2 * i + 1) % classes);

/** Softplus instead of ReLU: differences need a loss without kinks. */
const smooth = (model: Model): Model =>
  withGraph(model, {
    nodes: model.graph.nodes.map((n) => (n.opType === 'Relu' ? { ...n, opType: 'Softplus' } : n)),
  });

test('two linear layers: gradients of all four parameters', async () => {
  const batch = { inputs: fill(4 * 5, 1, 1), labels: labelsOf(4, 3) };
  const gradients = await expectRightGradients(smooth(twoLayers(5, 6, 3)), batch, () => ({ batch: 4 }));
  expect([...gradients.keys()].sort()).toEqual(['first.bias', 'first.weight', 'last.bias', 'last.weight']);
});

test('residual network with batch statistics: gradients of all parameters', async () => {
  const batch = { inputs: fill(4 * 768, 1, 1), labels: labelsOf(4, 10) };
  const gradients = await expectRightGradients(smooth(residual()), batch, () => ({ batch: 4 }), { tolerance: 0.02, step: 0.02 });
  expect(gradients.size).toBe(6 * 3 + 2);
}, 30_000);

test('residual network with frozen statistics: gradients, and the statistics stay', async () => {
  const batch = { inputs: fill(4 * 768, 1, 1), labels: labelsOf(4, 10) };
  await expectRightGradients(smooth(residual()), batch, () => ({ batch: 4, freezeBatchNorm: true }), { tolerance: 0.02 });
  const graph = buildTrainingGraph(residual(), { batch: 4, freezeBatchNorm: true });
  expect(graph.statistics).toEqual([]);
}, 30_000);

test('label smoothing, distillation and distance of scores: gradients', async () => {
  const batch = { inputs: fill(4 * 5, 1, 1), labels: labelsOf(4, 3), teacherLogits: fill(12, 9, 2) };
  const loss = { crossEntropy: 0.5, labelSmoothing: 0.2, distillation: { temperature: 2, weight: 1.5 }, logitsDistance: 0.25 };
  await expectRightGradients(smooth(twoLayers(5, 6, 3)), batch, () => ({ batch: 4, loss }));
});

test('without labels, correct counts agreement with the teacher', async () => {
  const loss = { crossEntropy: 0, distillation: { temperature: 1, weight: 1 } };
  const trainer = await Trainer.create(twoLayers(5, 6, 3), { batch: 4, loss, threads: 1 });
  const model = trainer.graph;
  expect(model.labels).toBeUndefined();
  const inputs = fill(20, 1, 1);
  const { loss: first } = await trainer.step({ inputs, teacherLogits: fill(12, 3, 2) }, 0);
  expect(first).toBeGreaterThan(0);
  await trainer.dispose();
});

/** x ─ Gemm(w) ─ `middle` ─ Gemm(u) ─ logits */
function withMiddle(middle: (b: GraphBuilder, x: Value) => Value): Model {
  const b = new GraphBuilder();
  const x = b.input('x', ['N', 4]);
  const h = b.op('Gemm', [x, b.floats('w', [5, 4], fill(20, 1, 1))], { transB: 1 }, { name: 'first' });
  const m = middle(b, h);
  b.output(b.op('Gemm', [m, b.floats('u', [3, 5], fill(15, 2, 1))], { transB: 1 }, { name: 'last' }), 'logits', ['N', 3]);
  return b.build();
}

test('an unknown operator stops training where a gradient must pass it', () => {
  const model = withMiddle((b, x) => b.op('Mystery', [x], {}, { name: 'odd', types: [x] }));
  expect(() => buildTrainingGraph(model, { batch: 2 })).toThrow(UserError);
  expect(() => buildTrainingGraph(model, { batch: 2 })).toThrow(/'odd' \(Mystery\) cannot be trained through/);
});

test('an unknown operator before the first trained weight is carried over', async () => {
  // Celu is not an operator of Espalier, but onnxruntime runs it; the shape is known again after the Reshape.
  const b = new GraphBuilder();
  const x = b.input('x', ['N', 4]);
  const c = b.op('Celu', [x], {}, { name: 'celu', types: [x] });
  const shaped = b.op('Reshape', [c, b.ints([2, 4])], {}, { types: [{ shape: [2, 4] }] });
  b.output(b.op('Gemm', [shaped, b.floats('w', [3, 4], fill(12, 1, 1))], { transB: 1 }), 'logits', ['N', 3]);
  const model = b.build();
  expect(buildTrainingGraph(model, { batch: 2 }).model.graph.nodes.some((n) => n.opType === 'Celu')).toBe(true);
  await expectRightGradients(model, { inputs: fill(8, 5, 1), labels: labelsOf(2, 3) }, () => ({ batch: 2 }));
});

test('frozen layers get no backward pass, and what leads to them neither', () => {
  const all = buildTrainingGraph(
    withMiddle((b, x) => b.op('Relu', [x])),
    { batch: 2 },
  );
  const last = buildTrainingGraph(
    withMiddle((b, x) => b.op('Relu', [x])),
    { batch: 2, trainable: (name) => name === 'u' },
  );
  expect(all.parameters.map((p) => p.name).sort()).toEqual(['u', 'w']);
  expect(last.parameters.map((p) => p.name)).toEqual(['u']);
  expect(last.model.graph.nodes.some((n) => n.opType === 'HardSigmoid')).toBe(false);
  expect(() =>
    buildTrainingGraph(
      withMiddle((_, x) => x),
      { batch: 2, trainable: () => false },
    ),
  ).toThrow(/nothing in the model can be trained/);
});

test('a weight used twice gets the sum of both gradients', async () => {
  const b = new GraphBuilder();
  const x = b.input('x', ['N', 3]);
  const w = b.floats('w', [3, 3], fill(9, 1, 1));
  const h = b.op('Softplus', [b.op('Gemm', [x, w], { transB: 1 })]);
  b.output(b.op('Gemm', [h, w], { transB: 1 }), 'logits', ['N', 3]);
  await expectRightGradients(b.build(), { inputs: fill(6, 4, 1), labels: labelsOf(2, 3) }, () => ({ batch: 2 }));
});

test('a final softmax is taken for what it is, and classes may be followed by axes of length 1', () => {
  const softmax = withMiddle((b, x) => b.op('Relu', [x]));
  const ended = withGraph(softmax, {
    nodes: [...softmax.graph.nodes, makeNode('Softmax', ['logits'], ['probabilities'], { axis: 1 })],
    outputs: [{ name: 'probabilities', type: 'float32', shape: ['N', 3] }],
  });
  const plain = buildTrainingGraph(softmax, { batch: 2 });
  const graph = buildTrainingGraph(ended, { batch: 2 });
  expect(graph.model.graph.nodes.length).toBe(plain.model.graph.nodes.length);
  const b = new GraphBuilder();
  const x = b.input('x', ['N', 2, 1, 1]);
  b.output(b.op('Conv', [x, b.floats('w', [3, 2, 1, 1], fill(6, 1, 1))]), 'scores', ['N', 3, 1, 1]);
  expect(buildTrainingGraph(b.build(), { batch: 2 }).classes).toBe(3);
});

test('older and newer operator sets train as well', async () => {
  const step = async (model: Model): Promise<number> => {
    const trainer = await Trainer.create(model, { batch: 2, threads: 1 });
    const { loss } = await trainer.step({ inputs: fill(8, 5, 1), labels: labelsOf(2, 3) }, 0.1);
    await trainer.dispose();
    return loss;
  };
  const model = withMiddle((b, x) => {
    const wide = b.op('Unsqueeze', [x, b.ints([2])]);
    return b.op('ReduceMean', [wide], { axes: [2], keepdims: 0 });
  });
  const at17 = await step(model);
  const rewritten = (opset: number): Model => {
    const nodes = model.graph.nodes.map((n) => {
      if (n.opType === 'Unsqueeze' && opset < 13) return makeNode('Unsqueeze', [n.inputs[0]], n.outputs, { axes: [2] });
      if (n.opType === 'ReduceMean' && opset >= 18) return makeNode('ReduceMean', [n.inputs[0], 'axes'], n.outputs, { keepdims: 0 });
      return n;
    });
    const initializers = new Map(model.graph.initializers).set('axes', Tensor.ints('axes', [2]));
    return { ...withGraph(model, { nodes, initializers }), opsets: new Map([['', opset]]) };
  };
  for (const opset of [9, 11, 13, 18, 20]) expect(await step(rewritten(opset)), `operator set ${opset}`).toBeCloseTo(at17, 5);
});

test('a batch that the file fixes, in its Reshapes too, is replaced by the wanted one', async () => {
  const model = (batch: number | string, target: number): Model => {
    const b = new GraphBuilder();
    const x = b.input('x', [batch, 2, 2]);
    const flat = b.op('Reshape', [x, b.ints([target, 4])], {}, { types: [{ shape: [1, 4] }] });
    const w = b.op('Reshape', [b.floats('w', [12, 1], fill(12, 1, 1)), b.ints([1, 4, 3])]);
    b.output(b.op('MatMul', [flat, b.op('Reshape', [w, b.ints([4, 3])])]), 'logits', [batch, 3]);
    return b.build();
  };
  const step = async (m: Model): Promise<Float32Array> => {
    const trainer = await Trainer.create(m, { batch: 2, threads: 1 });
    await trainer.step({ inputs: fill(8, 5, 1), labels: labelsOf(2, 3) }, 0.1);
    const weights = trainer.parameter('w').slice();
    expect([...trainer.model().graph.initializers.keys()]).toEqual([...m.graph.initializers.keys()]);
    await trainer.dispose();
    return weights;
  };
  expect(await step(model(1, 1))).toEqual(await step(model('N', -1)));
});

test('names of the model never clash with those of the training graph', () => {
  const b = new GraphBuilder();
  const x = b.input('labels', ['N', 4]);
  const h = b.op('Gemm', [x, b.floats('w_w_0', [3, 4], fill(12, 1, 1))], { transB: 1 }, { name: 'Mul_3' });
  b.output(b.op('Relu', [h], {}, { name: 'loss' }), 'loss', ['N', 3]);
  const { model } = buildTrainingGraph(b.build(), { batch: 2 });
  const made = [
    ...model.graph.inputs.map((i) => i.name),
    ...model.graph.initializers.keys(),
    ...model.graph.nodes.flatMap((n) => n.outputs),
  ];
  expect(new Set(made).size).toBe(made.length);
});
