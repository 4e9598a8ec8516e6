/**
 * Straight-through estimator (Bengio et al. 2013; Jacob et al. 2018 for the clip range): the forward pass sees a quantised weight, the
 * backward pass treats the rounding as the identity inside the clip range and as constant outside.
 * - b ≥ 2 bits: round(clip(w/s, −q, q))·s with q = 2^(b−1) − 1, gradient where |w| ≤ q·s
 * - 1 bit: sign(w)·s (XNOR-Net, Rastegari et al. 2016), gradient where |w| ≤ 1; a weight that is exactly zero (pruned) stays zero
 * The scales s, one an output channel, are inputs of the training graph, so that they can be refreshed between steps.
 * Activations: 8 bits, asymmetric, per tensor, the range fixed (from calibration) while training.
 */
import type { GraphBuilder, Value } from '../ops/builder';
import { largestCode } from '../quantization/quantizers';
import { atLeastZero, emit, reshape } from './emit';
import type { ValueTransform } from './training-graph';

/** How one weight tensor is quantised in training. */
export interface WeightQuantizer {
  /** 1 to 8. */
  readonly bits: number;
  /** The output-channel axis: 0 for Conv, 0 or 1 for Gemm by its transB, the last for MatMul. */
  readonly axis: number;
  /** One scale an output channel, > 0. */
  readonly scales: Float32Array;
}

/** Beyond this magnitude a 1-bit weight is not moved further out (BinaryConnect's clip). */
const BINARY_CLIP = 1;

export interface FakeQuantized {
  /** The quantised weight, of the weight's shape. */
  readonly value: Value;
  /** Gradient by the weight itself from that by the quantised one; same shapes. */
  backward(gradient: Value): Value;
}

/**
 * @param weight of the shape `dims`, or flat
 * @param scales [channels]
 * @param name of the quantised value
 */
export function emitFakeQuantized(
  b: GraphBuilder,
  weight: Value,
  dims: readonly number[],
  scales: Value,
  quantizer: Pick<WeightQuantizer, 'bits' | 'axis'>,
  name: string,
): FakeQuantized {
  const { bits, axis } = quantizer;
  const q = largestCode(bits);
  // Three axes at most: broadcasting over many short ones is slow.
  const outer = dims.slice(0, axis).reduce((a, d) => a * d, 1);
  const inner = dims.slice(axis + 1).reduce((a, d) => a * d, 1);
  const shape = [outer, dims[axis], inner];
  const w = reshape(b, weight, shape);
  const s = reshape(b, scales, [1, dims[axis], 1]);
  let quantized: Value;
  let limit: Value;
  if (bits === 1) {
    quantized = emit(b, 'Mul', [emit(b, 'Sign', [w], shape), s], shape);
    limit = b.scalar(BINARY_CLIP);
  } else {
    const codes = emit(b, 'Round', [emit(b, 'Clip', [emit(b, 'Div', [w, s], shape), b.scalar(-q), b.scalar(q)], shape)], shape);
    quantized = emit(b, 'Mul', [codes, s], shape);
    limit = emit(b, 'Mul', [s, b.scalar(q)], s.shape);
  }
  return {
    value: reshape(b, quantized, dims, name),
    backward(gradient) {
      const inside = atLeastZero(b, emit(b, 'Sub', [limit, emit(b, 'Abs', [w], shape)], shape));
      return reshape(b, emit(b, 'Mul', [reshape(b, gradient, shape), inside], shape), gradient.shape);
    },
  };
}

/** How an activation is stored in 8 bits: value ≈ (code − zeroPoint)·scale, codes 0 to 255, one scale for the whole tensor. */
export interface ActivationQuantizer {
  /** > 0. */
  readonly scale: number;
  /** 0 to 255. */
  readonly zeroPoint: number;
}

const LARGEST_BYTE = 255;

/**
 * Transforms of the training graph after which activations are seen as their 8-bit codes tell them, by value name; the gradient passes
 * where the value is inside the range of the codes.
 * @throws RangeError where a scale or zero point is out of its range
 */
export function quantizeActivations(quantizers: ReadonlyMap<string, ActivationQuantizer>): Map<string, ValueTransform> {
  const transforms = new Map<string, ValueTransform>();
  for (const [name, { scale, zeroPoint }] of quantizers) {
    if (!(scale > 0)) throw new RangeError(`the activation scale of '${name}' must be above 0, not ${scale}`);
    if (!(Number.isInteger(zeroPoint) && zeroPoint >= 0 && zeroPoint <= LARGEST_BYTE))
      throw new RangeError(`the activation zero point of '${name}' must be a whole number from 0 to 255, not ${zeroPoint}`);
    const [low, high] = [-zeroPoint * scale, (LARGEST_BYTE - zeroPoint) * scale];
    transforms.set(name, ({ tape }, x) => {
      const { b } = tape;
      const op = (opType: string, ...inputs: Value[]): Value => emit(b, opType, inputs, x.shape);
      const codes = op('Round', op('Div', op('Clip', x, b.scalar(low), b.scalar(high)), b.scalar(scale)));
      return tape.define(x, op('Mul', codes, b.scalar(scale)), (gradient) => {
        const inside = op('Mul', atLeastZero(b, op('Sub', x, b.scalar(low))), atLeastZero(b, op('Sub', b.scalar(high), x)));
        return op('Mul', gradient, inside);
      });
    });
  }
  return transforms;
}

/** The same quantisation outside the graph: the weights that the forward pass used. Ties round to even, as in onnxruntime. */
export function fakeQuantize(weights: Float32Array, dims: readonly number[], quantizer: WeightQuantizer): Float32Array {
  const { bits, axis, scales } = quantizer;
  const q = largestCode(bits);
  const inner = dims.slice(axis + 1).reduce((a, d) => a * d, 1);
  return weights.map((w, i) => {
    const s = scales[Math.floor(i / inner) % dims[axis]];
    if (bits === 1) return Math.sign(w) * s;
    return roundEven(Math.max(-q, Math.min(q, Math.fround(w / s)))) * s;
  });
}

function roundEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}
