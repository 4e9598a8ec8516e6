/** A candidate that is exported is the network that the search scored: cut, reconstructed, masked and fine-tuned as it was then. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadModel } from '../../src/engine/onnx/file';
import { accuracyOf } from '../../src/engine/runtime/evaluate';
import { exportCandidate } from '../../src/engine/search/export-candidate';
import { prepare } from '../../src/engine/search/prepare';
import { startRun } from '../../src/engine/search/run';
import { readRunSnapshot } from '../../src/engine/search/snapshot';
import { trainBaseline } from '../../src/engine/search/train-baseline';
import type { ConfigInput } from '../../src/protocol/config';
import type { Candidate } from '../../src/protocol/policy';
import { shortConfig, shortInput, workFolder } from './fixtures/short-run';

const root = workFolder('export');
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeAll(async () => void (await trainBaseline(shortConfig(), { folder: root })), 60_000);

const pruning = { calibrationImages: 20, final: { calibrationImages: 200 } };
const variational = { enabled: true, targetSparsity: 0.6, epochs: 1, retrainEpochs: 0, rolloutSteps: 2 };
const settings = {
  recovery: { epochs: 0, batch: 64, learningRate: 0.02 },
  quantization: { ...shortInput.quantization, epochs: 0, steTuning: 3, learningRate: 0.02 },
  search: { episodes: 3, actors: 1 },
} satisfies Partial<ConfigInput>;

test.each<[string, Candidate['stage'], Partial<ConfigInput>]>([
  ['reconstructed on as many samples', 'prune', { pruning, stages: { prune: true, quantize: false } }],
  ['masked', 'prune', { pruning: { ...pruning, variational }, stages: { prune: true, quantize: false } }],
  ['fine-tuned at its bits', 'quantize', { stages: { prune: false, quantize: true } }],
])('%s', async (_, stage, change) => {
  const config = shortConfig({ ...settings, ...change });
  const { folder } = await startRun(config, { folder: root });
  const { search } = (await prepare(config, { folder: root, threads: 1 })).data;
  const candidates = readRunSnapshot(folder)!.candidates.filter((c) => c.stage === stage);
  expect(candidates.length).toBeGreaterThan(1);
  const scored = candidates.map((c) => c.accuracy);
  const exported: number[] = [];
  for (const { id } of candidates) {
    const to = join(root, `${id}.onnx`);
    await exportCandidate(folder, id, to, { threads: 1 });
    exported.push(await accuracyOf(loadModel(to), search, { threads: 1 }));
  }
  // The form that is written may round a value differently: one sample at most.
  for (const [i, accuracy] of exported.entries())
    expect(Math.abs(accuracy - scored[i]), `${exported} where ${scored} were scored`).toBeLessThan(1.5 / search.count);
});
