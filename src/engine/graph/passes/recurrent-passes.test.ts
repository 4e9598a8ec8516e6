import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decode } from '../../onnx/codec';
import { loadModel } from '../../onnx/file';
import { attribute, type Model, withGraph } from '../../onnx/model';
import { type TensorProto, tensorSpec } from '../../onnx/schema';
import { type Tensor, tensorFromProto } from '../../onnx/tensor';
import { GraphBuilder, type Value } from '../../ops/builder';
import { Random } from '../../random';
import { floatTensor, Session } from '../../runtime/onnxruntime';
import { inferTypes } from '../infer';
import { stepsFirst } from './steps-first';
import { dropZeroStates } from './zero-states';

const [SAMPLES, STEPS, FEATURES, HIDDEN] = [3, 4, 5, 2];

async function run(
  model: Model,
  feeds: Record<string, { shape: readonly number[]; data: Float32Array }>,
): Promise<Record<string, Float32Array>> {
  const session = await Session.create(model, { threads: 1 });
  try {
    const result = await session.run(Object.fromEntries(Object.entries(feeds).map(([name, f]) => [name, floatTensor(f.data, f.shape)])));
    return Object.fromEntries(Object.entries(result).map(([name, t]) => [name, t.data as Float32Array]));
  } finally {
    await session.release();
  }
}

const largest = (a: Float32Array, b: ArrayLike<number>): number => a.reduce((m, v, i) => Math.max(m, Math.abs(v - b[i])), 0);

/** An LSTM over x, from the states that `states` makes. */
function network(states: (b: GraphBuilder, x: Value) => Array<Value | undefined>): Model {
  const random = new Random(2);
  const b = new GraphBuilder();
  const floats = (name: string, ...shape: number[]): Value =>
    b.floats(
      name,
      shape,
      Float32Array.from({ length: shape.reduce((p, d) => p * d, 1) }, () => random.normal()),
    );
  const x = b.input('x', [STEPS, 'N', FEATURES], 'float32', SAMPLES);
  const weights = [floats('w', 1, 4 * HIDDEN, FEATURES), floats('r', 1, 4 * HIDDEN, HIDDEN), floats('b', 1, 8 * HIDDEN)];
  const y = b.op('LSTM', [x, ...weights, undefined, ...states(b, x)], { hidden_size: HIDDEN }, { name: 'y' });
  b.output(y, 'y', [STEPS, 1, 'N', HIDDEN]);
  return b.build();
}

describe('initial states of zeros', () => {
  const random = new Random(5);
  const feeds = {
    x: { shape: [STEPS, SAMPLES, FEATURES], data: Float32Array.from({ length: STEPS * SAMPLES * FEATURES }, () => random.normal()) },
  };
  const stateOf = (b: GraphBuilder, name: string, fill: number): Value =>
    b.floats(name, [1, SAMPLES, HIDDEN], new Float32Array(SAMPLES * HIDDEN).fill(fill));
  /** [2, SAMPLES, HIDDEN] of zeros, and one of both: as for two layers. */
  const computed = (b: GraphBuilder): Value => {
    const both = b.op('ConstantOfShape', [b.ints([2, SAMPLES, HIDDEN])], {}, { types: [{ type: 'float32', shape: [2, SAMPLES, HIDDEN] }] });
    return b.op('Slice', [both, b.ints([1]), b.ints([2]), b.ints([0])]);
  };

  it.each([
    ['an initializer', (b: GraphBuilder) => [stateOf(b, 'h', 0), stateOf(b, 'c', 0)]],
    ['a slice of what is filled with zeros', (b: GraphBuilder) => [computed(b), computed(b)]],
    [
      'parts of zeros put together',
      (b: GraphBuilder) => {
        const left = b.op('Expand', [b.floats('none', [1, 1, 1], Float32Array.of(0)), b.ints([1, SAMPLES, 1])]);
        const right = b.op('Slice', [computed(b), b.ints([0]), b.ints([1]), b.ints([2])]);
        return [b.op('Concat', [left, right], { axis: 2 }), undefined];
      },
    ],
  ] satisfies Array<[string, (b: GraphBuilder) => Array<Value | undefined>]>)('%s: they go, and nothing changes', async (_, states) => {
    const model = network(states);
    const { model: without, modified } = dropZeroStates(model);
    expect(modified).toBe(true);
    expect(without.graph.nodes.find((n) => n.opType === 'LSTM')!.inputs).toHaveLength(4);
    expect(largest((await run(without, feeds)).y, (await run(model, feeds)).y)).toBe(0);
  });

  it('others stay: what is not zero, and what is not known', () => {
    const one = network((b) => [stateOf(b, 'h', 0), stateOf(b, 'c', 1)]);
    expect(dropZeroStates(one).model.graph.nodes.at(-1)!.inputs.slice(4)).toEqual(['', '', 'c']);
    const given = network((b) => [b.input('start', [1, SAMPLES, HIDDEN])]);
    expect(dropZeroStates(given)).toEqual({ model: given, modified: false });
    const shifted = network((b) => [b.op('Add', [computed(b), b.scalar(1)])]);
    expect(dropZeroStates(shifted).modified).toBe(false);
  });
});

const data = process.env['ESPALIER_DATA'];
const readTensor = (path: string): Tensor =>
  tensorFromProto(decode<TensorProto>(readFileSync(path), tensorSpec), () => {
    throw new Error('test tensors are whole');
  });

describe('samples first', () => {
  const present = data !== undefined && existsSync(join(data, 'onnx-node-tests', 'node'));
  it.skipIf(!present).each(['test_lstm_batchwise', 'test_gru_batchwise', 'test_simple_rnn_batchwise'])(
    '%s of the standard gives its stored outputs (needs ESPALIER_DATA)',
    async (name) => {
      const folder = join(data ?? '', 'onnx-node-tests', 'node', name);
      const { model, modified } = stepsFirst(loadModel(join(folder, 'model.onnx')));
      expect(modified).toBe(true);
      const tensors = join(folder, 'test_data_set_0');
      const feeds = Object.fromEntries(
        model.graph.inputs.map(({ name: input }, i) => {
          const t = readTensor(join(tensors, `input_${i}.pb`));
          return [input, { shape: t.dims, data: t.floats() }];
        }),
      );
      const results = await run(model, feeds);
      const types = inferTypes(model).types;
      model.graph.outputs.forEach((output, i) => {
        const stored = readTensor(join(tensors, `output_${i}.pb`));
        expect(types.get(output.name)?.shape).toEqual(stored.dims);
        expect(largest(results[output.name], stored.floats())).toBeLessThan(1e-5);
      });
    },
  );

  it('is turned, so that onnxruntime computes what it computes with the steps first', async () => {
    const model = network(() => []);
    const random = new Random(6);
    const x = Float32Array.from({ length: STEPS * SAMPLES * FEATURES }, () => random.normal());
    const turned = new Float32Array(x.length);
    for (let s = 0; s < STEPS; s++)
      for (let n = 0; n < SAMPLES; n++)
        for (let i = 0; i < FEATURES; i++) turned[(n * STEPS + s) * FEATURES + i] = x[(s * SAMPLES + n) * FEATURES + i];
    const [input] = model.graph.inputs;
    const nodes = model.graph.nodes.map((n) => ({ ...n, attributes: new Map([...n.attributes, ['layout', attribute('layout', 1)]]) }));
    const outputs = [{ ...model.graph.outputs[0], shape: ['N', STEPS, 1, HIDDEN] }];
    const first = withGraph(model, { nodes, inputs: [{ ...input, shape: ['N', STEPS, FEATURES] }], outputs });
    const { y } = await run(stepsFirst(first).model, { x: { shape: [SAMPLES, STEPS, FEATURES], data: turned } });
    const own = (await run(model, { x: { shape: [STEPS, SAMPLES, FEATURES], data: x } })).y;
    for (let s = 0; s < STEPS; s++)
      for (let n = 0; n < SAMPLES; n++)
        for (let h = 0; h < HIDDEN; h++) expect(y[(n * STEPS + s) * HIDDEN + h]).toBeCloseTo(own[(s * SAMPLES + n) * HIDDEN + h], 6);
  });

  it('models without such layers are left as they are', () => {
    const model = network(() => []);
    expect(stepsFirst(model)).toEqual({ model, modified: false });
  });
});
