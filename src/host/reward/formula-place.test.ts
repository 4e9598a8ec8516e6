import { describe, expect, it } from 'vitest';
import { constantsIn, formulaAt, formulaCompletions, formulaHover, stageOf } from './formula-place';

/** A config with one '|', and the offset where it stood. */
function marked(text: string): [text: string, offset: number] {
  return [text.replace('|', ''), text.indexOf('|')];
}

describe('places', () => {
  it.each([
    ['{ "reward": "acc|uracy" }', 3, 'both'],
    ['{ "reward": "|accuracy" }', 0, 'both'],
    ['{ "reward": "accuracy|" }', 8, 'both'],
    ['{ "reward": { "prune": "1", "quantize": "acc|uracy" } }', 3, 'quantize'],
    // An escape is two characters of the file and one of the formula.
    ['{ "reward": { "prune": "1 +\\n acc|" } }', 8, 'prune'],
  ])('%s', (text, index, stage) => {
    const place = formulaAt(...marked(text))!;
    expect(place.index).toBe(index);
    expect(stageOf(place.site)).toBe(stage);
  });
  it.each(['{ "reward|": "accuracy" }', '{ "model": "acc|uracy" }', '|{}'])('outside: %s', (text) =>
    expect(formulaAt(...marked(text))).toBeUndefined(),
  );
});

describe('completion', () => {
  it('replaces the word under the cursor, in characters of the file', () => {
    const [text, offset] = marked('{ "reward": { "prune": "1 +\\n acc|u", "constants": { "alpha": 2 } }');
    const found = formulaCompletions(text, offset)!;
    expect(text.slice(found.range.start, found.range.end)).toBe('accu');
    expect(found.items.map((i) => i.label)).toEqual(expect.arrayContaining(['accuracy', 'clamp', 'alpha']));
    expect(found.items.find((i) => i.label === 'alpha')?.detail).toBe('2');
  });
});

it('hover names what stands there', () => {
  const [text, offset] = marked('{ "reward": "accuracy - flo|ps / flops0" }');
  const hover = formulaHover(text, offset)!;
  expect(text.slice(hover.range.start, hover.range.end)).toBe('flops');
  expect(hover.name).toBe('flops');
});

it('constants are known while the config is broken', () => {
  expect(constantsIn('{ "model": "m", "reward": { "prune": "1 +", "constants": { "a": -0.5, "b": 1e3 } } }')).toEqual({ a: -0.5, b: 1000 });
});
