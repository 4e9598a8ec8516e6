import { expect, test } from 'vitest';
import { CellTimes } from './cell-times';

test('the time left is that of cells that ran: kept ones and those that could not run do not count', () => {
  let clock = 0;
  const times = new CellTimes(() => clock);
  const cell = (milliseconds: number, place: { kept: boolean; left: number }, ran = true): number | undefined => {
    const seconds = times.begin(place);
    clock += milliseconds;
    times.end(ran);
    return seconds;
  };
  expect(cell(1, { kept: true, left: 4 })).toBeUndefined();
  expect(cell(10_000, { kept: false, left: 4 })).toBeUndefined();
  expect(cell(1, { kept: false, left: 3 }, false)).toBe(30);
  expect(cell(20_000, { kept: false, left: 2 })).toBe(20);
  expect(cell(1, { kept: true, left: 1 })).toBe(15);
  expect(cell(1, { kept: false, left: 1 })).toBe(15);
  expect(cell(1, { kept: true, left: 0 })).toBeUndefined();
});
