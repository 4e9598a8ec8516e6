/** The whole network at 70, 50 and 30 % of its multiply-accumulates: the agent's policy beside the uniform one, before and after recovery. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { loadModel } from '../../src/engine/onnx/file';
import { accuracyOf } from '../../src/engine/runtime/evaluate';
import { startRun } from '../../src/engine/search/run';
import { threadFiles } from '../bench';
import type { Study } from './network';

const LEFT = [0.7, 0.5, 0.3];
const METHODS = ['two-stage-ppo', 'episodic-ppo', 'uniform'] as const;

export const policyStudy: Study = async ({ network, data, args }) => {
  const { path, prepared, config, about } = await network();
  const episodes = Number(args.options['episodes'] ?? 40);
  const folder = mkdtempSync(join(tmpdir(), 'espalier-study-'));
  const lines = [
    `${about} Channels one by one, by backward elimination with reconstruction; ${episodes} episodes scored on 1,000 images of the training set that the network has not seen; recovery of one`,
    `epoch. Figures are of ${prepared.data.report.count.toLocaleString('en')} test images. *Untrained* is what the search found, *recovered* the file that was written.`,
    '',
    '| pruned | method | untrained | recovered | multiply-accumulates | parameters |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  try {
    copyFileSync(path, join(folder, basename(path)));
    for (const flops of LEFT) {
      for (const method of METHODS) {
        const { result, folder: at } = await startRun(
          config({
            method,
            goal: { flops },
            stages: { prune: true, quantize: false },
            search: { episodes, images: 1000, actors: 2 },
            // In steps of 8, layers of 16 and 32 filters leave hardly anything to choose.
            pruning: { widthMultiple: 1, final: { calibrationImages: 1000 } },
            recovery: { epochs: 1, learningRate: 0.01 },
            seed: 1,
          }),
          { folder, dataFolder: data, threads: threadFiles },
        );
        const untrained = await accuracyOf(loadModel(join(at, 'best', 'pruned-untrained.onnx')), prepared.data.report);
        const { after, before } = result;
        const share = (a: number, b: number): string => `${((100 * a) / b).toFixed(1)} %`;
        lines.push(
          `| ${(100 * (1 - flops)).toFixed(0)} % | ${method} | ${(100 * untrained).toFixed(2)} | ${(100 * after.accuracy).toFixed(2)} (whole ${(100 * before.accuracy).toFixed(2)}) | ${share(after.cost.macs, before.cost.macs)} | ${share(after.cost.params, before.cost.params)} |`,
        );
      }
    }
    return lines;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
