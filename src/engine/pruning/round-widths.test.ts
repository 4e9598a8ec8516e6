import { describe, expect, it } from 'vitest';
import { fastWidths } from '../graph/widths';
import { keptChannels } from './round-widths';

describe('keptChannels', () => {
  it.each([
    // [channels, ratio, multiple, kept]: the ratio removes round(ratio · n), then what stays is rounded to the nearest width
    [64, 0.5, undefined, 32],
    [64, 0, undefined, 64],
    [64, 1, undefined, 8],
    [64, 0.99, undefined, 8],
    [64, 0.3, undefined, 48], // 19 of 64 go, 45 stay → 48
    [64, 0.35, undefined, 40], // 22 go, 42 stay → 40
    [16, 0.01, undefined, 16], // nothing goes
    [16, 0.25, undefined, 16], // 12 stay, halfway between 8 and 16 → 16
    [20, 0.2, undefined, 16],
    [20, 0.05, undefined, 20], // 19 stay, nearer to all than to 16
    [20, 0.02, undefined, 20], // nothing goes, so nothing is rounded
    [12, 0.5, undefined, 6], // below 16 channels widths are free
    [12, 1, undefined, 1],
    [64, 0.3, 1, 45],
    [64, 0.99, 1, 1],
    [64, 0.99, 4, 4],
    [10, 0.5, 16, 10],
  ] as const)('%i channels at ratio %d with multiple %o keep %i', (channels, ratio, multiple, kept) => {
    expect(keptChannels({ channels, widths: fastWidths(channels) }, ratio, multiple)).toBe(kept);
  });

  it("rounds to the group's own widths where no multiple is asked for", () => {
    const group = { channels: 64, widths: [64, 48, 32, 16, 8] };
    expect([0, 0.1, 0.125, 0.3, 0.5, 0.8, 0.9, 1].map((ratio) => keptChannels(group, ratio))).toEqual([64, 64, 64, 48, 32, 16, 8, 8]);
    expect(keptChannels(group, 0.3, 8)).toBe(48);
    expect(keptChannels(group, 0.35, 8)).toBe(40);
  });

  it('never keeps none and never more than all', () => {
    for (let n = 1; n <= 70; n++)
      for (let r = 0; r <= 10; r++) {
        const kept = keptChannels({ channels: n, widths: fastWidths(n) }, r / 10);
        expect(kept).toBeGreaterThanOrEqual(1);
        expect(kept).toBeLessThanOrEqual(n);
      }
  });
});
