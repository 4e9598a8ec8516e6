/**
 * Huffman coding (Huffman 1952, "A Method for the Construction of Minimum-Redundancy Codes") of a stream of small whole numbers.
 * Codes are canonical: they follow from their lengths alone, which is all that is stored of them.
 */
import { UserError } from '../errors';
import type { BitReader, BitWriter } from './bit-stream';

/** Longest code that is written; a code longer than this would need more symbols than 20 million. */
const LONGEST = 32;

/**
 * Length of each symbol's code, in bits, such that the sum of frequency · length is least; 0 for symbols that do not occur, and for one
 * that occurs alone (a stream of one symbol takes no bits).
 * @param frequencies how often each symbol occurs, by symbol; whole numbers from 0
 */
export function codeLengths(frequencies: ArrayLike<number>): Uint8Array {
  let weights = Float64Array.from(frequencies);
  for (;;) {
    const lengths = minimumRedundancy(weights);
    if (lengths.every((l) => l <= LONGEST)) return lengths;
    // Flatter frequencies have shorter codes; what occurs at all keeps a code.
    weights = weights.map((w) => (w > 0 ? Math.ceil(w / 2) : 0));
  }
}

/** Lengths by merging the two rarest again and again: leaves and merged nodes each lie sorted, so that two queues serve as the heap. */
function minimumRedundancy(weights: Float64Array): Uint8Array {
  const leaves = [...weights.keys()].filter((s) => weights[s] > 0).sort((a, b) => weights[a] - weights[b] || a - b);
  const lengths = new Uint8Array(weights.length);
  const count = leaves.length;
  if (count < 2) return lengths;
  // Nodes 0 … count − 1 are the leaves, then the merged ones in the order in which they are made.
  const weight = new Float64Array(2 * count - 1);
  const parent = new Int32Array(2 * count - 1);
  leaves.forEach((s, i) => {
    weight[i] = weights[s];
  });
  let leaf = 0;
  let merged = count;
  for (let next = count; next < weight.length; next++) {
    for (let side = 0; side < 2; side++) {
      const lightest = leaf < count && (merged >= next || weight[leaf] <= weight[merged]) ? leaf++ : merged++;
      weight[next] += weight[lightest];
      parent[lightest] = next;
    }
  }
  const depth = new Uint8Array(weight.length);
  for (let node = weight.length - 2; node >= 0; node--) depth[node] = depth[parent[node]] + 1;
  leaves.forEach((s, i) => {
    lengths[s] = depth[i];
  });
  return lengths;
}

/** Symbols that have a code, shortest code first, then by number: the order in which canonical codes count up. */
const inOrder = (lengths: Uint8Array): number[] =>
  [...lengths.keys()].filter((s) => lengths[s] > 0).sort((a, b) => lengths[a] - lengths[b] || a - b);

/** The canonical code of each symbol; meaningless where its length is 0. */
export function canonicalCodes(lengths: Uint8Array): Uint32Array {
  const codes = new Uint32Array(lengths.length);
  let code = 0;
  let before = 0;
  for (const symbol of inOrder(lengths)) {
    code = (code * 2 ** (lengths[symbol] - before)) >>> 0;
    codes[symbol] = code;
    code++;
    before = lengths[symbol];
  }
  return codes;
}

/** Writes symbols with the codes of these lengths. */
export function writeSymbols(symbols: ArrayLike<number>, lengths: Uint8Array, into: BitWriter): void {
  const codes = canonicalCodes(lengths);
  for (let i = 0; i < symbols.length; i++) into.write(codes[symbols[i]], lengths[symbols[i]]);
}

/**
 * Reads what `writeSymbols` wrote.
 * @param only the symbol of a stream that has but one, which took no bits
 * @throws UserError where the lengths are no code, or the bits are none of it
 */
export function readSymbols(count: number, lengths: Uint8Array, from: BitReader, only = 0): Uint32Array {
  const symbols = new Uint32Array(count);
  const order = inOrder(lengths);
  if (order.length === 0) return symbols.fill(only);
  const perLength = new Uint32Array(LONGEST + 1);
  for (const s of order) perLength[lengths[s]]++;
  const used = perLength.reduce((sum, n, length) => sum + (length > 0 ? n * 2 ** -length : 0), 0);
  if (lengths.some((l) => l > LONGEST) || used > 1) throw damaged();
  for (let i = 0; i < count; i++) {
    // `code` counts from the first code of its length; `index` is that code's place in the order (Moffat, Turpin 1997).
    let code = 0;
    let index = 0;
    for (let length = 1; ; length++) {
      if (length > LONGEST) throw damaged();
      code += from.bit();
      if (code < perLength[length]) {
        symbols[i] = order[index + code];
        break;
      }
      index += perLength[length];
      code = 2 * (code - perLength[length]);
    }
  }
  return symbols;
}

const damaged = (): UserError => new UserError('the coded weights do not follow their code table: the file is damaged', 'Write it again.');

/** How often each symbol below `size` occurs. */
export function frequenciesOf(symbols: ArrayLike<number>, size: number): Float64Array {
  const counts = new Float64Array(size);
  for (let i = 0; i < symbols.length; i++) counts[symbols[i]]++;
  return counts;
}
