/** How many images reconstruction needs, so that candidates are ranked as they end: three ways to spend the same FLOPs of ResNet-20. */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { countCosts } from '../../src/engine/graph/costs';
import { modelBytes, parseModel } from '../../src/engine/onnx/file';
import { accuracyOf } from '../../src/engine/runtime/evaluate';
import { CompressionActor } from '../../src/engine/search/actor';
import { firstSamples, prepare } from '../../src/engine/search/prepare';
import { configSchema } from '../../src/protocol/config';
import { IMAGENET, note } from '../bench';
import type { Study } from './network';

/** Channels that stay inside the residual blocks of each width. */
const POLICIES: ReadonlyArray<{ readonly name: string; readonly kept: Readonly<Record<number, number>> }> = [
  { name: 'alike', kept: { 16: 8, 32: 16, 64: 32 } },
  { name: 'more of the early layers', kept: { 16: 8, 32: 8, 64: 48 } },
  { name: 'more of the late layers', kept: { 16: 8, 32: 24, 64: 16 } },
];

const SAMPLES: ReadonlyArray<readonly [images: number, positions: number, rounds: number]> = [
  [500, 10, 1],
  [1000, 5, 1],
  [1000, 10, 1],
  [1000, 10, 3],
  [2000, 10, 1],
  [2000, 25, 1],
  [8000, 10, 1],
  [8000, 10, 3],
];

export const calibrationStudy: Study = async ({ data }) => {
  const config = configSchema.parse({
    model: join(data, 'models', 'cifar10_resnet20.onnx'),
    data: { name: 'cifar10', normalization: IMAGENET },
    pruning: { final: { calibrationImages: Math.max(...SAMPLES.map(([images]) => images)) } },
  });
  const prepared = await prepare(config, { folder: '.', dataFolder: data });
  // Behind the last convolutions of the blocks are the streams, which stay whole.
  const inner = prepared.groups.filter((g) => /^layer\d+\.\d+\.conv1$/.test(g.id));
  const percent = (share: number): string => (100 * share).toFixed(2);
  const rows: string[] = [];
  const shares = new Map<string, number>();
  for (const [images, positions, rectifiedRounds] of SAMPLES) {
    const cells: string[] = [];
    for (const { name, kept } of POLICIES) {
      const { selection, reconstruct, refit } = config.pruning;
      const actor = new CompressionActor({
        model: modelBytes(prepared.model),
        scoring: prepared.data.search,
        calibration: firstSamples(prepared.data.finalCalibration, images),
        pruning: { selection, reconstruct, refit, positions, rectifiedRounds, seed: config.seed, threads: cpus().length },
      });
      try {
        const built = await actor.run({ kind: 'build', decisions: inner.map((g) => [g.id, kept[g.channels]]) });
        const model = parseModel(built.model!);
        shares.set(name, countCosts(model).macs / prepared.costs.macs);
        const accuracies = [await accuracyOf(model, prepared.data.search), await accuracyOf(model, prepared.data.report)];
        cells.push(accuracies.map(percent).join(' / '));
      } finally {
        await actor.dispose();
      }
    }
    note(`${images} images × ${positions}, ${rectifiedRounds} rounds: ${cells.join(', ')}`);
    rows.push(`| ${images} | ${positions} | ${rectifiedRounds} | ${cells.join(' | ')} |`);
  }
  const titles = POLICIES.map(
    ({ name, kept }) => `${name} (${Object.values(kept).join('/')}; ${percent(shares.get(name)!)} % of the MACs)`,
  );
  return [
    'ResNet-20 on CIFAR-10; channels inside the residual blocks go, chosen by backward elimination, all layers fitted again by least squares on training images; nothing is trained.',
    `Accuracies in %, on the ${prepared.data.search.count.toLocaleString('en')} images that score the search / on the other ${prepared.data.report.count.toLocaleString('en')}. One draw of positions. *Rounds*: how often layers before a ReLU are fitted once more to what it lets through.`,
    '',
    `| images | positions of each | rounds | ${titles.join(' | ')} |`,
    `| --- | --- | --- | ${POLICIES.map(() => '---').join(' | ')} |`,
    ...rows,
  ];
};
