import { describe, expect, it } from 'vitest';
import { fastWidths, multiplesBelow } from './widths';

describe('widths of channel groups', () => {
  it('are the whole and the multiples below it', () => {
    expect(multiplesBelow(20, 8)).toEqual([20, 16, 8]);
    expect(multiplesBelow(16, 8)).toEqual([16, 8]);
    expect(multiplesBelow(10, 16)).toEqual([10]);
    expect(multiplesBelow(3, 1)).toEqual([3, 2, 1]);
  });

  it('are free below 16 channels, and multiples of 8 from there', () => {
    expect(fastWidths(5)).toEqual([5, 4, 3, 2, 1]);
    expect(fastWidths(5, true)).toEqual([5, 4, 3, 2, 1]);
    expect(fastWidths(40)).toEqual([40, 32, 24, 16, 8]);
  });

  it('between convolutions are whole blocks of 16, and parts of the first', () => {
    expect(fastWidths(16, true)).toEqual([16, 12, 8, 4]);
    expect(fastWidths(30, true)).toEqual([30, 28, 24, 20, 16, 12, 8, 4]);
    expect(fastWidths(32, true)).toEqual([32, 16, 8]);
    expect(fastWidths(72, true)).toEqual([72, 64, 48, 32, 16, 8]);
  });

  it('descend, and never leave none', () => {
    for (let n = 1; n <= 200; n++)
      for (const plain of [false, true]) {
        const widths = fastWidths(n, plain);
        expect(widths[0]).toBe(n);
        expect(widths).toEqual([...new Set(widths)].sort((a, b) => b - a));
        expect(widths.at(-1)).toBeGreaterThanOrEqual(1);
      }
  });
});
