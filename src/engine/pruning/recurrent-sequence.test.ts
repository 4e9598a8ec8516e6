import { describe, expect, test } from 'vitest';
import { topologies } from '../../../test/topologies';
import { findChannelGroups } from '../graph/channel-groups';
import type { Model } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { Random } from '../random';
import { predict, scoringSignature } from '../runtime/evaluate';
import { SequentialPruner, type SequentialPrunerOptions } from './prune-sequence';

const shape = [5, 6];
const random = new Random(9);
// Not a multiple of the chunk, and as many as there are steps in the last one.
const count = 205;
const calibration = { inputs: Float32Array.from({ length: count * elementCount(shape) }, () => random.normal()), shape, count };
const scores = async (m: Model): Promise<Float32Array> => (await predict(m, scoringSignature(m), calibration, { threads: 1 })).scores;

const topologyOf = (name: string): Model => topologies().find((t) => t.name === name)!.model;
const pruner = (model: Model, options: SequentialPrunerOptions = {}): Promise<SequentialPruner> =>
  SequentialPruner.create(model, findChannelGroups(model).groups, calibration, new Random(1), { chunk: 50, ...options });

/** Squared error of the pruned model's scores, as a fraction of the variance of the original's. */
async function lost(pruned: Model, original: Model): Promise<number> {
  const [a, b] = [await scores(pruned), await scores(original)];
  const classes = b.length / count;
  const mean = Array.from({ length: classes }, (_, c) => b.reduce((sum, v, i) => sum + (i % classes === c ? v : 0), 0) / count);
  const error = b.reduce((sum, v, i) => sum + (v - a[i]) ** 2, 0);
  return error / b.reduce((sum, v, i) => sum + (v - mean[i % classes]) ** 2, 0);
}

describe.each(['LSTM', 'GRU', 'encoder and decoder'])('%s', (name) => {
  const model = topologyOf(name);
  const [group] = findChannelGroups(model).groups;

  test('the classifier is fitted to states as they are once units are gone: its error is that of the model', async () => {
    const sequence = await pruner(model);
    const { rebuilt, skipped, kept } = await sequence.prune(group.id, 0.5);
    expect(rebuilt.map((r) => r.layer)).toEqual(['fc']);
    expect(skipped.length).toBeGreaterThan(0);
    const [{ error }] = rebuilt;
    // The layer that reads the units goes on reading them at every step, so they cannot be told from a sample taken before.
    expect(error).toBeGreaterThan(0.02);
    expect((await lost(sequence.model, model)) / error).toBeCloseTo(1, 2);
    await sequence.release();
    const plain = await pruner(model, {
      reconstruct: false,
      selection: 'l2',
      scores: new Map([[group.id, scoresOf(kept, group.channels)]]),
    });
    await plain.prune(group.id, { keep: kept.length });
    expect(await lost(plain.model, model)).toBeGreaterThan(1.2 * error);
    await plain.release();
  });
});

/** Scores that keep exactly these channels. */
const scoresOf = (kept: readonly number[], channels: number): Float64Array =>
  Float64Array.from({ length: channels }, (_, i) => (kept.includes(i) ? 1 : 0));

test('layers whose input has the steps first are left as they are, with the reason, and what follows is still fitted', async () => {
  const model = topologyOf('stacked');
  const sequence = await pruner(model);
  const steps = [await sequence.prune('lower', 0.25), await sequence.prune('upper', 0.25), await sequence.prune('mix', 0.25)];
  expect(steps[1].skipped).toEqual([
    { layer: 'upper', reason: 'it is not a layer with one weight' },
    { layer: 'mix', reason: 'the samples do not lie along the first axis of its input' },
  ]);
  const last = steps[2].rebuilt.at(-1)!;
  expect(last.layer).toBe('fc');
  expect((await lost(await sequence.finished(), model)) / last.error).toBeCloseTo(1, 2);
  await sequence.release();
});
