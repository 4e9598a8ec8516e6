import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { topologies } from '../../../test/topologies';
import { configSchema } from '../../protocol/config';
import { sensitivitySchema } from '../../protocol/layer-graph';
import { findChannelGroups } from '../graph/channel-groups';
import { inferTypes } from '../graph/infer';
import { quantizableLayers } from '../graph/layers';
import { foldBatchNorm } from '../graph/passes/fold-batch-norm';
import { criteria, highestChannels } from '../importance/registry';
import type { Model } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { otherChannels, removeChannels } from '../pruning/remove-channels';
import { keptChannels } from '../pruning/round-widths';
import { withDequantizedWeights } from '../quantization/quantized-layer';
import { quantizeLayers } from '../quantization/write-quantized';
import { Random } from '../random';
import { accuracyOf, argmaxRows, predict, type ScoringSet, scoringSignature } from '../runtime/evaluate';
import type { Prepared } from './prepare';
import { scanSensitivity } from './sensitivity';
import { cachedSensitivity } from './sensitivity-cache';

const COUNT = 120;
const folder = mkdtempSync(join(tmpdir(), 'espalier-sensitivity-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A model with random samples that it answers rightly in most cases. */
async function prepared(name: string): Promise<Prepared> {
  const model: Model = topologies().find((t) => t.name === name)!.model;
  const random = new Random(3);
  const shape = inferTypes(model, { batch: 1 }).types.get(model.graph.inputs[0].name)!.shape!.slice(1) as number[];
  const inputs = Float32Array.from({ length: COUNT * elementCount(shape) }, () => random.normal());
  const { scores, classes } = await predict(model, scoringSignature(model), { inputs, shape, count: COUNT }, { threads: 1 });
  const labels = argmaxRows(scores, classes).map((c) => (random.uniform() < 0.8 ? c : random.below(classes)));
  const set: ScoringSet = { inputs, shape, labels, count: COUNT };
  const { groups, frozen } = findChannelGroups(model);
  return {
    modelPath: join(folder, `${name}.onnx`),
    sha256: Buffer.from(name).toString('hex').padEnd(64, '0'),
    model,
    groups,
    frozen,
    layers: quantizableLayers(model),
    notes: [],
    data: { name: 'random', search: set, labelled: true, calibration: { inputs, shape, count: 40 } },
  } as unknown as Prepared;
}

const config = configSchema.parse({ model: 'net.onnx' });

describe('scanSensitivity', () => {
  for (const name of ['plain', 'residual', 'residual option A', 'dense', 'grouped']) {
    it(`${name}: each point is the accuracy of the model cut or quantised there`, async () => {
      const p = await prepared(name);
      const seen: number[] = [];
      const scan = await scanSensitivity(p, config, {
        ratios: [0.25, 0.5, 0.75],
        bits: [1, 2, 4],
        threads: 1,
        widthMultiple: 1,
        onProgress: (s) => seen.push(s.done),
      });
      expect(() => sensitivitySchema.parse(scan)).not.toThrow();
      expect(scan.baseline).toBe(await accuracyOf(p.model, p.data.search, { threads: 1 }));
      expect(scan.done).toBe(scan.total);
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
      expect(scan.groups.map((g) => g.group)).toEqual(p.groups.map((g) => g.id));
      for (const { group: id, points } of scan.groups) {
        const group = p.groups.find((g) => g.id === id)!;
        for (const { ratio, channels, accuracy } of points) {
          expect(channels).toBe(keptChannels(group, ratio, 1));
          const kept = highestChannels(criteria.get('l1')!.score(group, p.model, new Random(1)), channels);
          const cut = removeChannels(p.model, new Map([[id, otherChannels(group, kept)]]), p.groups);
          expect(accuracy, `${id} at ${ratio}`).toBeCloseTo(await accuracyOf(cut, p.data.search, { threads: 1 }), 6);
        }
      }
      const folded = foldBatchNorm(p.model).model;
      for (const { layer, points } of scan.layers) {
        for (const { bits, accuracy } of points) {
          const quantized = withDequantizedWeights(folded, quantizeLayers(folded, { [layer]: bits }));
          expect(accuracy, `${layer} at ${bits} bits`).toBeCloseTo(await accuracyOf(quantized, p.data.search, { threads: 1 }), 6);
        }
      }
    });
  }

  it('scans forms with batch norms folded, which have the groups of the model as it is', () => {
    for (const { name, model } of topologies()) {
      const sizes = (m: Model) => findChannelGroups(m).groups.map((g) => [g.id, g.channels]);
      expect(sizes(foldBatchNorm(model).model), name).toEqual(sizes(model));
    }
  });

  it('takes the selection and the reconstruction of a run where asked', async () => {
    const p = await prepared('plain');
    const options = { ratios: [0.5], bits: [], threads: 1, widthMultiple: 1, selection: 'backward-elimination' };
    const plain = await scanSensitivity(p, config, options);
    const rebuilt = await scanSensitivity(p, config, { ...options, reconstruct: true });
    const mean = (s: typeof plain): number => s.groups.reduce((a, g) => a + g.points[0].accuracy, 0) / s.groups.length;
    expect(mean(rebuilt)).toBeGreaterThan(mean(plain));
  });

  it('names what is not there', async () => {
    const p = await prepared('plain');
    await expect(scanSensitivity(p, config, { groups: ['conv9'] })).rejects.toThrow("there is no channel group 'conv9'");
    await expect(scanSensitivity(p, config, { layers: ['x'] })).rejects.toThrow("there is no layer 'x'");
  });
});

describe('the cache', () => {
  const cacheFolder = join(folder, 'cache');
  let p: Prepared;
  beforeAll(async () => {
    p = await prepared('plain');
  });

  it('goes on where a scan was stopped, and measures nothing twice', async () => {
    const controller = new AbortController();
    const options = { ratios: [0.5], bits: [2], threads: 1, cacheFolder };
    const stopped = scanSensitivity(p, config, {
      ...options,
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('stop')),
    });
    await expect(stopped).rejects.toThrow('stop');
    const channels = new Map(p.groups.map((g) => [g.id, g.channels]));
    const partial = cachedSensitivity(cacheFolder, p.sha256, channels)!;
    expect(partial.groups).toHaveLength(1);
    const counts: number[] = [];
    const scan = await scanSensitivity(p, config, { ...options, onProgress: (s) => counts.push(s.done) });
    expect(counts).toEqual([2, 3, 4, 5, 6, 7].slice(0, scan.total - 1));
    expect(scan.groups[0]).toMatchObject({ group: partial.groups[0].group, points: [{ accuracy: partial.groups[0].points[0].accuracy }] });
    const again = await scanSensitivity(p, config, { ...options, onProgress: () => expect.unreachable('everything was cached') });
    expect({ ...again, seconds: 0 }).toEqual({ ...scan, seconds: 0 });
    const { seconds: _, ...kept } = cachedSensitivity(cacheFolder, p.sha256, channels)!;
    expect(kept).toMatchObject({ groups: scan.groups, layers: scan.layers, conditions: scan.conditions });
    expect(readdirSync(cacheFolder)).toHaveLength(1);
  });

  it('is another one for other samples', async () => {
    const fewer = await scanSensitivity(p, config, { ratios: [0.5], bits: [], threads: 1, cacheFolder, images: 60 });
    expect(fewer.images).toBe(60);
    expect(readdirSync(cacheFolder)).toHaveLength(2);
  });
});
