/** Running a part of a model on inputs held in memory: only the nodes between what is known and what is wanted. */
import { notBatchFirst } from '../graph/batch-first';
import { partForRuntimes } from '../graph/passes/for-runtimes';
import { type Dim, type Model, type Node, readsOf, withGraph } from '../onnx/model';
import type { DataType } from '../onnx/tensor';
import { type RuntimeTensor, Session, type SessionOptions } from '../runtime/onnxruntime';

/** A value for all images of a sample: data is [images, ...dims]. */
export interface Activation {
  readonly dims: readonly number[];
  readonly data: RuntimeTensor['data'];
  /** Default float32. */
  readonly type?: DataType;
}

/** The nodes needed for `wanted`, given the values in `known`; inputs are those of `known` that are read. */
export function extractSegment(model: Model, known: ReadonlyMap<string, Activation>, wanted: readonly string[]): Model {
  const { graph } = model;
  const needed = new Set(wanted.filter((name) => !known.has(name)));
  const fed = new Set<string>();
  const nodes: Node[] = [];
  const initializers = new Map<string, NonNullable<ReturnType<typeof graph.initializers.get>>>();
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i];
    if (!node.outputs.some((o) => needed.has(o))) continue;
    nodes.push(node);
    for (const name of readsOf(node)) {
      const constant = graph.initializers.get(name);
      if (constant) initializers.set(name, constant);
      else if (known.has(name)) fed.add(name);
      else needed.add(name);
    }
  }
  nodes.reverse();
  const given = new Set(graph.inputs.map((i) => i.name));
  // The axis of the samples is open, by one name, from which onnxruntime sees that shapes are alike (its convolutions swallow an Add only
  // then); where that is not the first one, all are open.
  const otherwise = [...fed].some((name) => !given.has(name)) ? notBatchFirst(model) : new Set<string>();
  const shapeOf = (name: string): Dim[] => ['samples', ...known.get(name)!.dims].map((d) => (otherwise.has(name) ? '' : d));
  return withGraph(model, {
    nodes,
    initializers,
    inputs: [...fed].map((name) => ({ name, type: known.get(name)!.type ?? 'float32', shape: shapeOf(name) })),
    outputs: wanted.filter((name) => !known.has(name)).map((name) => ({ name, type: 'float32' })),
  });
}

export interface SegmentOptions extends SessionOptions {
  /** Images of one run. Default 125. */
  readonly chunk?: number;
  readonly signal?: AbortSignal;
}

/**
 * Computes the values `wanted` for `images` images and hands them over chunk by chunk (values already known included).
 * @param visit gets the index of the chunk's first image and each value as [chunk, ...dims]
 */
export async function runSegment(
  model: Model,
  known: ReadonlyMap<string, Activation>,
  wanted: readonly string[],
  images: number,
  options: SegmentOptions,
  visit: (first: number, values: ReadonlyMap<string, RuntimeTensor>) => void,
): Promise<void> {
  const unknown = wanted.filter((name) => !known.has(name));
  const session = unknown.length ? await Session.create(partForRuntimes(extractSegment(model, known, wanted)), options) : undefined;
  try {
    const step = options.chunk ?? 125;
    for (let first = 0; first < images; first += step) {
      options.signal?.throwIfAborted();
      const count = Math.min(step, images - first);
      const piece = (name: string): RuntimeTensor => {
        const { dims, data, type = 'float32' } = known.get(name)!;
        const size = dims.reduce((a, b) => a * b, 1);
        return { type, shape: [count, ...dims], data: data.subarray(first * size, (first + count) * size) };
      };
      const values = new Map<string, RuntimeTensor>();
      if (session) {
        const result = await session.run(Object.fromEntries(session.inputNames.map((name) => [name, piece(name)])));
        for (const name of unknown) values.set(name, result[name]);
      }
      for (const name of wanted) if (known.has(name)) values.set(name, piece(name));
      visit(first, values);
    }
  } finally {
    await session?.release();
  }
}
