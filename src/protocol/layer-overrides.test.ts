import { describe, expect, it } from 'vitest';
import { matchesGlob, overrideFor, unmatchedPatterns } from './layer-overrides';

describe('matchesGlob', () => {
  it.each([
    ['conv1', 'conv1', true],
    ['conv1', 'conv10', false],
    ['conv*', 'conv10', true],
    ['*', '', true],
    ['*conv*', 'layer1.0.conv1', true],
    ['layer*.conv1', 'layer1.0.conv1', true],
    ['layer*.conv1', 'layer1.0.conv2', false],
    ['a*a', 'a', false],
    ['a*b*b', 'ab', false],
    ['a*b*b', 'axbyb', true],
    // Only '*' is special.
    ['conv.', 'conv1', false],
    ['[ab]', 'a', false],
  ])('%s against %s: %s', (pattern, name, expected) => expect(matchesGlob(pattern, name)).toBe(expected));
});

describe('overrideFor', () => {
  it('is undefined where nothing matches', () => expect(overrideFor({ fc: { skip: true } }, ['conv1'])).toBeUndefined());

  it('merges field by field, the later pattern winning', () => {
    const layers = { '*': { skip: false, maxRatio: 0.5, minBits: 3 }, 'conv*': { skip: false, maxRatio: 0.7 }, fc: { skip: true } };
    expect(overrideFor(layers, ['conv1'])).toEqual({ skip: false, maxRatio: 0.7, minBits: 3 });
    expect(overrideFor(layers, ['group 1', 'fc'])).toEqual({ skip: true, maxRatio: 0.5, minBits: 3 });
  });

  it('a fixed value replaces earlier bounds, and bounds an earlier fixed value', () => {
    const bounds = { skip: false, minRatio: 0.1, maxRatio: 0.5 };
    expect(overrideFor({ '*': bounds, c: { skip: false, ratio: 0.75 } }, ['c'])).toEqual({ skip: false, ratio: 0.75 });
    expect(overrideFor({ '*': { skip: false, bits: 4 }, c: { skip: false, minBits: 2 } }, ['c'])).toEqual({ skip: false, minBits: 2 });
  });
});

it('lists patterns that match nothing', () => {
  expect(unmatchedPatterns({ 'conv*': { skip: true }, cnov1: { skip: true } }, ['conv1', 'fc'])).toEqual(['cnov1']);
});
