/** One layer is pruned, all others stay whole, nothing is trained afterwards: what each way of choosing costs (paper 001, its single-layer comparison). */
import type { Layer } from '../../src/engine/graph/layers';
import type { Model } from '../../src/engine/onnx/model';
import { inputRms } from '../../src/engine/pruning/input-rms';
import { SequentialPruner } from '../../src/engine/pruning/prune-sequence';
import { selectElements } from '../../src/engine/pruning/variational';
import { applyMasks, magnitudeMask } from '../../src/engine/pruning/weight-masks';
import { Random } from '../../src/engine/random';
import { accuracyOf } from '../../src/engine/runtime/evaluate';
import { firstSamples } from '../../src/engine/search/prepare';
import { trainWithInformationDropout } from '../../src/engine/training/information-dropout';
import { BATCH, type Study } from './network';

const SHARES = [0.3, 0.5, 0.7, 0.9];

export const singleLayerStudy: Study = async ({ network }) => {
  const { prepared, batches, about } = await network();
  const { model, layers, groups, data } = prepared;
  const score = async (m: Model): Promise<number> => 100 * (await accuracyOf(m, data.report));
  const whole = await score(model);
  // Noise says which units matter; the weights that are masked are those of the network as it was.
  const source = batches('information dropout');
  const noisy = layers.slice(0, -1).map((l) => l.node.outputs[0]);
  const { noise } = await trainWithInformationDropout(model, source, {
    epochs: 1,
    batch: BATCH,
    learningRate: { base: 0.01, schedule: { kind: 'cosine' } },
    momentum: 0.9,
    weightDecay: 5e-4,
    random: new Random(1).fork('information-dropout'),
    noise: { layers: noisy },
  }).finally(() => source.close());
  const rms = await inputRms(model, layers, data.calibration);
  const lines = [
    `${about} Whole it is right on ${whole.toFixed(2)} % of the ${data.report.count.toLocaleString('en')} test images. One layer loses a share of its weights, or of its channels; no training`,
    'follows. *Variational* masks single weights by |w|·(1 − p)·rms(x), p from one epoch of information dropout; *weights by magnitude* masks by |w|; *LASSO* takes',
    'channels and solves the reading layer anew on 2,000 training images; *channels by magnitude* takes those of the smallest L1 norm and solves nothing. The output',
    'layer has no channels to lose, and no noise of its own. Weights and channels are different things: a channel also goes from the layer that reads it.',
    '',
    '| layer | share | variational | weights by magnitude | LASSO | channels by magnitude |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  for (const layer of layers) {
    const group = groups.find((g) => g.producers.some((p) => p.layers.includes(layer.name)));
    for (const share of SHARES) {
      const variational = variationalMask(
        model,
        layer,
        share,
        noise.find((n) => n.layer === layer.node.outputs[0])?.dropProbability,
        rms.get(layer.name)!,
      );
      const magnitude = magnitudeMask(model.graph.initializers.get(layer.weight)!.floats(), share);
      const cells = [
        await score(applyMasks(model, new Map([[layer.weight, variational]]))),
        await score(applyMasks(model, new Map([[layer.weight, magnitude]]))),
      ];
      if (group) {
        const kept = Math.max(1, Math.round((1 - share) * group.channels));
        for (const [selection, reconstruct] of [
          ['lasso', true],
          ['l1', false],
        ] as const) {
          const calibration = firstSamples(data.calibration, 2000);
          const pruner = await SequentialPruner.create(model, groups, calibration, new Random(1), { selection, reconstruct });
          await pruner.prune(group.id, { keep: kept });
          cells.push(await score(pruner.model));
        }
      }
      lines.push(
        `| ${layer.name} | ${100 * share} % | ${[...cells, ...Array.from({ length: 4 - cells.length }, () => undefined)].map((c) => c?.toFixed(2) ?? '–').join(' | ')} |`,
      );
    }
  }
  return lines;
};

function variationalMask(
  model: Model,
  layer: Layer,
  fraction: number,
  dropProbability: Float32Array | undefined,
  rms: Float32Array,
): Float32Array {
  const { dims } = model.graph.initializers.get(layer.weight)!;
  return selectElements({
    weights: model.graph.initializers.get(layer.weight)!.floats(),
    dims,
    unitAxis: layer.outAxis,
    inputAxis: layer.inAxis,
    groups: layer.groups,
    dropProbability: dropProbability ?? new Float32Array(layer.outChannels),
    rms,
    fraction,
  });
}
