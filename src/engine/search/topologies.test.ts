import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { type Topology, topologies } from '../../../test/topologies';
import { configSchema } from '../../protocol/config';
import { npyBytes, put, raw } from '../data/testing/sample-files';
import { findChannelGroups } from '../graph/channel-groups';
import { countCosts } from '../graph/costs';
import { useCounts } from '../graph/passes/pass';
import { loadModel, saveModel } from '../onnx/file';
import { elementCount } from '../onnx/tensor';
import { Random } from '../random';
import { accuracyOf, argmaxRows, predict, scoringSignature } from '../runtime/evaluate';
import { Trainer } from '../training/trainer';
import { startRun } from './run';

// How fast the results are is no part of this: once is enough.
vi.mock('../runtime/latency', async (original) => {
  const real = await original<typeof import('../runtime/latency')>();
  const once: typeof real.measureLatency = (models, shape, batch, options) =>
    real.measureLatency(models, shape, batch, { ...options, rounds: 1 });
  return { ...real, measureLatency: once };
});

const root = mkdtempSync(join(tmpdir(), 'espalier-topologies-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Random samples with the model's own answers as labels. */
async function answered({ model, input }: Topology, seed: number, count: number) {
  const random = new Random(seed);
  const shape = input.slice(1);
  const inputs = Float32Array.from({ length: count * elementCount(shape) }, () => random.normal());
  const { scores, classes } = await predict(model, scoringSignature(model), { inputs, shape, count }, { threads: 1 });
  return { inputs, labels: Int32Array.from(argmaxRows(scores, classes)), shape: [...shape], count };
}

describe.each(topologies(2).map((t) => [t.name, t] as const))('%s', (name, topology) => {
  it('takes training steps that lower the loss', async () => {
    const { inputs, labels } = await answered(topology, 3, 8);
    const trainer = await Trainer.create(topology.model, { batch: 8, threads: 1 });
    const shifted = labels.map((c) => (c + 1) % 5);
    const first = await trainer.step({ inputs, labels: shifted }, 0.002);
    let last = first;
    for (let i = 0; i < 3; i++) last = await trainer.step({ inputs, labels: shifted }, 0.002);
    await trainer.dispose();
    expect(last.loss).toBeLessThan(first.loss);
  });

  it('is searched, cut, fine-tuned and exported; the file loads, is smaller, and scores what the run says', async () => {
    const folder = join(root, name.replace(/\W+/g, '-'));
    mkdirSync(folder);
    saveModel(topology.model, join(folder, 'net.onnx'));
    for (const [part, seed, count] of [
      ['train', 4, 48],
      ['test', 5, 40],
    ] as const) {
      const { inputs, labels, shape } = await answered(topology, seed, count);
      put(join(folder, `${part}-x.npy`), npyBytes('<f4', [count, ...shape], raw(inputs)));
      put(join(folder, `${part}-y.npy`), npyBytes('<i4', [count], raw(labels)));
    }
    const files = (part: string) => ({ inputs: `${part}-x.npy`, labels: `${part}-y.npy` });
    const config = configSchema.parse({
      model: 'net.onnx',
      data: { files: { train: files('train'), test: files('test') }, normalization: { scale: 1 } },
      goal: { flops: 0.85 },
      pruning: { calibrationImages: 16, final: { calibrationImages: 24 } },
      stages: { quantize: false },
      search: { episodes: 2, actors: 1 },
      agent: { learningStarts: 4, minibatch: 4, hidden: 8 },
      recovery: { epochs: 1, batch: 16, learningRate: 0.001 },
      output: { folder: 'runs' },
      seed: 1,
      threads: 1,
    });
    const { folder: run, result } = await startRun(config, { folder });
    const exported = loadModel(join(run, 'best', 'model.onnx'));
    const before = countCosts(topology.model);
    expect(countCosts(exported).macs).toBeLessThan(before.macs);
    const { inputs, labels, shape, count } = await answered(topology, 5, 40);
    const report = { inputs: inputs.subarray(16 * elementCount(shape)), labels: labels.subarray(16), shape, count: count - 16 };
    expect(await accuracyOf(exported, report, { threads: 1 })).toBeCloseTo(result.after.accuracy!, 6);
    expect(findChannelGroups(exported).groups.length).toBeGreaterThan(0);
    // onnxruntime warns of every constant that nothing reads, whenever the file is loaded.
    const read = useCounts(exported.graph);
    expect([...exported.graph.initializers.keys()].filter((name) => !read.has(name))).toEqual([]);
  });
});
