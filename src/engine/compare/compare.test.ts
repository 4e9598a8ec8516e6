import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Config, type ConfigInput, configSchema } from '../../protocol/config';
import type { ModelCost } from '../../protocol/policy';
import type { RunEvent } from '../../protocol/run-events';
import { loadModel, saveModel } from '../onnx/file';
import { withGraph } from '../onnx/model';
import { trainBaseline } from '../search/train-baseline';
import { type CellFailure, type CellResult, searchOf } from './cell';
import { type CellPlace, compareMethods } from './compare';
import { comparisonCsv } from './comparison-report';
import { frontsChart } from './fronts-chart';
import { spread, summarize } from './summary';

const input = {
  model: 'lenet5.onnx',
  data: { name: 'digits', digits: { train: 256, test: 200 } },
  train: { architecture: 'lenet5', epochs: 2, batch: 16 },
  stages: { prune: true, quantize: false },
  goal: { flops: 0.5 },
  reward: 'accuracy',
  pruning: { calibrationImages: 20, final: { calibrationImages: 40 } },
  search: { scorings: 6, actors: 1 },
  recovery: { epochs: 0 },
  seed: 1,
  threads: 1,
} satisfies ConfigInput;

let folder: string;
let config: Config;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'espalier-compare-'));
  config = configSchema.parse(input);
  await trainBaseline(config, { folder });
}, 180_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const methods = ['uniform', 'random-search'];

test('every method gets the same number of scorings; table, CSV and chart hold all cells; a second call repeats nothing', async () => {
  const out = join(folder, 'whole');
  const seen: Array<CellResult | CellFailure> = [];
  const options = { methods, seeds: [1, 2], out, folder, onResult: (r: CellResult | CellFailure) => void seen.push(r) };
  const first = await compareMethods(config, options);
  expect(first.failures).toEqual([]);
  expect(seen.map((r) => `${r.method} ${r.seed}`)).toEqual(['uniform 1', 'random-search 1', 'uniform 2', 'random-search 2']);
  for (const r of first.results) {
    expect(r.scorings).toBeGreaterThan(0);
    expect(r.scorings).toBeLessThanOrEqual(6);
    expect(r.flops).toBeLessThanOrEqual(0.5 + 1e-9);
    expect(r.goalMet).toBe(true);
    expect(r.searchImages).toBe(first.results[0].searchImages);
    expect(r.scoringsToBest).toBeLessThanOrEqual(r.scorings);
    expect(r.curve.at(-1)?.[1]).toBe(r.searchAccuracy);
  }
  expect(first.results.find((r) => r.method === 'random-search')!.scorings).toBe(6);
  const report = readFileSync(first.files.report, 'utf8');
  for (const m of methods) expect(report).toContain(`| ${m} | 2 |`);
  expect(readFileSync(first.files.csv, 'utf8').trim().split('\r\n')).toHaveLength(5);
  expect(readFileSync(first.files.chart, 'utf8')).toContain('random-search');

  const events: RunEvent[] = [];
  const places: CellPlace[] = [];
  const again = await compareMethods(config, {
    ...options,
    listener: (e) => void events.push(e),
    onCell: (_, place) => void places.push(place),
  });
  expect(events).toEqual([]);
  expect(places).toEqual([0, 1, 2, 3].map((index) => ({ index, total: 4, kept: true, left: 0 })));
  expect(again.results).toEqual(first.results);
}, 180_000);

test('a comparison that was stopped goes on with the cell under way, and ends as one left alone', async () => {
  const options = { methods: ['random-search'], seeds: [1], folder };
  const alone = await compareMethods(config, { ...options, out: join(folder, 'alone') });
  const stop = new AbortController();
  const out = join(folder, 'stopped');
  let scored = 0;
  const listener = (e: RunEvent): void => {
    if (e.type === 'evaluation' && ++scored === 3) stop.abort(new Error('enough'));
  };
  await expect(compareMethods(config, { ...options, out, signal: stop.signal, listener })).rejects.toThrow();
  expect(existsSync(join(out, 'results.csv'))).toBe(false);
  const types: string[] = [];
  const { results } = await compareMethods(config, { ...options, out, listener: (e) => void types.push(e.type) });
  expect(types).toContain('resumed');
  const figures = (r: CellResult) => ({ accuracy: r.accuracy, flops: r.flops, curve: r.curve, front: r.front, scorings: r.scorings });
  expect(results.map(figures)).toEqual(alone.results.map(figures));
}, 180_000);

test('a cell is kept when configs have a field that they did not have when it was run', async () => {
  const one = { methods: ['uniform'], seeds: [1], folder, out: join(folder, 'older') };
  const { results } = await compareMethods(config, one);
  const file = join(results[0].run, 'config.json');
  const stored = JSON.parse(readFileSync(file, 'utf8'));
  delete stored.config.pruning.variational;
  writeFileSync(file, JSON.stringify(stored));
  const again = await compareMethods(config, one);
  expect(again.results).toEqual(results);
}, 180_000);

test('what cannot run is a line of the report; other settings in the same folder are refused', async () => {
  const out = join(folder, 'odd');
  const one = { methods: ['uniform'], seeds: [1], folder, out };
  const { results, failures, files } = await compareMethods(configSchema.parse({ ...input, model: 'absent.onnx' }), one);
  expect(results).toEqual([]);
  expect(failures).toHaveLength(1);
  expect(readFileSync(files.report, 'utf8')).toMatch(/## Not run\n\n- uniform, seed 1: .*absent\.onnx/);
  const ours = await compareMethods(config, one);
  expect(ours.results.map((r) => [r.method, r.goalMet])).toEqual([['uniform', true]]);
  const report = readFileSync(ours.files.report, 'utf8');
  const begun: string[] = [];
  // The cell that does not fit is the last of three; the others would have run and written a report first.
  const refused = compareMethods(configSchema.parse({ ...input, goal: { flops: 0.7 } }), {
    ...one,
    methods: ['random-search', 'greedy', 'uniform'],
    onCell: ({ method }) => void begun.push(method),
  });
  await expect(refused).rejects.toMatchObject({
    message: expect.stringContaining('belongs to a comparison with other settings'),
    hint: expect.stringContaining('--out'),
  });
  expect(begun).toEqual([]);
  expect(readFileSync(ours.files.report, 'utf8')).toBe(report);
  expect(readdirSync(join(out, 'runs'))).toEqual(['uniform-seed1']);
}, 180_000);

test('a comparison of another model under the same name is refused; what is named twice counts once', async () => {
  const out = join(folder, 'models');
  const one = { methods: ['uniform', 'uniform'], seeds: [1, 1], folder, out };
  const model = join(folder, 'mine.onnx');
  copyFileSync(join(folder, 'lenet5.onnx'), model);
  const ours = configSchema.parse({ ...input, train: undefined, model: 'mine.onnx' });
  const { results } = await compareMethods(ours, one);
  expect(results).toHaveLength(1);
  const other = loadModel(model);
  saveModel(withGraph(other, { name: `${other.graph.name} again` }), model);
  await expect(compareMethods(ours, one)).rejects.toMatchObject({
    message: expect.stringContaining(`belongs to a comparison of another model: mine.onnx is not the file`),
    hint: expect.stringContaining('--out'),
  });
}, 180_000);

type Figures = Partial<{ partial: boolean; stage: 'prune' | 'quantize'; cost: Partial<ModelCost> }>;

/** A candidate of a network with 100 MACs, 100 parameters and 100 bytes; the cost's figures are `macs` where nothing else is said. */
const candidate = (accuracy: number, macs: number, { cost, ...more }: Figures = {}): RunEvent =>
  ({
    type: 'candidate',
    seconds: 7,
    candidate: { stage: 'prune', partial: false, origin: 'agent', accuracy, images: 50, cost: { ...costOf(macs), ...cost }, ...more },
  }) as unknown as RunEvent;
const costOf = (macs: number): ModelCost => ({ macs, effectiveMacs: macs, params: macs, effectiveParams: macs, weightBytes: macs });
const original = { type: 'original', candidate: { images: 50, cost: costOf(100) } } as unknown as RunEvent;
const scored = (key: string): RunEvent => ({ type: 'evaluation', key }) as unknown as RunEvent;
const searchedFor = (goal: Config['goal'], more: Partial<ConfigInput> = {}): Config => configSchema.parse({ ...input, ...more, goal });

test('the best is counted from complete candidates within the goal', () => {
  const events = [
    original,
    scored('a'),
    // A policy that prunes nothing is beyond the goal as any other.
    candidate(0.97, 100),
    candidate(0.9, 80),
    scored('b'),
    candidate(0.95, 50, { partial: true }),
    scored('c'),
    candidate(0.6, 40),
    scored('d'),
    scored('e'),
    candidate(0.7, 50),
    scored('f'),
    candidate(0.65, 50),
    candidate(0.99, 10, { stage: 'quantize' }),
  ];
  const found = searchOf(events, searchedFor({ flops: 0.5 }));
  expect(found.curve).toEqual([
    [3, 0.6],
    [5, 0.7],
  ]);
  expect(found).toMatchObject({ searchAccuracy: 0.7, scoringsToBest: 5, secondsToBest: 7, searchImages: 50 });
  expect(found.front.map((p) => p.accuracy)).toEqual([0.6, 0.7, 0.9, 0.97]);
  // More than 1 is a figure of its own, not a share.
  expect(searchOf(events, searchedFor({ flops: 50 })).curve).toEqual(found.curve);
  expect(searchOf(events, searchedFor({})).searchAccuracy).toBe(0.97);
});

test('what is scored again counts once: repeats of a search, and what a resumed run writes down again', () => {
  const event = (type: string, key?: string): RunEvent => ({ type, key }) as unknown as RunEvent;
  const first = [
    scored('a'),
    scored('b'),
    scored('a'),
    event('checkpoint'),
    scored('c'),
    scored('d'),
    candidate(0.6, 40),
    event('resumed'),
  ];
  const again = [scored('c'), scored('d'), candidate(0.6, 40), scored('e'), candidate(0.7, 40), event('measurement', 'stage:prune')];
  expect(searchOf([original, ...first, ...again, event('resumed'), scored('f')], searchedFor({ flops: 0.5 })).curve).toEqual([
    [4, 0.6],
    [5, 0.7],
  ]);
});

test('a goal for the parameters counts, and one for the bytes where nothing is quantised afterwards', () => {
  const events = [original, candidate(0.9, 50, { cost: { params: 80, weightBytes: 90 } }), candidate(0.8, 50)];
  expect(searchOf(events, searchedFor({ flops: 0.5 })).searchAccuracy).toBe(0.9);
  expect(searchOf(events, searchedFor({ flops: 0.5, params: 0.6 })).searchAccuracy).toBe(0.8);
  expect(searchOf(events, searchedFor({ params: 79 })).searchAccuracy).toBe(0.8);
  expect(searchOf(events, searchedFor({ bytes: 0.6 })).searchAccuracy).toBe(0.8);
  expect(searchOf(events, searchedFor({ bytes: 0.6 }, { stages: { prune: true, quantize: true } })).searchAccuracy).toBe(0.9);
});

test('where weights are masked, what is left of them counts', () => {
  const masked = (accuracy: number, left: number): RunEvent =>
    candidate(accuracy, 100, { cost: { effectiveMacs: left, effectiveParams: left } });
  const events = [original, scored('a'), masked(0.9, 70), scored('b'), masked(0.8, 40)];
  const found = searchOf(events, searchedFor({ flops: 0.5 }, { method: { name: 'purl' } }));
  expect(found.curve).toEqual([[2, 0.8]]);
  expect(found.front.map((p) => p.flops)).toEqual([0.4, 0.7]);
  expect(searchOf(events, searchedFor({ params: 0.5 }, { method: { name: 'purl' } })).searchAccuracy).toBe(0.8);
  // A method that cuts channels gets no credit for zeros.
  expect(searchOf(events, searchedFor({ flops: 0.5 })).searchAccuracy).toBeNull();
});

test('medians, spread and paired wins', () => {
  expect(spread([3, 1, 2])).toEqual({ median: 2, low: 1, high: 3 });
  expect(spread([4, 1])).toEqual({ median: 2.5, low: 1, high: 4 });
  const row = (method: string, seed: number, accuracy: number, goalMet = true) =>
    ({ method, seed, accuracy, goalMet, ms1: null, scoringsToBest: null, secondsToBest: null, front: [] }) as unknown as CellResult;
  const rows = [row('a', 1, 0.8), row('a', 2, 0.9), row('a', 3, 0.7), row('random-search', 1, 0.7), row('random-search', 2, 0.9)];
  const [first, second] = summarize(rows);
  expect(first).toMatchObject({ method: 'a', seeds: 3, accuracy: { median: 0.8 }, wins: [{ over: 'random-search', won: 1, of: 2 }] });
  expect(second).toMatchObject({ method: 'random-search', wins: [], ms1: null });
  // What misses the goal is no better for being more accurate.
  const missed = summarize([...rows, row('b', 1, 0.99, false), row('b', 2, 0.99)]);
  expect(missed.map((s) => s.method)).toEqual(['a', 'random-search', 'b']);
  expect(missed[2]).toMatchObject({ goalMet: 1, seeds: 2, wins: [{ over: 'random-search', won: 1, of: 2 }] });
  const beyond = summarize([row('uniform', 1, 0.9, false), row('c', 1, 0.5), row('d', 1, 0.4, false)]);
  expect(beyond.map((s) => s.wins.map((w) => w.won))).toEqual([[1], [], [0]]);
  expect(comparisonCsv([{ ...rows[0], run: 'a,"b"' }])).toContain('"a,""b"""');
  expect(frontsChart([])).toContain('nothing was measured');
});
