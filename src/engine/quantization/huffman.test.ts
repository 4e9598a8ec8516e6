import { describe, expect, test } from 'vitest';
import { Random } from '../random';
import { BitReader, BitWriter } from './bit-stream';
import { canonicalCodes, codeLengths, frequenciesOf, readSymbols, writeSymbols } from './huffman';

const entropyOf = (frequencies: ArrayLike<number>): number => {
  const counts = Array.from(frequencies).filter((f) => f > 0);
  const total = counts.reduce((a, b) => a + b, 0);
  return counts.reduce((h, f) => h - (f / total) * Math.log2(f / total), 0);
};
const bitsOf = (frequencies: ArrayLike<number>, lengths: Uint8Array): number =>
  Array.from(frequencies).reduce((sum, f, s) => sum + f * lengths[s], 0);
const kraft = (lengths: Uint8Array): number => lengths.reduce((sum, l) => sum + (l > 0 ? 2 ** -l : 0), 0);

test('the example of Cormen, Leiserson, Rivest, Stein (Introduction to Algorithms, section 16.3): 224 thousand bits', () => {
  // a … f occur 45, 13, 12, 16, 9 and 5 thousand times.
  const frequencies = [45, 13, 12, 16, 9, 5];
  const lengths = codeLengths(frequencies);
  expect([...lengths]).toEqual([1, 3, 3, 3, 4, 4]);
  expect(bitsOf(frequencies, lengths)).toBe(224);
});

test('canonical codes count up within a length (RFC 1951, section 3.2.2: ABCDEFGH)', () => {
  const lengths = Uint8Array.from([3, 3, 3, 3, 3, 2, 4, 4]);
  const codes = [...canonicalCodes(lengths)].map((c, s) => c.toString(2).padStart(lengths[s], '0'));
  expect(codes).toEqual(['010', '011', '100', '101', '110', '00', '1110', '1111']);
});

test('powers of two are coded at their entropy exactly', () => {
  const frequencies = [8, 4, 2, 1, 1];
  expect([...codeLengths(frequencies)]).toEqual([1, 2, 3, 4, 4]);
  expect(bitsOf(frequencies, codeLengths(frequencies)) / 16).toBe(entropyOf(frequencies));
});

describe('random frequencies', () => {
  const random = new Random(3);
  const draws = Array.from({ length: 40 }, () => {
    const size = 2 + random.below(200);
    const skew = random.between(0.5, 6);
    return Array.from({ length: size }, () => Math.floor(1000 * random.uniform() ** skew));
  }).filter((f) => f.filter((n) => n > 0).length > 1);

  test('H ≤ mean length < H + 1, and the code is complete', () => {
    expect(draws.length).toBeGreaterThan(30);
    for (const frequencies of draws) {
      const lengths = codeLengths(frequencies);
      const mean = bitsOf(frequencies, lengths) / frequencies.reduce((a, b) => a + b, 0);
      const entropy = entropyOf(frequencies);
      expect(mean).toBeGreaterThanOrEqual(entropy - 1e-9);
      expect(mean).toBeLessThan(entropy + 1);
      expect(kraft(lengths)).toBeCloseTo(1, 12);
      for (const [s, f] of frequencies.entries()) expect(lengths[s] > 0).toBe(f > 0);
    }
  });

  test('no other prefix code of up to five symbols is shorter', () => {
    for (let trial = 0; trial < 20; trial++) {
      const frequencies = Array.from({ length: 5 }, () => 1 + random.below(50));
      expect(bitsOf(frequencies, codeLengths(frequencies))).toBe(shortestOfAll(frequencies));
    }
  });

  test('what is written is read again, and takes the bits that the lengths say', () => {
    for (const frequencies of draws.slice(0, 10)) {
      const symbols = frequencies.flatMap((f, s) => Array.from({ length: Math.min(f, 20) }, () => s));
      const shuffled = [...random.permutation(symbols.length)].map((i) => symbols[i]);
      const counts = frequenciesOf(shuffled, frequencies.length);
      const lengths = codeLengths(counts);
      const writer = new BitWriter();
      writeSymbols(shuffled, lengths, writer);
      expect(writer.bits).toBe(bitsOf(counts, lengths));
      expect([...readSymbols(shuffled.length, lengths, new BitReader(writer.finish()))]).toEqual(shuffled);
    }
  });
});

/** The least total over all lengths that Kraft's inequality allows. */
function shortestOfAll(frequencies: readonly number[]): number {
  let best = Number.POSITIVE_INFINITY;
  const walk = (at: number, room: number, bits: number): void => {
    if (at === frequencies.length) {
      best = Math.min(best, bits);
      return;
    }
    for (let length = 1; length < frequencies.length; length++) {
      if (room >= 2 ** -length) walk(at + 1, room - 2 ** -length, bits + frequencies[at] * length);
    }
  };
  walk(0, 1, 0);
  return best;
}

test('frequencies of Fibonacci, whose codes would be 59 bits long, stay within 32 and are read again', () => {
  const fibonacci = [1, 1];
  while (fibonacci.length < 60) fibonacci.push(fibonacci[fibonacci.length - 1] + fibonacci[fibonacci.length - 2]);
  const lengths = codeLengths(fibonacci);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(32);
  expect(kraft(lengths)).toBeLessThanOrEqual(1);
  const symbols = fibonacci.map((_, s) => s);
  const writer = new BitWriter();
  writeSymbols(symbols, lengths, writer);
  expect([...readSymbols(symbols.length, lengths, new BitReader(writer.finish()))]).toEqual(symbols);
});

test('a symbol alone takes no bits', () => {
  const lengths = codeLengths([0, 0, 7]);
  expect([...lengths]).toEqual([0, 0, 0]);
  const writer = new BitWriter();
  writeSymbols([2, 2, 2], lengths, writer);
  expect(writer.bits).toBe(0);
  expect([...readSymbols(3, lengths, new BitReader(writer.finish()), 2)]).toEqual([2, 2, 2]);
});

test('damage is said to be damage', () => {
  expect(() => readSymbols(4, Uint8Array.from([1, 2, 2]), new BitReader(new Uint8Array(0)))).toThrow('end too early');
  expect(() => readSymbols(1, Uint8Array.from([1, 1, 1]), new BitReader(Uint8Array.of(255)))).toThrow('do not follow their code table');
  // Codes 00 and 01 leave everything that begins with 1 unused.
  expect(() => readSymbols(1, Uint8Array.from([2, 2]), new BitReader(new Uint8Array(8).fill(255)))).toThrow(
    'do not follow their code table',
  );
});
