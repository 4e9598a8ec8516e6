import { describe, expect, it } from 'vitest';
import { type DetectionRule, detectionAgreement, detectionsOf, matches, overlapOf } from './detections';

const rule: DetectionRule = { boxes: 'b', scores: 's', form: 'corners', score: 0.5, iou: 0.5 };

describe('overlap', () => {
  it.each([
    ['the same', [0, 0, 2, 2], [0, 0, 2, 2], 1],
    ['a half', [0, 0, 2, 2], [0, 0, 2, 1], 0.5],
    ['a corner', [0, 0, 2, 2], [1, 1, 3, 3], 1 / 7],
    ['apart', [0, 0, 1, 1], [2, 2, 3, 3], 0],
    ['nothing', [1, 1, 1, 1], [1, 1, 1, 1], 0],
  ] as const)('%s', (_, a, b, expected) => {
    expect(overlapOf(a, b)).toBeCloseTo(expected, 12);
    expect(overlapOf(b, a)).toBeCloseTo(expected, 12);
  });
});

describe('detections of one image', () => {
  // Two boxes that overlap by 0.8 (of the classes 1 and 1), one apart (class 0), one with too low a score.
  const boxes = [0, 0, 10, 10, 0, 0, 10, 8, 20, 20, 30, 30, 40, 40, 50, 50];
  const scores = [0.1, 0.7, 0.2, 0.9, 0.6, 0.1, 0.4, 0.3];

  it('of those that overlap the best stays, and those of too low a score go', () => {
    expect(detectionsOf(boxes, scores, rule).map((d) => [d.label, d.score, d.box])).toEqual([
      [1, 0.9, [0, 0, 10, 8]],
      [0, 0.6, [20, 20, 30, 30]],
    ]);
  });

  it('other classes do not suppress one another', () => {
    expect(detectionsOf(boxes, [0.1, 0.7, 0.9, 0.2, 0.6, 0.1, 0.4, 0.3], rule)).toHaveLength(3);
  });

  it('a class that stands for nothing is no detection', () => {
    expect(detectionsOf(boxes, scores, { ...rule, background: 0 }).map((d) => d.score)).toEqual([0.9]);
  });

  it('boxes by centre and size', () => {
    expect(detectionsOf([5, 4, 10, 8], [0.9], { ...rule, form: 'center' })[0].box).toEqual([0, 0, 10, 8]);
  });
});

describe('agreement', () => {
  const at = (x: number, label = 0) => ({ box: [x, 0, x + 10, 10] as const, label, score: 1 });

  it('each detection is found once, by the nearest of its class', () => {
    expect(matches([at(0), at(100)], [at(1), at(2), at(100, 1)], 0.5)).toBe(1);
    expect(matches([at(0), at(4)], [at(3), at(1)], 0.5)).toBe(2);
  });

  it('F1 over all images: 2 of 3 found, one more that is not there', () => {
    const boxes = Float32Array.of(0, 0, 10, 10, 50, 50, 60, 60, 0, 0, 10, 10, 50, 50, 60, 60);
    const moved = Float32Array.of(1, 0, 11, 10, 50, 50, 60, 60, 0, 0, 10, 10, 50, 50, 60, 60);
    const wanted = { boxes, scores: Float32Array.of(0.9, 0.8, 0.7, 0.1) };
    const given = { boxes: moved, scores: Float32Array.of(0.9, 0.2, 0.7, 0.6) };
    expect(detectionAgreement(wanted, given, 2, rule)).toBeCloseTo((2 * 2) / 6, 12);
    expect(detectionAgreement(wanted, wanted, 2, rule)).toBe(1);
    expect(detectionAgreement(wanted, given, 2, { ...rule, score: 2 })).toBe(1);
    expect(detectionAgreement(wanted, given, 2, { ...rule, iou: 0.9 })).toBeCloseTo(2 / 6, 12);
  });
});
