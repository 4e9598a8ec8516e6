/**
 * Variational pruning of stage 1 (dimensions H and W): information dropout says how noisy each unit may be, the weights that carry
 * least signal are masked step by step, and the network is retrained with the masks held (methods.md §1).
 */

import type { BatchPipeline } from '../data/batches';
import { UserError } from '../errors';
import { quantizableLayers } from '../graph/layers';
import type { Model } from '../onnx/model';
import { inputRms } from '../pruning/input-rms';
import { applyMasks } from '../pruning/weight-masks';
import { Random } from '../random';
import { accuracyOf } from '../runtime/evaluate';
import { fitModel } from '../training/fit';
import { type LayerNoise, trainWithInformationDropout } from '../training/information-dropout';
import { ElementMasks, noisyLayers } from './element-masks';
import { epochCheckpoints, trainingBatches, tuningOptions } from './recover';
import type { RunContext } from './run-context';
import { savedModel } from './saved-model';

export interface VariationalResult {
  readonly model: Model;
  readonly before: number;
  readonly after: number;
  /** Weights masked, and how many there were, by layer. */
  readonly masked: Readonly<Record<string, { masked: number; weights: number }>>;
}

/** Share of the retraining epochs over which the masks grow to their target (Zhu, Gupta 2017: cubic). */
const RAMP = 0.6;

export async function variationalStage(context: RunContext, model: Model): Promise<VariationalResult> {
  const source = trainingBatches(context, 'variational');
  if (!source)
    throw new UserError(
      'variational pruning needs training samples',
      'Give the data a train part, or turn "pruning.variational.enabled" off.',
    );
  try {
    return await pruneElements(context, model, source);
  } finally {
    await source.close();
  }
}

async function pruneElements(context: RunContext, model: Model, source: BatchPipeline): Promise<VariationalResult> {
  const { config, prepared, recorder, cores } = context;
  const settings = config.pruning.variational;
  const layers = quantizableLayers(model);
  const noisy = noisyLayers(model, layers);
  const before = await accuracyOf(model, prepared.data.search, { threads: cores });
  recorder.phase('recover', settings.epochs + settings.retrainEpochs);
  const trained = await trainedWithNoise(context, model, source, noisy);
  const probability = new Map(trained.noise.map((n) => [n.layer, Float32Array.from(n.dropProbability)]));
  const rms = await inputRms(trained.model, layers, prepared.data.calibration, { threads: cores });
  const masks = new ElementMasks(trained.model, layers, {
    settings,
    dropProbability: probability,
    rms,
    originalMacs: prepared.costs.macs,
    draws: new Random(config.seed).fork('masks'),
  });

  const epochs = Math.max(1, settings.retrainEpochs);
  const ramp = Math.max(1, Math.round(RAMP * epochs));
  const cubic = (step: number, steps: number): number => 1 - (1 - Math.min(1, step / steps)) ** 3;
  const rampSteps = ramp * source.batchesPerEpoch;
  const every = Math.max(1, Math.floor(source.batchesPerEpoch / 8));
  const start = masks.at(0, 0, (l) => trained.model.graph.initializers.get(l.weight)!.floats());
  const final = new Map(start);
  const retrained = await fitModel(trained.model, source, {
    ...tuningOptions(context, epochs, config.recovery.learningRate),
    ...epochCheckpoints(context, 'variational'),
    masks: start,
    onResume: (trainer) => {
      for (const name of start.keys()) final.set(name, trainer.mask(name));
    },
    onStep: (trainer) => {
      const step = trainer.stepCount;
      if (step > rampSteps || (step % every !== 0 && step !== rampSteps)) return;
      for (const [name, mask] of masks.at(cubic(step, rampSteps), step, (l) => trainer.parameter(l.weight))) {
        trainer.setMask(name, mask);
        final.set(name, mask);
      }
    },
  });
  const masked = applyMasks(retrained.model, final);
  const after = await accuracyOf(masked, prepared.data.search, { threads: cores });
  return {
    model: masked,
    before,
    after,
    masked: Object.fromEntries(
      layers.map((l) => [
        l.name,
        { masked: final.get(l.weight)!.reduce((a, v) => a + (v === 0 ? 1 : 0), 0), weights: final.get(l.weight)!.length },
      ]),
    ),
  };
}

/** Written beside the model: noise by layer. */
interface SavedNoise {
  readonly layer: string;
  readonly dropProbability: readonly number[];
}

/**
 * Fine-tuning with noise, kept once it is done. Its draws are onnxruntime's own, so a run that is killed in it does it again from the
 * beginning, to the same end.
 */
async function trainedWithNoise(
  context: RunContext,
  model: Model,
  source: BatchPipeline,
  layers: readonly string[],
): Promise<{ model: Model; noise: readonly SavedNoise[] }> {
  const { config, folder } = context;
  const settings = config.pruning.variational;
  const path = folder.checkpoint('noise.json');
  const trained = await savedModel(context, 'noisy.onnx', async () => {
    const result = await trainWithInformationDropout(model, source, {
      ...tuningOptions(context, settings.epochs, config.recovery.learningRate),
      random: new Random(config.seed).fork('information-dropout'),
      noise: { layers, beta: settings.beta, alphaMax: settings.alphaMax },
    });
    const noise = result.noise.map((n: LayerNoise): SavedNoise => ({ layer: n.layer, dropProbability: [...n.dropProbability] }));
    folder.writeJson(path, noise);
    return result.model;
  });
  return { model: trained, noise: folder.readJson<SavedNoise[]>(path)! };
}
