import { describe, expect, it } from 'vitest';
import { completionsAt, hoverAt } from './assist';
import { compileReward } from './reward';

describe('completionsAt', () => {
  const labels = (text: string, index: number) => completionsAt(text, index, { price: 0.3 }).items.map((i) => i.label);

  it('offers presets only where nothing else is written', () => {
    expect(labels('', 0)).toContain('amc-flops');
    expect(labels('amc-f', 5)).toContain('amc-flops');
    expect(completionsAt('amc-f', 5).range).toEqual({ start: 0, end: 5 });
    expect(labels('accuracy - fl', 13)).not.toContain('amc-flops');
  });

  it('replaces the word around the place, in a broken formula too', () => {
    const text = 'max(accu, # la';
    expect(completionsAt(text, 6).range).toEqual({ start: 4, end: 8 });
    expect(labels(text, text.length)).toEqual(expect.arrayContaining(['latency', 'latency0', 'clamp', 'price']));
  });

  it('offers nothing inside a number', () => expect(labels('1 + 25', 6)).toEqual([]));

  it('offers only what compiles', () => {
    for (const { label, kind } of completionsAt('', 0, { price: 0.3 }).items) {
      const text = kind === 'function' ? `${label}(${label === 'clamp' ? '1, 0, 2' : '1'})` : label;
      expect(compileReward(text, { price: 0.3 }).problems, label).toEqual([]);
    }
  });
});

describe('hoverAt', () => {
  it.each([
    ['accuracy - flops0', 12, 'flops0 (MACs)', 'flops0'],
    ['accuracy - flops0', 8, 'accuracy (0 to 1)', 'accuracy'],
    ['max(1, price)', 1, 'max(a, b, …)', 'max'],
    ['max(1, price)', 9, 'price = 0.3', 'price'],
    [' purl ', 2, '-5 * (max(1 - accuracy / targetAccuracy, 0) + max(1 - sparsity / targetSparsity, 0))', 'purl'],
  ])('%s at %i', (text, index, title, word) => {
    const hover = hoverAt(text, index, { price: 0.3 });
    expect(hover?.title).toBe(title);
    expect(text.slice(hover!.range.start, hover!.range.end)).toBe(word);
  });

  it('says nothing of operators, numbers and unknown names', () => {
    expect(hoverAt('accuracy  -  12', 10)).toBeUndefined();
    expect(hoverAt('1 + nothing', 6)).toBeUndefined();
    expect(hoverAt('constructor', 3)).toBeUndefined();
  });
});
