/** Stage 2 alone: the agent's bits for each layer at two averages, beside the same bits everywhere. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { quantizableLayers } from '../../src/engine/graph/layers';
import { loadModel } from '../../src/engine/onnx/file';
import { quantizeLayers, quantizeModel, writeModelFile } from '../../src/engine/quantization/write-quantized';
import { accuracyOf } from '../../src/engine/runtime/evaluate';
import { startRun } from '../../src/engine/search/run';
import { threadFiles } from '../bench';
import type { Study } from './network';

const AVERAGES = [4, 3];
const UNIFORM = [8, 4, 3];

export const bitsStudy: Study = async ({ network, data, args }) => {
  const { prepared, config, about } = await network();
  const episodes = Number(args.options['episodes'] ?? 40);
  const { model } = prepared;
  const layers = quantizableLayers(model);
  const folder = mkdtempSync(join(tmpdir(), 'espalier-study-'));
  const row = (name: string, bits: readonly number[], accuracy: number, sizes: { fileBytes?: number; brotliBytes?: number }): string =>
    `| ${name} | ${bits.join(', ')} | ${(100 * accuracy).toFixed(2)} | ${sizes.fileBytes?.toLocaleString('en')} | ${sizes.brotliBytes?.toLocaleString('en')} |`;
  const lines = [
    `${about} Weights only, scales of each output channel, activations float. The agent (episodic-ppo, ${episodes} episodes on 1,000 images) may choose 2 to 8 bits for every layer,`,
    `first and last included, within a budget of weight bytes; nothing is fine-tuned at the bits, in either. Accuracies are of the written files on ${prepared.data.report.count.toLocaleString('en')} test images.`,
    '',
    `| bits | ${layers.map((l) => l.name).join(', ')} | accuracy | bytes | bytes, brotli |`,
    '| --- | --- | --- | --- | --- |',
  ];
  try {
    const whole = join(folder, 'float.onnx');
    lines.push(
      row(
        'float',
        layers.map(() => 32),
        await accuracyOf(model, prepared.data.report),
        writeModelFile(model, whole),
      ),
    );
    for (const bits of UNIFORM) {
      const every = Object.fromEntries(layers.map((l) => [l.name, bits]));
      const written = await quantizeModel(model, quantizeLayers(model, every), {
        activations: 'float',
        calibration: prepared.data.calibration,
      });
      const path = join(folder, `uniform-${bits}.onnx`);
      const sizes = writeModelFile(written, path);
      lines.push(
        row(
          `${bits} everywhere`,
          layers.map(() => bits),
          await accuracyOf(loadModel(path), prepared.data.report),
          sizes,
        ),
      );
    }
    for (const averageBits of AVERAGES) {
      const { result } = await startRun(
        config({
          method: 'episodic-ppo',
          stages: { prune: false, quantize: true },
          quantization: {
            averageBits,
            first: { minBits: 2, maxBits: 8 },
            last: { minBits: 2, maxBits: 8 },
            epochs: 0,
            activations: 'float',
          },
          search: { episodes, images: 1000, actors: 2 },
          seed: 1,
        }),
        { folder, dataFolder: data, threads: threadFiles },
      );
      const { after, candidate } = result;
      lines.push(
        row(
          `agent, ${averageBits} on average`,
          layers.map((l) => candidate.policy.bits[l.name]),
          after.accuracy,
          after.cost,
        ),
      );
    }
    return lines;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
