/** The process in which onnxruntime runs models of the conformance benchmark: where it dies, only that model is lost. */
import * as ort from 'onnxruntime-node';
import { type DataType, Tensor } from '../src/engine/onnx/tensor';
import { checkGradient } from '../src/engine/ops/testing/check-gradient';
import { gradientCases } from '../src/engine/ops/testing/gradient-cases';

/** A tensor as messages carry it. */
export interface PlainTensor {
  readonly type: string;
  readonly dims: readonly number[];
  /** Elements as the file has them, little endian; absent for strings. */
  readonly bytes?: Uint8Array;
  readonly strings?: readonly string[];
}

export type Question =
  | { readonly kind: 'run'; readonly model: Uint8Array; readonly feeds: Readonly<Record<string, PlainTensor>> }
  /** A case of finite differences, by its number. */
  | { readonly kind: 'gradient'; readonly index: number };

export type Answer =
  | { readonly kind: 'outputs'; readonly outputs: Readonly<Record<string, PlainTensor>> }
  | { readonly kind: 'gradient'; readonly worst: number }
  | { readonly kind: 'refused'; readonly message: string };

type Data = ort.Tensor['data'];
const VIEWS: Readonly<Record<string, new (buffer: ArrayBuffer) => Data>> = {
  float32: Float32Array,
  float64: Float64Array,
  // onnxruntime-node takes half floats by their bits.
  float16: Uint16Array as unknown as new (buffer: ArrayBuffer) => Data,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
};

export function plainTensor(t: Tensor): PlainTensor {
  if (t.strings) return { type: t.type, dims: t.dims, strings: t.strings.map((s) => new TextDecoder().decode(s)) };
  return { type: t.type, dims: t.dims, bytes: t.bytes };
}

/** The numbers of a tensor; undefined for strings. */
export const numbersOf = (t: PlainTensor): number[] | undefined => t.bytes && new Tensor('', t.type as DataType, t.dims, t.bytes).numbers();

/** @throws Error where onnxruntime-node has no such type */
function toRuntime(t: PlainTensor): ort.Tensor {
  if (t.strings) return new ort.Tensor('string', [...t.strings], t.dims);
  const View = Object.hasOwn(VIEWS, t.type) ? VIEWS[t.type] : undefined;
  if (!View || !t.bytes) throw new Error(`onnxruntime-node takes no tensors of type ${t.type}`);
  // A copy: the bytes of a message may lie anywhere in a larger buffer.
  return new ort.Tensor(t.type as 'float32', new View(new Uint8Array(t.bytes).buffer) as Float32Array, t.dims);
}

function fromRuntime(t: ort.Tensor): PlainTensor {
  const { data } = t;
  if (t.type === 'string') return { type: t.type, dims: t.dims, strings: [...(data as readonly string[])] };
  const view = data as unknown as ArrayBufferView;
  return { type: t.type, dims: t.dims, bytes: new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice() };
}

async function runModel({ model, feeds }: Extract<Question, { kind: 'run' }>): Promise<Answer> {
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: 1,
    // What is compared is the graph as written, not what the optimiser makes of it.
    graphOptimizationLevel: 'disabled',
    enableMemPattern: false,
    logSeverityLevel: 4,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  try {
    const wanted = session.inputNames.flatMap((name) => (feeds[name] ? [[name, toRuntime(feeds[name])] as const] : []));
    const result = await session.run(Object.fromEntries(wanted));
    return { kind: 'outputs', outputs: Object.fromEntries(Object.entries(result).map(([name, t]) => [name, fromRuntime(t)])) };
  } finally {
    await session.release();
  }
}

const firstLine = (e: unknown): string => (e instanceof Error ? e.message : String(e)).split('\n')[0];

async function answer(question: Question): Promise<Answer> {
  try {
    if (question.kind === 'run') return await runModel(question);
    return { kind: 'gradient', worst: (await checkGradient(gradientCases[question.index])).worst };
  } catch (e) {
    return { kind: 'refused', message: firstLine(e) };
  }
}

/** Answers messages until the parent goes away. */
export function serve(): Promise<void> {
  process.on('message', async (question: Question) => {
    process.send!(await answer(question));
  });
  return new Promise((resolve) => process.on('disconnect', resolve));
}
