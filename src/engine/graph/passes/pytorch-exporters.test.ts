/** Small networks as both of PyTorch's exporters write them (`test/fixtures/pytorch-exporters/make.py`), against PyTorch's own answers. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModel } from '../../onnx/file';
import type { Model } from '../../onnx/model';
import { maskChannels, removeChannels } from '../../pruning/remove-channels';
import { floatTensor, Session } from '../../runtime/onnxruntime';
import { Trainer } from '../../training/trainer';
import { findChannelGroups } from '../channel-groups';
import { inferTypes } from '../infer';
import { normalize } from './normalize';

const folder = join(__dirname, '../../../../test/fixtures/pytorch-exporters');
const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Record<string, { shape: number[]; output: number[] }>;

/** The numbers that make.py draws. */
function fill(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 8) / 2 ** 24) * 2 - 1;
  });
}

const SAMPLES = 3;
const samplesOf = (name: string): Float32Array => fill(SAMPLES * expected[name].shape.reduce((a, d) => a * d, 1), 5);

/** Answers to the three samples, `rows` at a time. */
async function answers(model: Model, name: string, rows: number): Promise<number[]> {
  const inputs = samplesOf(name);
  const size = inputs.length / SAMPLES;
  const session = await Session.create(model, { threads: 1 });
  try {
    const found: number[] = [];
    for (let from = 0; from < SAMPLES; from += rows) {
      const feed = floatTensor(inputs.slice(from * size, (from + rows) * size), [rows, ...expected[name].shape]);
      found.push(...((await session.run({ input: feed })).output.data as Float32Array));
    }
    return found;
  } finally {
    await session.release();
  }
}

const expectClose = (found: readonly number[], wanted: readonly number[]): void => {
  expect(found).toHaveLength(wanted.length);
  found.forEach((v, i) => {
    expect(Math.abs(v - wanted[i])).toBeLessThan(2e-5);
  });
};

interface Row {
  readonly name: string;
  /** How many channels can go, group by group; of attention whole heads. */
  readonly groups: readonly number[];
}
const rows: readonly Row[] = [
  { name: 'images', groups: [8, 4] },
  { name: 'sequences', groups: [4, 24] },
  { name: 'recurrent', groups: [6] },
];

const kindsOf = ({ name }: Row): string[] => ['traced', 'exported', ...(name === 'sequences' ? ['open'] : [])];

describe.each(rows.flatMap((row) => kindsOf(row).map((kind) => [row.name, kind, row] as const)))(
  '%s, %s',
  (name, kind, { groups: widths }) => {
    const file = loadModel(join(folder, `${name}-${kind}.onnx`));
    const { model, notes, changes } = normalize(file);

    it('answers as PyTorch does, many samples at a time, though the file fixes one', async () => {
      expect(notes).toEqual([]);
      expect(changes.includes('the batch, which the file fixes, was left open')).toBe(kind !== 'open');
      expectClose(await answers(file, name, 1), expected[name].output);
      expectClose(await answers(model, name, SAMPLES), expected[name].output);
    });

    it('knows every operator, and finds what can be pruned', async () => {
      expect(inferTypes(model).unknownOperators).toEqual([]);
      const { groups } = findChannelGroups(model);
      expect(groups.map((g) => g.channels)).toEqual(widths);
      const removed = new Map(groups.map((g) => [g.id, [0, 2]]));
      const masked = await answers(maskChannels(model, removed, groups), name, SAMPLES);
      expectClose(await answers(removeChannels(model, removed, groups), name, SAMPLES), masked);
    });

    it('is trained', async () => {
      const trainer = await Trainer.create(model, { batch: SAMPLES, threads: 1 });
      const batch = { inputs: samplesOf(name), labels: Int32Array.of(0, 1, 2) };
      const first = await trainer.step(batch, 0.05);
      let last = first;
      for (let i = 0; i < 5; i++) last = await trainer.step(batch, 0.05);
      await trainer.dispose();
      expect(last.loss).toBeLessThan(first.loss);
    });
  },
);
