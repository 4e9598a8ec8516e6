import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withSharedClasses } from './class-names';
import { parseDelimited, readCsvDataset } from './csv';
import { errorOf, put } from './testing/sample-files';

const folder = mkdtempSync(join(tmpdir(), 'espalier-csv-'));
let files = 0;
const file = (text: string, ending = 'csv'): string => put(join(folder, `t${files++}.${ending}`), new TextEncoder().encode(text));

describe('cells', () => {
  it('quotes, doubled quotes, separators and line breaks within quotes (RFC 4180)', () => {
    expect(parseDelimited('a,"b ""c"", d"\r\n"line 1\nline 2",e\n\n', 'x')).toEqual([
      ['a', 'b "c", d'],
      ['line 1\nline 2', 'e'],
    ]);
  });

  it('semicolons and tabs separate where the first line has more of them', () => {
    expect(parseDelimited('1,5;2;3\n4;5;6', 'x')).toEqual([
      ['1,5', '2', '3'],
      ['4', '5', '6'],
    ]);
    expect(parseDelimited('a\tb\n1\t2\n', 'x')[1]).toEqual(['1', '2']);
  });

  it('an open quote is said', () => {
    expect(errorOf(() => parseDelimited('a,"b', 'x.csv')).message).toBe('x.csv ends within a quoted cell.');
  });
});

describe('features and labels', () => {
  it('a column called label, in words: classes are numbered by name', () => {
    const d = readCsvDataset(file('length,width,label\n1,2,rose\n3,4.5,lily\n5,6,rose\n'));
    expect(d).toMatchObject({ count: 3, shape: [2], classes: 2, classNames: ['lily', 'rose'] });
    expect([...d.inputs]).toEqual([1, 2, 3, 4.5, 5, 6]);
    expect([...d.labels!]).toEqual([1, 0, 1]);
  });

  it('without a header: label and columns to leave out by number', () => {
    const d = readCsvDataset(file('7,1,2,0\n8,3,4,3\n'), { label: -1, ignore: [0] });
    expect([...d.inputs]).toEqual([1, 2, 3, 4]);
    expect([...d.labels!]).toEqual([0, 3]);
    expect(d.classes).toBe(4);
  });

  it('without any label there is none', () => {
    const d = readCsvDataset(file('1,2\n3,4\n'));
    expect(d.labels).toBeUndefined();
    expect(d.targets).toBeUndefined();
    expect(d.shape).toEqual([2]);
  });

  it('numbers that are no classes are values to be met; several columns are one row of targets', () => {
    const price = readCsvDataset(file('size;price\n10;1.5\n20;-3\n'), { label: 'price' });
    expect(price.labels).toBeUndefined();
    expect(price.targets!.outputs).toEqual([{ width: 1, values: Float32Array.of(1.5, -3) }]);
    const tags = readCsvDataset(file('x,cat,dog\n5,1,0\n6,1,1\n'), { label: ['cat', 'dog'] });
    expect(tags.targets!.outputs[0]).toEqual({ width: 2, values: Float32Array.of(1, 0, 1, 1) });
    expect([...tags.inputs]).toEqual([5, 6]);
  });

  it('rows of pixels take the shape of the model', () => {
    const d = readCsvDataset(file('1,2,3,4\n5,6,7,8\n'), {}, [{ name: 'image', shape: [1, 2, 2], whole: false }]);
    expect(d.shape).toEqual([1, 2, 2]);
  });

  it('errors name line and column', () => {
    expect(errorOf(() => readCsvDataset(file('a,b\n1,2\n3,oak\n'))).message).toMatch(/line 3, column b: 'oak' is not a number/);
    expect(errorOf(() => readCsvDataset(file('1,2\n3\n'))).message).toMatch(/line 2 has 1 numbers, but line 1 has 2/);
    expect(errorOf(() => readCsvDataset(file('a,b\n1,2\n'), { label: 'c' })).message).toMatch(/no column called 'c' \(it has a, b\)/);
    expect(errorOf(() => readCsvDataset(file('1,2\n'), { label: 7 })).message).toMatch(/no column 7; it has 2/);
    expect(errorOf(() => readCsvDataset(file('a,label\n1,x\n2,\n'))).message).toMatch(/line 3 has no label in column label/);
    expect(errorOf(() => readCsvDataset(file('\n'))).message).toMatch(/no rows of data/);
  });

  it('two parts share one numbering of their classes', () => {
    const train = readCsvDataset(file('x,label\n1,pear\n2,apple\n'));
    const test = readCsvDataset(file('x,label\n1,quince\n2,pear\n'));
    const [a, b] = withSharedClasses(train, test);
    expect([[...a.labels!], [...b.labels!], a.classes, b.classNames]).toEqual([[1, 0], [2, 1], 3, ['apple', 'pear', 'quince']]);
  });
});

describe('token ids', () => {
  const ids = { name: 'input_ids', shape: ['sequence'], whole: true };

  it('rows of any length are padded to the longest, or to what the model takes', () => {
    const path = file('label,ids\n1,5 6 7\n0,8\n');
    const open = readCsvDataset(path, { padding: 2 }, [ids]);
    expect(open.shape).toEqual([3]);
    expect([...open.inputs]).toEqual([5, 6, 7, 8, 2, 2]);
    expect([...open.labels!]).toEqual([1, 0]);
    const fixed = readCsvDataset(path, {}, [{ ...ids, shape: [2] }]);
    expect([...fixed.inputs]).toEqual([5, 6, 8, 0]);
  });

  it('one id a cell, rows of different length', () => {
    expect([...readCsvDataset(file('4,5,6\n7\n'), {}, [ids]).inputs]).toEqual([4, 5, 6, 7, 0, 0]);
  });

  it('masks and token types of a transformer are made from them', () => {
    const d = readCsvDataset(file('4,5\n7\n'), {}, [
      ids,
      { name: 'attention_mask', shape: ['sequence'], whole: true },
      { name: 'token_type_ids', shape: ['sequence'], whole: true },
    ]);
    expect(d.fields!.map((f) => f.name)).toEqual(['input_ids', 'attention_mask', 'token_type_ids']);
    expect(d.shape).toEqual([6]);
    expect([...d.inputs]).toEqual([4, 5, 1, 1, 0, 0, 7, 0, 1, 0, 0, 0]);
  });

  it('what is no id is said', () => {
    expect(errorOf(() => readCsvDataset(file('4,5\n7,-1\n'), {}, [ids])).message).toMatch(
      /line 2: -1 is no token id, which the model's input/,
    );
  });
});
