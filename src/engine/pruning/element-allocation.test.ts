import { describe, expect, it } from 'vitest';
import { Random } from '../random';
import { allocateElements, lampScores } from './element-allocation';

describe('lampScores', () => {
  it('follows its definition', () => {
    const [a, b, c] = lampScores(Float32Array.of(1, 3, 2));
    expect(b).toBeCloseTo(1, 12);
    expect(c).toBeCloseTo(4 / 13, 12);
    expect(a).toBeCloseTo(1 / 14, 12);
  });
});

describe('allocateElements', () => {
  const random = new Random(2);
  const layer = (n: number, macsPerWeight: number) => ({
    scores: Float32Array.from({ length: n }, () => Math.abs(random.normal())),
    macsPerWeight,
  });
  const layers = [layer(150, 784), layer(2400, 100), layer(48_000, 1), layer(840, 1)];
  const kept = (masks: readonly Float32Array[]): number[] => masks.map((m) => m.reduce((a, v) => a + v, 0));
  const macs = (masks: readonly Float32Array[]): number => kept(masks).reduce((a, k, i) => a + k * layers[i].macsPerWeight, 0);

  it('keeps exactly the weights of the budget, the best of each layer first', () => {
    const masks = allocateElements(layers, { weights: 5000 });
    expect(kept(masks).reduce((a, k) => a + k, 0)).toBe(5000);
    masks.forEach((mask, k) => {
      const { scores } = layers[k];
      const stays = Math.min(...scores.filter((_, i) => mask[i] === 1));
      expect(Math.max(0, ...scores.filter((_, i) => mask[i] === 0))).toBeLessThanOrEqual(stays);
    });
  });

  it('keeps the budget of multiply-accumulates by cutting convolutions more', () => {
    const free = allocateElements(layers, { weights: 5000 });
    const bound = allocateElements(layers, { weights: 5000, macs: macs(free) / 3 });
    expect(macs(bound)).toBeLessThanOrEqual(macs(free) / 3);
    expect(macs(bound)).toBeGreaterThan(macs(free) / 4);
    expect(kept(bound).reduce((a, k) => a + k, 0)).toBe(5000);
    expect(kept(bound)[0]).toBeLessThan(kept(free)[0]);
  });

  it('never empties a layer', () => {
    expect(Math.min(...kept(allocateElements(layers, { weights: 4 })))).toBe(1);
  });
});
