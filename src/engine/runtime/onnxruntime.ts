/** The one place that touches onnxruntime: loading it, creating sessions with the options measured to work best, running them. */
import { arch, availableParallelism, platform } from 'node:os';
import type * as OrtModule from 'onnxruntime-node';
import { UserError } from '../errors';
import { modelBytes } from '../onnx/file';
import type { Model } from '../onnx/model';
import { type DataType, elementCount } from '../onnx/tensor';

export type Ort = typeof OrtModule;
type OrtSession = OrtModule.InferenceSession;

let loaded: Promise<Ort> | undefined;

/**
 * onnxruntime-node, loaded when first needed (85 ms).
 * @throws UserError where this platform has no binary of it
 */
export function loadOnnxruntime(): Promise<Ort> {
  loaded ??= import('onnxruntime-node').then(
    (module) => ('default' in module ? (module.default as Ort) : module),
    (cause: Error) => {
      throw new UserError(
        `onnxruntime-node does not load on ${platform()}-${arch()} with Node ${process.versions.node}: ${cause.message.split('\n')[0]}`,
        'It has binaries for Linux and Windows (x64, arm64) and macOS (arm64); reinstall the package for this platform.',
        { cause },
      );
    },
  );
  return loaded;
}

/** Version of onnxruntime, for everything that is printed or stored with a figure. */
export async function runtimeVersion(): Promise<string> {
  const { versions } = (await loadOnnxruntime()).env;
  return `onnxruntime ${versions.node ?? versions.common}`;
}

export interface SessionOptions {
  /** Threads inside an operator; default: all cores. Several one-thread sessions in their own threads out-run one many-thread session. */
  readonly threads?: number;
  /** Leave idle threads spinning: 5–10 % faster for a session that is alone, ruinous beside others. Default false. */
  readonly spin?: boolean;
  /** 'disabled' for short-lived sessions whose creation would cost more than their runs. Default 'all'. */
  readonly optimization?: 'disabled' | 'basic' | 'extended' | 'all';
}

/** A named tensor on its way into or out of a session. */
export interface RuntimeTensor {
  readonly type: DataType;
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array | Int32Array | Uint8Array | Int8Array;
}

export const floatTensor = (data: Float32Array, shape: readonly number[]): RuntimeTensor => ({ type: 'float32', shape, data });

/** A session that must be released; several may live in one process. */
export class Session {
  private constructor(
    private readonly runtime: Ort,
    private readonly session: OrtSession,
    readonly inputNames: readonly string[],
    readonly outputNames: readonly string[],
  ) {}

  /** @throws UserError with onnxruntime's own words where it refuses the model */
  static async create(model: Model | Uint8Array, options: SessionOptions = {}): Promise<Session> {
    const bytes = model instanceof Uint8Array ? model : modelBytes(model);
    const runtime = await loadOnnxruntime();
    try {
      const session = await runtime.InferenceSession.create(bytes, {
        intraOpNumThreads: options.threads ?? availableParallelism(),
        interOpNumThreads: 1,
        executionMode: 'sequential',
        graphOptimizationLevel: options.optimization ?? 'all',
        enableMemPattern: false,
        logSeverityLevel: 4,
        extra: { session: { intra_op: { allow_spinning: options.spin ? '1' : '0' } } },
      });
      return new Session(runtime, session, session.inputNames, session.outputNames);
    } catch (cause) {
      throw new UserError(`onnxruntime refuses the model: ${firstLine(cause)}`, 'Run `espalier inspect` on it to see its operators.', {
        cause,
      });
    }
  }

  /** Runs the graph. @param outputs which outputs to compute; default all */
  async run(feeds: Readonly<Record<string, RuntimeTensor>>, outputs?: readonly string[]): Promise<Record<string, RuntimeTensor>> {
    const { Tensor } = this.runtime;
    const converted: Record<string, OrtModule.Tensor> = {};
    for (const [name, t] of Object.entries(feeds)) {
      if (t.data.length !== elementCount(t.shape))
        throw new Error(`feed '${name}': ${t.data.length} values for shape [${t.shape.join(', ')}]`);
      converted[name] = new Tensor(t.type as 'float32', ownMemory(t.data) as Float32Array, t.shape);
    }
    try {
      const result = outputs ? await this.session.run(converted, [...outputs]) : await this.session.run(converted);
      return Object.fromEntries(
        Object.entries(result).map(([name, t]) => [name, { type: t.type as DataType, shape: t.dims, data: t.data as Float32Array }]),
      );
    } catch (cause) {
      throw new UserError(`the model does not run: ${firstLine(cause)}`, 'Check that the data fits the model’s input.', { cause });
    }
  }

  /**
   * A run whose inputs are read from, and outputs written to, the given arrays each time it is called: nothing is allocated by us.
   * (onnxruntime returns copies of preallocated outputs as well; they are ignored.)
   */
  bind(feeds: Readonly<Record<string, RuntimeTensor>>, fetches: Readonly<Record<string, RuntimeTensor>>): () => Promise<void> {
    const { Tensor } = this.runtime;
    const tensors = (from: Readonly<Record<string, RuntimeTensor>>): Record<string, OrtModule.Tensor> =>
      Object.fromEntries(Object.entries(from).map(([name, t]) => [name, new Tensor(t.type as 'float32', t.data as Float32Array, t.shape)]));
    const inputs = tensors(feeds);
    const outputs = tensors(fetches);
    return async () => {
      try {
        await this.session.run(inputs, outputs);
      } catch (cause) {
        throw new UserError(`the model does not run: ${firstLine(cause)}`, 'Check that the data fits the model’s input.', { cause });
      }
    };
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

/** onnxruntime takes no shared memory: such data is copied (a batch at a time). */
const ownMemory = (data: RuntimeTensor['data']): RuntimeTensor['data'] => (data.buffer instanceof SharedArrayBuffer ? data.slice() : data);

const firstLine = (e: unknown): string => (e instanceof Error ? e.message : String(e)).split('\n')[0].slice(0, 400);
