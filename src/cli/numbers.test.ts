import { expect, it } from 'vitest';
import { demo } from './commands/demo';
import { wholeNumber } from './numbers';

it.each([
  ['3', 3],
  [undefined, undefined],
])('reads %s', (text, number) => expect(wholeNumber(text, '--seeds')).toBe(number));

it.each(['abc', '0', '-1', '1.5', ''])("names the option that '%s' was given to", (text) => {
  expect(() => wholeNumber(text, '--seeds')).toThrow(`--seeds: '${text}' is not a whole number above 0`);
});

it('the demo checks its seed before it writes anything', async () => {
  await expect(demo({ seed: 'abc', out: '/nowhere/at/all' })).rejects.toThrow("--seed: 'abc' is not a whole number above 0");
});
