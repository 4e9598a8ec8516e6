import { describe, expect, it } from 'vitest';
import { sensitivityCurves } from './curve-image';
import { hintText, hoverMarkdown, type MeasuredLayer } from './sensitivity-text';

const on = { baseline: 0.9, images: 500, measure: 'accuracy' as const };
const group = (...points: Array<[ratio: number, accuracy: number]>): MeasuredLayer['group'] => ({
  group: 'g',
  points: points.map(([ratio, accuracy]) => ({ ratio, channels: 8, accuracy })),
});
const bits = (...points: Array<[bits: number, accuracy: number]>): MeasuredLayer['bits'] => ({
  layer: 'l',
  points: points.map(([b, accuracy]) => ({ bits: b, accuracy })),
});

describe('hint', () => {
  it.each<[string, MeasuredLayer[], string | undefined]>([
    [
      'the largest harmless ratio and the fewest harmless bits',
      [{ name: 'a', group: group([0.2, 0.9], [0.6, 0.897], [0.8, 0.5]), bits: bits([8, 0.9], [5, 0.896], [4, 0.8]) }],
      'prune 60 % → −0.3 pt · 5 bit ok',
    ],
    ['the smallest ratio where none is harmless', [{ name: 'a', group: group([0.5, 0.2], [0.1, 0.8]) }], 'prune 10 % → −10.0 pt'],
    ['bits that all hurt', [{ name: 'a', bits: bits([8, 0.7]) }], 'bits matter'],
    ['only bits', [{ name: 'a', bits: bits([8, 0.9], [3, 0.9]) }], '3 bit ok'],
    [
      'several layers: the most sensitive',
      [
        { name: 'a', group: group([0.6, 0.9]), bits: bits([3, 0.9]) },
        { name: 'b', group: group([0.2, 0.896]), bits: bits([6, 0.9]) },
      ],
      '2 layers: prune 20 % → −0.4 pt · 6 bit ok',
    ],
    ['nothing measured', [{ name: 'a' }], undefined],
    ['no points yet', [{ name: 'a', group: group(), bits: bits() }], undefined],
  ])('%s', (_, layers, text) => expect(hintText(layers, on)).toBe(text));
});

it('hover: a table for ratios, one for bits, a picture, and what it was measured on', () => {
  const text = hoverMarkdown([{ name: 'conv1', group: group([0.5, 0.8], [0.25, 0.9]), bits: bits([4, 0.85], [8, 0.9]) }], on);
  expect(text).toContain('| pruned | 25 % (8 ch) | 50 % (8 ch) |\n| --- | ---: | ---: |\n| accuracy | ±0.0 pt | −10.0 pt |');
  expect(text).toContain('| bits | 8 | 4 |');
  expect(text).toContain('data:image/svg+xml;base64,');
  expect(text).toContain('90.0 % on 500 held-out images');
});

it('curves hold every point', () => {
  const svg = sensitivityCurves(group([0.5, 0.8], [0.25, 0.9]), bits([4, 0.85]), 0.9);
  expect(svg.match(/<circle/g)).toHaveLength(3);
  expect(svg).not.toMatch(/NaN|Infinity/);
});
