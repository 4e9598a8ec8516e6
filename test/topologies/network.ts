/** Test support: what the small networks are written with. */
import type { AttributeValue, Model } from '../../src/engine/onnx/model';
import { GraphBuilder, type Value } from '../../src/engine/ops/builder';
import { Random } from '../../src/engine/random';

export interface Topology {
  readonly name: string;
  /** What leads where. */
  readonly picture: string;
  readonly model: Model;
  /** Shape of the one input, batch first. */
  readonly input: readonly number[];
  readonly groups: Readonly<Record<string, number>>;
  /** What else than the output layer stays whole, by id: the reason that is shown. */
  readonly frozen?: Readonly<Record<string, string>>;
}

/** Layers by name, as exporters write them: `conv1` has the weight `conv1.weight` and makes the value `conv1`. */
export class Network {
  readonly b = new GraphBuilder();
  private readonly random: Random;

  constructor(
    seed: number,
    readonly batch = 2,
  ) {
    this.random = new Random(seed);
  }

  input(...shape: number[]): Value {
    return this.b.input('x', ['N', ...shape], 'float32', this.batch);
  }

  weights(name: string, shape: readonly number[], scale: number, shift = 0): Value {
    const size = shape.reduce((a, d) => a * d, 1);
    return this.b.floats(
      name,
      shape,
      Float32Array.from({ length: size }, () => shift + scale * this.random.normal()),
    );
  }

  positive(name: string, length: number): Value {
    return this.b.floats(
      name,
      [length],
      Float32Array.from({ length }, () => this.random.between(0.5, 1.5)),
    );
  }

  conv(name: string, x: Value, out: number, kernel = 3, options: { stride?: number; group?: number; bias?: boolean } = {}): Value {
    const { stride = 1, group = 1, bias = true } = options;
    const perGroup = x.shape[1] / group;
    const w = this.weights(`${name}.weight`, [out, perGroup, kernel, kernel], 1 / Math.sqrt(perGroup * kernel * kernel));
    const inputs = bias ? [x, w, this.weights(`${name}.bias`, [out], 0.3)] : [x, w];
    const pad = (kernel - 1) / 2;
    return this.b.op(
      'Conv',
      inputs,
      { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad], group },
      { name },
    );
  }

  norm(name: string, x: Value): Value {
    const n = x.shape[1];
    return this.b.op(
      'BatchNormalization',
      [
        x,
        this.weights(`${name}.weight`, [n], 0.3, 1),
        this.weights(`${name}.bias`, [n], 0.3),
        this.weights(`${name}.running_mean`, [n], 0.3),
        this.positive(`${name}.running_var`, n),
      ],
      { epsilon: { float: 1e-5 } },
      { name },
    );
  }

  relu(name: string, x: Value): Value {
    return this.b.op('Relu', [x], {}, { name });
  }

  relu6(name: string, x: Value): Value {
    return this.b.op('Clip', [x, this.b.scalar(0), this.b.scalar(6)], {}, { name });
  }

  gemm(name: string, x: Value, out: number, transB = true): Value {
    const c = x.shape[1];
    const w = this.weights(`${name}.weight`, transB ? [out, c] : [c, out], 1 / Math.sqrt(c));
    return this.b.op('Gemm', [x, w, this.weights(`${name}.bias`, [out], 0.3)], transB ? { transB: 1 } : {}, { name });
  }

  op(opType: string, name: string, inputs: readonly Value[], attributes: Record<string, AttributeValue> = {}, domain?: string): Value {
    return this.b.op(opType, inputs, attributes, { name, domain });
  }

  /** A linear layer over the last axis, as PyTorch exports it: MatMul and Add. */
  linear(name: string, x: Value, out: number): Value {
    const c = x.shape[x.shape.length - 1];
    const product = this.op('MatMul', name, [x, this.weights(`${name}.weight`, [c, out], 1 / Math.sqrt(c))]);
    return this.op('Add', `${name}.add`, [this.weights(`${name}.bias`, [out], 0.3), product]);
  }

  /** Layer normalisation over the last axis. */
  layerNorm(name: string, x: Value): Value {
    const n = x.shape[x.shape.length - 1];
    const mean = this.op('ReduceMean', `${name}.mean`, [x], { axes: [-1] });
    const centred = this.op('Sub', `${name}.centred`, [x, mean]);
    const variance = this.op('ReduceMean', `${name}.variance`, [this.op('Mul', `${name}.square`, [centred, centred])], { axes: [-1] });
    const deviation = this.op('Sqrt', `${name}.deviation`, [this.op('Add', `${name}.epsilon`, [variance, this.b.scalar(1e-5)])]);
    const normal = this.op('Div', `${name}.normal`, [centred, deviation]);
    const scaled = this.op('Mul', `${name}.scaled`, [normal, this.weights(`${name}.weight`, [n], 0.3, 1)]);
    return this.op('Add', name, [scaled, this.weights(`${name}.bias`, [n], 0.3)]);
  }

  /** x / 2 · (1 + erf(x / √2)), as exporters wrote it before there was Gelu. */
  gelu(name: string, x: Value): Value {
    const { b } = this;
    const erf = this.op('Erf', `${name}.erf`, [this.op('Div', `${name}.div`, [x, b.scalar(Math.SQRT2)])]);
    const product = this.op('Mul', `${name}.mul`, [x, this.op('Add', `${name}.add`, [erf, b.scalar(1)])]);
    return this.op('Mul', name, [product, b.scalar(0.5)]);
  }

  /** Global pooling, flattening and a linear layer of 5 classes. */
  head(x: Value): Model {
    const pooled = this.op('GlobalAveragePool', 'pool', [x]);
    return this.done(this.gemm('fc', this.op('Flatten', 'flat', [pooled], { axis: 1 }), 5));
  }

  done(y: Value): Model {
    this.b.output(y, y.name, ['N', ...y.shape.slice(1)]);
    return this.b.build();
  }
}

export const IMAGE = [2, 3, 8, 8] as const;

export type Builder = (n: Network) => Model;

export function topology(
  name: string,
  picture: string,
  groups: Record<string, number>,
  build: Builder,
  options: { readonly input?: readonly number[]; readonly frozen?: Record<string, string> } = {},
): (seed?: number) => Topology {
  const { input = IMAGE, frozen } = options;
  return (seed = 1) => ({ name, picture, groups, frozen, input, model: build(new Network(seed, input[0])) });
}
