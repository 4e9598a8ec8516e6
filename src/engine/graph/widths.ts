/**
 * Widths that channel groups are cut to. onnxruntime computes convolutions in blocks of channels (NCHWc), of 8 or, on machines with AVX-512,
 * of 16. A width between two blocks takes about as long as the next whole block; below one block a convolution that reads the channels reads
 * only what is there, so that every cut counts (`bench -- widths` times it).
 */

/** Widths in descending order, the whole first: the multiples of `multiple` below it. Only the whole where there is none. */
export function multiplesBelow(channels: number, multiple: number): number[] {
  const widths = [channels];
  for (let w = Math.floor((channels - 1) / multiple) * multiple; w >= multiple; w -= multiple) widths.push(w);
  return widths;
}

/** Channels of a block where it is widest. */
const BLOCK = 16;

/**
 * Widths that suit those blocks, in descending order, the whole first: every one below 16 channels; else multiples of 8.
 * @param plain true where nothing but convolutions that are not grouped makes and reads the channels: then blocks of 16 and their half, and
 *   below two blocks quarters of one
 */
export function fastWidths(channels: number, plain = false): number[] {
  if (channels < BLOCK) return multiplesBelow(channels, 1);
  if (!plain) return multiplesBelow(channels, BLOCK / 2);
  return channels < 2 * BLOCK ? multiplesBelow(channels, BLOCK / 4) : [...multiplesBelow(channels, BLOCK), BLOCK / 2];
}
