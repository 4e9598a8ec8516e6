import { describe, expect, it } from 'vitest';
import { editDistance, nearestName } from './nearest-name';

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['', 'abc', 3],
    ['flops', 'flop', 1],
    ['acuracy', 'accuracy', 1],
    ['wieght', 'weight', 1],
    ['kitten', 'sitting', 3],
  ])('%s and %s: %s', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });
});

describe('nearestName', () => {
  it('takes the closest, whatever the case', () => expect(nearestName('Episode', ['episodes', 'episode', 'epochs'])).toBe('episode'));
  it('takes a beginning where nothing is near', () => {
    expect(nearestName('random', ['uniform', 'random-search'])).toBe('random-search');
    expect(nearestName('ra', ['uniform', 'random-search'])).toBeUndefined();
  });
  it('suggests nothing where nothing is near', () => {
    expect(nearestName('zzzz', ['flops', 'params'])).toBeUndefined();
    expect(nearestName('x'.repeat(100_000), ['x'])).toBeUndefined();
  });
});
