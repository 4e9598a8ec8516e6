/** Test support for passes: tiny graphs, and whether two models answer alike in onnxruntime. */
import { expect } from 'vitest';
import type { Model, Node, ValueInfo } from '../../../onnx/model';
import { elementCount, Tensor } from '../../../onnx/tensor';
import { Random } from '../../../random';
import { floatTensor, Session } from '../../../runtime/onnxruntime';

export const value = (name: string, ...shape: (number | string)[]): ValueInfo => ({ name, type: 'float32', shape });

/** Tensors of normal draws, one after the other from one generator. */
export function normals(seed: number): (name: string, ...dims: number[]) => Tensor {
  const random = new Random(seed);
  return (name, ...dims) =>
    Tensor.float32(
      name,
      dims,
      Float32Array.from({ length: elementCount(dims) }, () => random.normal()),
    );
}

export function tinyGraph(
  nodes: readonly Node[],
  tensors: readonly Tensor[],
  inputs: ValueInfo | readonly ValueInfo[],
  outputs: ValueInfo | readonly ValueInfo[],
  opset = 17,
): Model {
  const list = (v: ValueInfo | readonly ValueInfo[]): readonly ValueInfo[] => (Array.isArray(v) ? v : [v as ValueInfo]);
  return {
    graph: {
      name: 'g',
      nodes,
      inputs: list(inputs),
      outputs: list(outputs),
      initializers: new Map(tensors.map((t) => [t.name, t])),
    },
    opsets: new Map([['', opset]]),
    irVersion: 8,
    metadata: new Map(),
    header: {},
  };
}

export const operatorsOf = (m: Model): string => m.graph.nodes.map((n) => n.opType).join(' ');

/** Answers on normal draws; symbolic lengths are given `free`. */
export async function answersOf(model: Model, free = 2): Promise<Record<string, { data: number[]; shape: readonly number[] }>> {
  const random = new Random(3);
  const feeds = Object.fromEntries(
    model.graph.inputs.map(({ name, shape }) => {
      const lengths = shape!.map((d) => (typeof d === 'number' ? d : free));
      return [
        name,
        floatTensor(
          Float32Array.from({ length: elementCount(lengths) }, () => random.normal()),
          lengths,
        ),
      ];
    }),
  );
  const session = await Session.create(model, { threads: 1, optimization: 'disabled' });
  try {
    const results = await session.run(feeds);
    return Object.fromEntries(
      Object.entries(results).map(([name, { data, shape }]) => [name, { data: Array.from(data as Float32Array, Number), shape }]),
    );
  } finally {
    await session.release();
  }
}

/** Both models give the same outputs, to `tolerance` of the largest value. */
export async function expectSameAnswers(a: Model, b: Model, tolerance = 2e-5): Promise<void> {
  const [x, y] = [await answersOf(a), await answersOf(b)];
  expect(Object.keys(y)).toEqual(Object.keys(x));
  for (const name of Object.keys(x)) {
    expect(y[name].shape).toEqual(x[name].shape);
    const scale = x[name].data.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    const difference = x[name].data.reduce((most, v, i) => Math.max(most, Math.abs(v - y[name].data[i])), 0);
    expect(difference).toBeLessThanOrEqual(tolerance * scale);
  }
}
