import { expect, it } from 'vitest';
import { durationText, secondsOf } from './duration';

it.each([
  ['90s', 90],
  ['10m', 600],
  ['10 min', 600],
  ['1h30m', 5400],
  ['1h 1m 1s', 3661],
  ['1.5h', 5400],
  ['10', undefined],
  ['', undefined],
  ['m', undefined],
  ['30m1h', undefined],
  ['ten minutes', undefined],
])('%s is %s seconds', (text, seconds) => expect(secondsOf(text)).toBe(seconds));

it.each([
  [0.4, '0 s'],
  [42, '42 s'],
  [190, '3 min 10 s'],
  [600, '10 min'],
  [7500, '2 h 5 min'],
  [7200, '2 h'],
])('%s s reads %s', (seconds, text) => expect(durationText(seconds)).toBe(text));
