import { afterEach, expect, test, vi } from 'vitest';
import { scoringSignature } from './evaluate';
import { measureLatency } from './latency';
import { Session } from './onnxruntime';

vi.mock('../onnx/file', () => ({ parseModel: (bytes: Uint8Array) => bytes }));
vi.mock('./evaluate', () => ({ scoringSignature: vi.fn(() => ({ inputs: [] })) }));
vi.mock('./feeds', () => ({ feedsOf: () => ({}) }));

let now = 0;
let sessions = 0;

/** Sessions on a clock of their own: a run takes what this table says of the model (its first byte) and its threads. */
function runsTake(milliseconds: Readonly<Record<number, Readonly<Record<number, number>>>>): void {
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  vi.spyOn(Session, 'create').mockImplementation((model, { threads } = {}) => {
    sessions++;
    const took = milliseconds[(model as Uint8Array)[0]][threads!];
    const session = {
      run: () => {
        now += took;
        return Promise.resolve({});
      },
      release: () => {
        sessions--;
        return Promise.resolve();
      },
    };
    return Promise.resolve(session as unknown as Session);
  });
}

const SMALL = Uint8Array.of(1);
const LARGE = Uint8Array.of(2);

afterEach(() => {
  vi.restoreAllMocks();
  expect(sessions).toBe(0);
});

test('each model is measured with one thread and with all cores, and its quicker time counts', async () => {
  runsTake({ 1: { 1: 2, 4: 3 }, 2: { 1: 9, 4: 4 } });
  const [small, large] = await measureLatency([SMALL, LARGE], [1], 1, { cores: 4, rounds: 5 });
  expect(small).toMatchObject({ batch: 1, median: 2, low: 2, high: 2, threads: 1 });
  expect(large).toMatchObject({ median: 4, threads: 4 });
  // Short runs are repeated until a round lasts about 5 ms: 5/2 and 5/4, rounded.
  expect([small?.runs, large?.runs]).toEqual([15, 5]);
});

test('a number of threads that takes twice as long at first is given up', async () => {
  runsTake({ 2: { 1: 900, 16: 100 } });
  const before = now;
  expect(await measureLatency([LARGE], [1], 1, { cores: 16, rounds: 5 })).toMatchObject([{ median: 100, threads: 16 }]);
  // With one thread a run to warm up and one to see; with sixteen those and five rounds.
  expect(now - before).toBe(2 * 900 + 7 * 100);
});

test('so many threads and no others, where they are asked for', async () => {
  runsTake({ 1: { 4: 3 } });
  expect(await measureLatency([SMALL], [1], 8, { threads: 4 })).toMatchObject([{ batch: 8, median: 3, threads: 4 }]);
});

test('a model of another fixed batch has no time', async () => {
  runsTake({ 1: { 1: 2 } });
  vi.mocked(scoringSignature).mockReturnValueOnce({ inputs: [], fixedBatch: 32 } as never);
  expect(await measureLatency([LARGE, SMALL], [1], 1, { cores: 1 })).toMatchObject([undefined, { median: 2 }]);
});
