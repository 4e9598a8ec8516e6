import { describe, expect, test } from 'vitest';
import { lenet5 } from '../architectures/lenet5';
import { Random } from '../random';
import { applyMasks, heldZeros, magnitudeMask, sparsityBelow } from './weight-masks';

describe('magnitude masks', () => {
  const weights = Float32Array.of(0.5, -0.1, 0.3, -2, 0.1, 0);

  test('the smallest go first, equal ones in the order of the weights', () => {
    expect([...magnitudeMask(weights, 0)]).toEqual([1, 1, 1, 1, 1, 1]);
    expect([...magnitudeMask(weights, 2 / 6)]).toEqual([1, 0, 1, 1, 1, 0]);
    expect([...magnitudeMask(weights, 4 / 6)]).toEqual([1, 0, 0, 1, 0, 0]);
  });

  test('one weight always stays, the largest', () => {
    expect([...magnitudeMask(weights, 0.999)]).toEqual([0, 0, 0, 1, 0, 0]);
    expect(() => magnitudeMask(weights, 1)).toThrow('must be in [0, 1), not 1');
  });

  test('of normal weights, as many lie within α standard deviations as the normal distribution says', () => {
    const random = new Random(1);
    const drawn = Float32Array.from({ length: 40_000 }, () => 3 * random.normal());
    // erf(α/√2), from a table.
    for (const [alpha, share] of [
      [0, 0],
      [0.5, 0.382925],
      [1, 0.682689],
      [2.2, 0.972193],
    ])
      expect(sparsityBelow(drawn, alpha)).toBeCloseTo(share, 2);
  });

  test('weights all alike: one stays whatever the threshold', () => {
    // Their deviation is 0, and nothing is below 0.
    expect(sparsityBelow(Float32Array.of(0.2, 0.2, 0.2), 2)).toBe(0);
    expect(sparsityBelow(Float32Array.of(1, -1, 1, -1), 2)).toBe(0.75);
  });
});

test('a mask put on a model takes those weights and no other; its zeros are found again', () => {
  const model = lenet5.build({ classes: 10, random: new Random(2) });
  const name = [...model.graph.initializers.keys()].find((n) => model.graph.initializers.get(n)!.dims.length === 4)!;
  const before = model.graph.initializers.get(name)!.floats();
  const mask = magnitudeMask(before, 0.6);
  const masked = applyMasks(model, new Map([[name, mask]]));
  const after = masked.graph.initializers.get(name)!.floats();
  expect([...after]).toEqual([...before].map((w, i) => (mask[i] === 0 ? 0 : w)));
  for (const [other, tensor] of model.graph.initializers) if (other !== name) expect(masked.graph.initializers.get(other)).toBe(tensor);
  expect([...heldZeros(masked)]).toEqual([[name, mask]]);
  expect(() => applyMasks(model, new Map([[name, mask.slice(1)]]))).toThrow(RangeError);
});
