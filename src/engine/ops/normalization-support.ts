/** What normalisations share: values brought to mean 0 and variance 1 (or root mean square 1) over some axes, and the way back. */
import { elementCount } from '../onnx/tensor';
import type { GraphBuilder, Value } from './builder';
import { binary, reduceSum, scale } from './emit';

/** A value normalised over `axes`; the statistics keep those axes with length 1. */
export interface Normalized {
  /** x − mean, or x itself where the mean is not taken off. */
  readonly centred: Value;
  /** 1 / √(mean of centred² + epsilon). */
  readonly inverse: Value;
  /** centred · inverse */
  readonly value: Value;
  readonly axes: readonly number[];
  readonly centre: boolean;
}

const meanOver = (b: GraphBuilder, x: Value, axes: readonly number[]): Value =>
  scale(b, reduceSum(b, x, axes, true), 1 / elementCount(axes.map((axis) => x.shape[axis])));

/**
 * Emits the normalisation of x over the axes given.
 * @param options.centre take the mean off first (LayerNormalization), or not (RMSNormalization)
 */
export function normalized(b: GraphBuilder, x: Value, axes: readonly number[], epsilon: number, { centre = true } = {}): Normalized {
  const centred = centre ? binary(b, 'Sub', x, meanOver(b, x, axes)) : x;
  const variance = meanOver(b, binary(b, 'Mul', centred, centred), axes);
  const inverse = b.op('Reciprocal', [b.op('Sqrt', [binary(b, 'Add', variance, b.scalar(epsilon))])]);
  return { centred, inverse, value: binary(b, 'Mul', centred, inverse), axes, centre };
}

/**
 * The gradient of x from that of the normalised value, and from those of the mean and of the inverse deviation where these are outputs
 * of their own: dx = inverse · (dn − mean(dn) − n · mean(dn · n)) + dMean / N − dInverse · inverse³ · centred / N
 * (Ba, Kiros, Hinton 2016, "Layer Normalization", differentiated; without centring the term mean(dn) is not there).
 */
export function normalizedBackward(
  b: GraphBuilder,
  n: Normalized,
  dn: Value | undefined,
  { dMean, dInverse }: { dMean?: Value; dInverse?: Value } = {},
): Value | undefined {
  const count = elementCount(n.axes.map((axis) => n.value.shape[axis]));
  const terms: Value[] = [];
  if (dn) {
    const slope = binary(b, 'Mul', n.value, meanOver(b, binary(b, 'Mul', dn, n.value), n.axes));
    const level = n.centre ? binary(b, 'Sub', dn, meanOver(b, dn, n.axes)) : dn;
    terms.push(binary(b, 'Mul', n.inverse, binary(b, 'Sub', level, slope)));
  }
  if (dInverse) {
    const cube = binary(b, 'Mul', n.inverse, binary(b, 'Mul', n.inverse, n.inverse));
    terms.push(scale(b, binary(b, 'Mul', n.centred, binary(b, 'Mul', dInverse, cube)), -1 / count));
  }
  let sum = terms.length > 0 ? terms.reduce((x, y) => binary(b, 'Add', x, y)) : undefined;
  if (dMean && n.centre) {
    const share = scale(b, dMean, 1 / count);
    sum = sum ? binary(b, 'Add', sum, share) : b.op('Expand', [share, b.ints(n.value.shape)]);
  }
  return sum;
}
