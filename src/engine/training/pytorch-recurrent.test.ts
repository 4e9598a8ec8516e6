import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { findChannelGroups } from '../graph/channel-groups';
import { normalize } from '../graph/passes/normalize';
import { loadModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { maskChannels, removeChannels } from '../pruning/remove-channels';
import { predict, scoringSignature } from '../runtime/evaluate';
import { fill } from './testing/networks';
import { Trainer } from './trainer';

const folder = new URL('../../../test/fixtures/pytorch-recurrent/', import.meta.url);
const fixture = JSON.parse(readFileSync(new URL('steps.json', folder), 'utf8')) as {
  steps: number;
  features: number;
  classes: number;
  batch: number;
  rate: number;
  cases: Record<string, { losses: number[]; scores: number[]; after: number[] }>;
};
const { batch, classes, rate } = fixture;
const shape = [fixture.steps, fixture.features];
const inputsOf = (step: number): Float32Array => fill(batch * shape[0] * shape[1], 7 + step, 2);
const scoresOf = async (model: Model): Promise<Float32Array> =>
  (await predict(model, scoringSignature(model), { inputs: inputsOf(0), shape, count: batch }, { threads: 1 })).scores;
const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a, (v, i) => Math.abs(v - b[i])).reduce((x, y) => Math.max(x, y), 0);

describe.each(Object.entries(fixture.cases))('%s as PyTorch exports it, two layers both ways', (name, expected) => {
  const { model, changes } = normalize(loadModel(fileURLToPath(new URL(`${name}.onnx`, folder))));

  test('scores what PyTorch scores, its states of zeros left out', async () => {
    expect(changes).toContain('initial states of recurrent layers that are zero were left out');
    expect(largestDifference(await scoresOf(model), expected.scores)).toBeLessThan(1e-5);
  });

  test('learns what PyTorch learns in three steps', async () => {
    const trainer = await Trainer.create(model, { batch, threads: 1, momentum: 0.9 });
    const losses: number[] = [];
    for (let step = 0; step < 3; step++) {
      const labels = Int32Array.from({ length: batch }, (_, i) => (3 * i + step) % classes);
      losses.push((await trainer.step({ inputs: inputsOf(step), labels }, rate)).loss);
    }
    const trained = trainer.model();
    await trainer.dispose();
    expect(largestDifference(losses, expected.losses)).toBeLessThan(1e-5);
    expect(largestDifference(await scoresOf(trained), expected.after)).toBeLessThan(2e-5);
    // The steps went somewhere.
    expect(largestDifference(expected.after, expected.scores)).toBeGreaterThan(0.05);
  });

  test('has the hidden units of each layer as a group, and equals the masked model without some of them', async () => {
    const { groups } = findChannelGroups(model);
    expect(groups.map((g) => g.channels)).toEqual([6, 6]);
    const removals = new Map(groups.map((g) => [g.id, [0, 3, 4]]));
    const small = removeChannels(model, removals, groups);
    const scores = await scoresOf(small);
    expect(largestDifference(scores, await scoresOf(maskChannels(model, removals, groups)))).toBeLessThan(1e-5);
    expect(largestDifference(scores, expected.scores)).toBeGreaterThan(1e-2);
  });
});
