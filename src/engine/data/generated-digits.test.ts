import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { generateDigits } from './generated-digits';

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

describe('generated digits', () => {
  const digits = generateDigits({ count: 1500, seed: 7 });

  it('are the same for the same seed, and others for another', () => {
    const again = generateDigits({ count: 1500, seed: 7 });
    expect(digest(again.inputs as Uint8Array)).toBe(digest(digits.inputs as Uint8Array));
    expect(again.labels).toEqual(digits.labels);
    const other = generateDigits({ count: 1500, seed: 8 });
    expect(digest(other.inputs as Uint8Array)).not.toBe(digest(digits.inputs as Uint8Array));
  });

  it('are these very bytes on every machine', () => {
    const few = generateDigits({ count: 64, seed: 1 });
    expect(digest(few.inputs as Uint8Array)).toBe('e13f7d5c5f42b701');
  });

  it('begin with the images of a smaller set', () => {
    const few = generateDigits({ count: 10, seed: 7 });
    expect(few.inputs).toEqual(digits.inputs.subarray(0, 7840));
    expect(few.labels).toEqual(digits.labels!.subarray(0, 10));
  });

  it('show every digit, drawn inside the image in white on black', () => {
    expect(new Set(digits.labels)).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    for (let i = 0; i < digits.count; i++) {
      const image = Array.from(digits.inputs.subarray(i * 784, (i + 1) * 784));
      const ink = image.reduce((sum, v) => sum + (v > 128 ? 1 : 0), 0);
      expect(ink, `image ${i}`).toBeGreaterThan(8);
      expect(ink, `image ${i}`).toBeLessThan(300);
    }
  });

  it('can be told apart by their pixels, but not trivially: nearest neighbour among 1,200', () => {
    const { inputs, labels } = digits;
    let right = 0;
    for (let i = 1200; i < 1500; i++) {
      let [best, nearest] = [Number.POSITIVE_INFINITY, -1];
      for (let j = 0; j < 1200; j++) {
        let distance = 0;
        for (let p = 0; p < 784 && distance < best; p++) distance += (inputs[i * 784 + p] - inputs[j * 784 + p]) ** 2;
        if (distance < best) [best, nearest] = [distance, j];
      }
      if (labels![nearest] === labels![i]) right++;
    }
    expect(right / 300).toBeGreaterThan(0.4);
    expect(right / 300).toBeLessThan(0.97);
  });
});
