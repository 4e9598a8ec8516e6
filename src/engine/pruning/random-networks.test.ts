import { describe, expect, it } from 'vitest';
import { RANDOM_INPUT, randomNetwork } from '../../../test/random-network';
import { findChannelGroups } from '../graph/channel-groups';
import { costAfter, countCosts } from '../graph/costs';
import { inferTypes } from '../graph/infer';
import { type Model, withGraph } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { Random } from '../random';
import { floatTensor, Session } from '../runtime/onnxruntime';
import { maskChannels, removeChannels } from './remove-channels';

const NETWORKS = Number(process.env['ESPALIER_RANDOM_NETWORKS'] ?? 60);

async function run(model: Model) {
  const random = new Random(7);
  const data = Float32Array.from({ length: elementCount(RANDOM_INPUT) }, () => random.normal());
  const session = await Session.create(model, { threads: 1, optimization: 'disabled' });
  try {
    return await session.run({ x: floatTensor(data, RANDOM_INPUT) });
  } finally {
    await session.release();
  }
}

describe('random networks', () => {
  it.each(Array.from({ length: NETWORKS }, (_, i) => i + 1))('network %i computes the same cut as masked', async (seed) => {
    const model = randomNetwork(seed, 4 + (seed % 12));
    const { groups } = findChannelGroups(model);
    expect(groups.length).toBeGreaterThan(0);
    const random = new Random(seed);
    const removals = new Map<string, number[]>();
    for (const g of groups)
      if (g.channels > 1) removals.set(g.id, [...random.permutation(g.channels).subarray(0, 1 + random.below(g.channels - 1))]);
    const removed = removeChannels(model, removals, groups);
    const inferred = inferTypes(removed, { batch: RANDOM_INPUT[0] });
    // Every value as an output shows its true shape.
    const values = removed.graph.nodes.flatMap((n) => n.outputs).filter((v) => v !== 'y');
    const watched = withGraph(removed, {
      outputs: [...removed.graph.outputs, ...values.map((name) => ({ name, type: 'float32' as const }))],
    });
    const small = await run(watched);
    for (const v of values) expect({ [v]: inferred.types.get(v)?.shape }).toEqual({ [v]: small[v].shape });
    const masked = (await run(maskChannels(model, removals, groups))).y.data as Float32Array;
    const scale = Math.max(...masked.map(Math.abs), 1e-6);
    masked.forEach((v, i) => {
      expect(Math.abs(v - Number(small.y.data[i]))).toBeLessThan(1e-4 * scale);
    });
    const kept = Object.fromEntries(groups.map((g) => [g.id, g.channels - (removals.get(g.id)?.length ?? 0)]));
    const { macs, params, weightBytes } = countCosts(removed);
    expect(costAfter(model, groups)(kept)).toEqual({ macs, params, weightBytes });
  });
});
