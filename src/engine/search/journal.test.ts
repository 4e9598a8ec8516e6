import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Journal, readJournal } from './journal';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'journal-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const measured = (key: string, result: unknown) => ({ type: 'measurement' as const, seconds: 1, key, result });

describe('Journal', () => {
  it('recalls what was measured before it was opened again', () => {
    const path = join(folder, 'journal.jsonl');
    const first = new Journal(path);
    first.append(measured('prune:a=8', { accuracy: 0.5 }));
    first.append({ type: 'warning', seconds: 2, message: 'something' });
    first.close();
    const second = new Journal(path);
    expect(second.recall('prune:a=8')).toEqual({ accuracy: 0.5 });
    expect(second.recall('prune:a=16')).toBeUndefined();
    expect(second.earlier.map((e) => e.type)).toEqual(['measurement', 'warning']);
    second.close();
  });

  it('survives a cut at every byte: whole lines are kept, the rest is removed before appending', () => {
    const path = join(folder, 'whole.jsonl');
    const journal = new Journal(path);
    for (let i = 0; i < 5; i++) journal.append(measured(`k${i}`, { value: i, text: 'ä→' }));
    journal.close();
    const bytes = readFileSync(path);
    for (let cut = 0; cut <= bytes.length; cut += 7) {
      const torn = join(folder, `torn-${cut}.jsonl`);
      appendFileSync(torn, bytes.subarray(0, cut));
      const whole = bytes.subarray(0, cut).filter((b) => b === 10).length;
      const reopened = new Journal(torn);
      expect(reopened.earlier.length).toBe(whole);
      reopened.append(measured('after', 1));
      reopened.close();
      expect(readJournal(torn).events.length).toBe(whole + 1);
    }
  });
});
