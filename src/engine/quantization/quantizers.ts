/**
 * Weights to few bits: symmetric, one scale per output channel.
 * b ≥ 2 bits: codes −q … q with q = 2^(b−1) − 1 (2 bits are ternary), scale = clip / q, the clip value that minimises the squared error.
 * 1 bit: sign(w) · mean|w| (XNOR-Net, Rastegari et al. 2016, eq. 6).
 */

export interface QuantizedWeights {
  /** One integer code a weight, in the weight's own order. */
  readonly codes: Int8Array;
  /** One scale an output channel; weight ≈ code · scale. */
  readonly scales: Float32Array;
  readonly bits: number;
}

/** Largest code of a bit-width, 1 to 8. */
export const largestCode = (bits: number): number => (bits === 1 ? 1 : 2 ** (bits - 1) - 1);

/** Positions of one channel's weights: `count` runs of `inner` contiguous values, `stride` apart, from `offset`. */
export interface ChannelLayout {
  readonly channels: number;
  forEach(channel: number, visit: (index: number) => void): void;
}

/** Where the weights of each index along `axis` lie in a row-major tensor. */
export function channelLayout(dims: readonly number[], axis: number): ChannelLayout {
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = dims.slice(0, axis).reduce((a, b) => a * b, 1);
  const channels = dims[axis];
  return {
    channels,
    forEach(channel, visit) {
      for (let o = 0; o < outer; o++) {
        const from = (o * channels + channel) * inner;
        for (let i = 0; i < inner; i++) visit(from + i);
      }
    },
  };
}

/**
 * The clip value that minimises Σ (w − Q(w))² for q levels on each side: a coarse scan of fractions of max|w|, then two refinements.
 * The error is not convex in the clip value, hence the scan.
 * @param weights the weights of one channel
 * @returns clip ≥ 0 (0 only where every weight is 0)
 */
export function mseClip(weights: Float64Array, q: number): number {
  let max = 0;
  for (const w of weights) max = Math.max(max, Math.abs(w));
  if (max === 0) return 0;
  const error = (clip: number): number => {
    const scale = clip / q;
    let sum = 0;
    for (const w of weights) {
      const code = Math.max(-q, Math.min(q, Math.round(w / scale)));
      const d = w - code * scale;
      sum += d * d;
    }
    return sum;
  };
  let best = max;
  let least = error(max);
  const scan = (from: number, to: number, steps: number) => {
    for (let i = 0; i <= steps; i++) {
      const clip = from + ((to - from) * i) / steps;
      if (clip <= 0) continue;
      const e = error(clip);
      if (e < least) {
        least = e;
        best = clip;
      }
    }
  };
  const coarse = q > 31 ? 16 : 32;
  scan(max * (q > 7 ? 0.5 : 0.15), max, coarse);
  for (let width = max / coarse, round = 0; round < 2; round++, width /= 4) scan(best - width, Math.min(max * 1.2, best + width), 8);
  return best;
}

/**
 * Quantises a weight tensor.
 * @param bits 1 to 8
 * @param axis the output-channel axis
 * @param mask 0 where a weight is pruned and must stay zero (matters only at 1 bit, which has no zero level)
 */
export function quantizeWeights(
  weights: Float32Array,
  dims: readonly number[],
  axis: number,
  bits: number,
  mask?: Float32Array,
): QuantizedWeights {
  if (!Number.isInteger(bits) || bits < 1 || bits > 8) throw new RangeError(`weights take 1 to 8 bits, not ${bits}`);
  const layout = channelLayout(dims, axis);
  const codes = new Int8Array(weights.length);
  const scales = new Float32Array(layout.channels);
  const q = largestCode(bits);
  const values: number[] = [];
  for (let c = 0; c < layout.channels; c++) {
    values.length = 0;
    layout.forEach(c, (i) => {
      if (mask?.[i] !== 0) values.push(weights[i]);
    });
    if (bits === 1) {
      const mean = values.reduce((a, v) => a + Math.abs(v), 0) / Math.max(1, values.length);
      scales[c] = mean;
      layout.forEach(c, (i) => {
        codes[i] = mask && mask[i] === 0 ? 0 : weights[i] < 0 ? -1 : 1;
      });
      continue;
    }
    const clip = mseClip(Float64Array.from(values), q);
    // A channel of zeros keeps scale 1, so that no division by zero can follow.
    const scale = Math.fround(clip > 0 ? clip / q : 1);
    scales[c] = scale;
    layout.forEach(c, (i) => {
      codes[i] = Math.max(-q, Math.min(q, Math.round(weights[i] / scale)));
    });
  }
  return { codes, scales, bits };
}

/** Quantises with scales that are given (those a network was fine-tuned with), one an output channel. */
export function quantizeWithScales(
  weights: Float32Array,
  dims: readonly number[],
  axis: number,
  bits: number,
  scales: Float32Array,
): QuantizedWeights {
  const layout = channelLayout(dims, axis);
  const q = largestCode(bits);
  const codes = new Int8Array(weights.length);
  for (let c = 0; c < layout.channels; c++) {
    layout.forEach(c, (i) => {
      codes[i] = bits === 1 ? Math.sign(weights[i]) : Math.max(-q, Math.min(q, roundEven(Math.fround(weights[i] / scales[c]))));
    });
  }
  return { codes, scales, bits };
}

/** Rounds halves to even, as onnxruntime's Round does. */
export function roundEven(x: number): number {
  const r = Math.round(x);
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r;
}

/** Codes back to weights. */
export function dequantize(quantized: QuantizedWeights, dims: readonly number[], axis: number): Float32Array {
  const out = new Float32Array(quantized.codes.length);
  const layout = channelLayout(dims, axis);
  for (let c = 0; c < layout.channels; c++) {
    layout.forEach(c, (i) => {
      out[i] = quantized.codes[i] * quantized.scales[c];
    });
  }
  return out;
}

/**
 * Bytes a layer's weights need when stored at their bit-width: bits · weights, 4 bytes a scale, and one mask bit a weight where
 * pruned zeros cannot be told from codes (1 bit). 16 and 32 bits: that many bits a weight, no scales.
 */
export function storedBytes(weights: number, channels: number, bits: number, hasZeros: boolean): number {
  if (bits >= 16) return (weights * bits) / 8;
  return Math.ceil((weights * bits + (bits === 1 && hasZeros ? weights : 0)) / 8) + 4 * channels;
}
