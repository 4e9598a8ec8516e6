import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { strFromU8, strToU8, unzipSync, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { findChannelGroups } from '../graph/channel-groups';
import { normalize } from '../graph/passes/normalize';
import type { Model } from '../onnx/model';
import { floatTensor, type RuntimeTensor, Session } from '../runtime/onnxruntime';
import { loadAnyModel } from './registry';
import { channelsFirst } from './testing/tfjs';

const fixtures = join(__dirname, '../../../test/fixtures/formats');

interface Values {
  readonly shape: number[];
  readonly values: number[];
}
const expected = JSON.parse(readFileSync(join(fixtures, 'expected-sequences.json'), 'utf8')) as Record<
  string,
  { endings: string[]; inputs: Record<string, Values>; output: Values }
>;

async function answerOf(model: Model, inputs: Record<string, Values>): Promise<RuntimeTensor> {
  const session = await Session.create(model, { threads: 1 });
  try {
    const feeds = model.graph.inputs.map((i): [string, RuntimeTensor] => {
      const { shape, values } = inputs[i.name];
      if (i.type === 'int32') return [i.name, { type: 'int32', shape, data: Int32Array.from(values) }];
      const turned = channelsFirst(Float32Array.from(values), shape);
      return [i.name, floatTensor(turned.data, turned.shape)];
    });
    return (await session.run(Object.fromEntries(feeds)))[model.graph.outputs[0].name];
  } finally {
    await session.release();
  }
}

describe('attention, masks, volumes and normalisations give the same as in Keras (make_keras_sequences.py)', () => {
  it.each(Object.entries(expected).flatMap(([name, { endings }]) => endings.map((ending) => [name, ending])))(
    '%s.%s',
    async (name, ending) => {
      const { inputs, output } = expected[name];
      const model = await loadAnyModel(join(fixtures, `${name}.${ending}`));
      for (const form of [model, normalize(model).model]) {
        const { data, shape } = await answerOf(form, inputs);
        expect(shape).toEqual(output.shape);
        for (const [i, v] of output.values.entries()) expect(Math.abs((data as Float32Array)[i] - v)).toBeLessThan(1e-5);
      }
    },
  );
});

it('heads of attention are pruned as wholes', async () => {
  const { model } = normalize(await loadAnyModel(join(fixtures, 'attention.keras')));
  const groups = findChannelGroups(model).groups.map((g) => [g.channels, g.producers.flatMap((p) => p.layers).join(' ')]);
  expect(groups).toContainEqual([2, expect.stringContaining('self/query')]);
  expect(groups).toContainEqual([3, expect.stringContaining('other/query')]);
});

it('a masked sequence before attention is refused', async () => {
  const entries = unzipSync(readFileSync(join(fixtures, 'attention.keras')));
  entries['config.json'] = strToU8(strFromU8(entries['config.json']).replace('"mask_zero": false', '"mask_zero": true'));
  const path = join(mkdtempSync(join(tmpdir(), 'espalier-masked-')), 'masked.keras');
  writeFileSync(path, zipSync(entries));
  await expect(loadAnyModel(path)).rejects.toThrow("layer 'self' (MultiHeadAttention) attends to a masked sequence, which is not read");
  rmSync(dirname(path), { recursive: true });
});
