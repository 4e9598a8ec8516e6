/** docs/operators.md is written by a benchmark that needs data; what it says of the code must be so at every commit. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { operatorPage, operatorRows, rowStart } from '../../../bench/operator-table';

const page = readFileSync(join(resolve(__dirname, '../../..'), 'docs/operators.md'), 'utf8').replaceAll('\r\n', '\n');
const known = page.slice(page.indexOf('## Known operators'), page.indexOf('## Carried through untouched'));

test('every registered operator has its row, with the gradient and the channels that the code has', () => {
  const rows = known.split('\n').filter((line) => line.startsWith('| `'));
  // Where this fails after a change of the code, `npm run bench -- conformance` writes the page anew.
  expect(rows.map((line) => line.split(' | ').slice(0, 4).join(' | '))).toEqual(operatorRows().map((r) => rowStart(r).slice(0, -2)));
});

test('the page is made of its figures alone', () => {
  const figures = { models: 3, run: 2, same: 2, shapes: 1, opsets: [7, 13] as const };
  const make = () =>
    operatorPage(
      [{ family: 'node', row: { family: 'node', models: 3 } }],
      new Map([['Conv', figures]]),
      new Map([['Loop', { ...figures, opsets: [9, 9] as const }]]),
      'onnxruntime 1',
    );
  expect(make()).toBe(make());
  expect(make()).toContain('| node | 3 |');
  expect(make()).toMatch(/^\| `Conv` \| yes \| yes \| followed \| 3 \| 2\/2 \| 1 \| 7–13 \|$/m);
  expect(make()).toContain('| `Loop` | 3 | 2/2 | 9 |');
});
