import { describe, expect, it } from 'vitest';
import { keptChannels } from './round-widths';

describe('keptChannels', () => {
  it.each([
    // [channels, ratio, options, kept]: the ratio removes round(ratio · n), then what stays is rounded to the multiple
    [64, 0.5, {}, 32],
    [64, 0, {}, 64],
    [64, 1, {}, 8],
    [64, 0.99, {}, 8],
    [64, 0.3, {}, 48], // 19 of 64 go, 45 stay → 48
    [64, 0.35, {}, 40], // 22 go, 42 stay → 40
    [16, 0.01, {}, 16], // nothing goes
    [16, 0.25, {}, 16], // 12 stay, halfway between 8 and 16 → 16
    [20, 0.2, {}, 16],
    [20, 0.05, {}, 16], // 19 stay, nearest multiple 16
    [20, 0.02, {}, 20], // nothing goes, so nothing is rounded
    [12, 0.5, {}, 6], // below 16 channels widths are free
    [12, 1, {}, 1],
    [64, 0.3, { multiple: 1 }, 45],
    [64, 0.99, { multiple: 1 }, 1],
    [64, 0.99, { multiple: 4 }, 4],
    [64, 0.99, { min: 20 }, 20],
    [10, 0.5, { multiple: 16 }, 10],
  ] as const)('%i channels at ratio %d with %o keep %i', (channels, ratio, options, kept) => {
    expect(keptChannels({ channels }, ratio, options)).toBe(kept);
  });

  it('never keeps none and never more than all', () => {
    for (let n = 1; n <= 70; n++)
      for (let r = 0; r <= 10; r++) {
        const kept = keptChannels({ channels: n }, r / 10);
        expect(kept).toBeGreaterThanOrEqual(1);
        expect(kept).toBeLessThanOrEqual(n);
      }
  });
});
