/** Test support: one operator alone in a graph, and onnxruntime to run it. */
import * as ort from 'onnxruntime-node';
import { modelBytes } from '../../onnx/file';
import { type AttributeValue, type Model, makeNode, type Node } from '../../onnx/model';
import { type DataType, elementCount, isFloat, Tensor } from '../../onnx/tensor';
import { Random } from '../../random';
import { GraphBuilder, type Value } from '../builder';
import type { Operator } from '../operator';
import { findOperator } from '../registry';

export interface InputCase {
  readonly name: string;
  readonly shape: readonly number[];
  /** Row-major elements; seeded standard normal draws where absent (whole numbers must be given). */
  readonly data?: ArrayLike<number>;
  /** 'float32' where absent; integers and booleans are made initializers. */
  readonly type?: 'float32' | 'int64' | 'int32' | 'bool';
  /** True makes it an initializer: the operator sees its value, and no gradient is asked for it. */
  readonly constant?: boolean;
}

export interface NodeCase {
  readonly opType: string;
  readonly domain?: string;
  /** In the node's order; undefined where an optional input is left out. */
  readonly inputs: ReadonlyArray<InputCase | undefined>;
  readonly attributes?: Record<string, AttributeValue | undefined>;
  /** How many outputs the node has; 1 where absent. */
  readonly outputs?: number;
  /** Operator set; the builder's own where absent. */
  readonly opset?: number;
  /** Seed of the random inputs; 1 where absent. */
  readonly seed?: number;
}

export interface SingleNode {
  readonly b: GraphBuilder;
  readonly operator: Operator;
  readonly node: Node;
  readonly inputs: ReadonlyArray<Value | undefined>;
  /** What the session is fed, by input name: everything that is not an initializer. */
  readonly feeds: Map<string, { shape: readonly number[]; data: Float32Array }>;
  /** Initializers by input name. */
  readonly constants: ReadonlyMap<string, Tensor>;
}

/** The node's inputs placed in a fresh graph; the node itself is made, not yet added. */
export function placeInputs(test: NodeCase): SingleNode {
  const operator = findOperator(test.opType, test.domain);
  if (!operator) throw new Error(`${test.opType} is not registered`);
  const random = new Random(test.seed ?? 1);
  const b = new GraphBuilder(test.opset);
  const feeds: SingleNode['feeds'] = new Map();
  const constants = new Map<string, Tensor>();
  const inputs = test.inputs.map((input): Value | undefined => {
    if (!input) return undefined;
    const tensor = tensorOf(input, random);
    if (input.constant || !isFloat(tensor.type)) {
      constants.set(input.name, tensor);
      return b.constant(tensor);
    }
    feeds.set(input.name, { shape: input.shape, data: tensor.floats() });
    return b.input(input.name, input.shape);
  });
  const outputs = Array.from({ length: test.outputs ?? 1 }, (_, i) => `output_${i}`);
  const names = test.inputs.map((i) => i?.name ?? '');
  const node = makeNode(test.opType, names, outputs, test.attributes, { domain: test.domain });
  return { b, operator, node, inputs, feeds, constants };
}

function tensorOf(input: InputCase, random: Random): Tensor {
  const type: DataType = input.type ?? 'float32';
  const count = elementCount(input.shape);
  if (input.data && input.data.length !== count)
    throw new Error(`input '${input.name}' of shape [${input.shape}] has ${input.data.length} elements`);
  if (type === 'float32') {
    const data = input.data ? Float32Array.from(input.data) : Float32Array.from({ length: count }, () => random.normal());
    return Tensor.float32(input.name, input.shape, data);
  }
  if (!input.data) throw new Error(`input '${input.name}' of type ${type} needs data`);
  const values = Array.from(input.data);
  if (type === 'int64') return Tensor.int64(input.name, input.shape, values);
  const bytes = type === 'int32' ? new Uint8Array(Int32Array.from(values).buffer) : Uint8Array.from(values);
  return new Tensor(input.name, type, input.shape, bytes);
}

/** Opens the model on one thread, lets `use` run it, and releases it. */
export async function withSession<T>(model: Model, use: (session: ort.InferenceSession) => Promise<T>): Promise<T> {
  const session = await ort.InferenceSession.create(modelBytes(model), {
    intraOpNumThreads: 1,
    enableMemPattern: false,
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  try {
    return await use(session);
  } finally {
    await session.release();
  }
}

/** onnxruntime tensors of what `placeInputs` feeds. */
export const tensorFeeds = (feeds: SingleNode['feeds']): Record<string, ort.Tensor> =>
  Object.fromEntries([...feeds].map(([name, { shape, data }]) => [name, new ort.Tensor('float32', data, shape)]));
