/** The end of a run: the file is written, and everything that is reported is measured from that file. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Candidate, Latency, ModelCost, Policy } from '../../protocol/policy';
import { UserError } from '../errors';
import { asOnnxFile } from '../formats/registry';
import { countCosts, type ModelCosts } from '../graph/costs';
import { inferTypes } from '../graph/infer';
import { quantizableLayers } from '../graph/layers';
import { loadModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import type { QuantizedLayer } from '../quantization/quantized-layer';
import { diskSizes, quantizeModel, writeModelFile } from '../quantization/write-quantized';
import { accuracyOf } from '../runtime/evaluate';
import { measureLatency } from '../runtime/latency';
import { writeFileAtomic } from './atomic-file';
import type { RunContext } from './run-context';

/** A model as it lies on disk, measured. */
export interface MeasuredFile {
  readonly path: string;
  /** On the report samples, from the file. */
  readonly accuracy: number;
  readonly images: number;
  readonly cost: ModelCost;
  /** Batch 1 and 32, where the model's batch allows. */
  readonly latency: readonly Latency[];
}

export interface LayerOutcome {
  readonly name: string;
  readonly channelsBefore: number;
  readonly channelsAfter: number;
  readonly bits: number;
  readonly params: number;
  readonly effectiveParams: number;
  readonly macs: number;
}

export interface FinalResult {
  readonly before: MeasuredFile;
  readonly after: MeasuredFile;
  readonly candidate: Candidate;
  readonly layers: readonly LayerOutcome[];
  /** What the figures called accuracy are: 'accuracy', 'agreement with the original', 'F1' …; absent in runs of older versions. */
  readonly measure?: string;
  /** What the file computes with, and why. */
  readonly arithmetic: string;
}

const BATCHES = [1, 32];

/**
 * Writes the compressed model and measures it beside the original.
 * @param storedBytes what the weights take as a method coded them, where it did; else it is computed from their bits
 * @param model float, batch normalisation folded, weights on the grid of `layers` where they are quantised
 */
export async function finish(
  context: RunContext,
  model: Model,
  layers: readonly QuantizedLayer[],
  policy: Policy,
  reward: number,
  storedBytes?: number,
): Promise<FinalResult> {
  const { config, prepared, folder, recorder, cores } = context;
  recorder.phase('export');
  const path = folder.best('model.onnx');
  const calibration = prepared.data.calibration;
  const threads = cores;
  let arithmetic = 'float weights, float arithmetic';
  if (layers.length === 0) {
    writeModelFile(model, path);
  } else {
    const stored = folder.best('weights-only.onnx');
    writeModelFile(await quantizeModel(model, layers, { activations: 'float', calibration, threads }), stored);
    const wanted = config.quantization.activations;
    let chosen = stored;
    arithmetic = 'weights stored as codes, float arithmetic: the bits save size only';
    if (wanted !== 'float') {
      const integer = folder.best('integer.onnx');
      writeModelFile(await quantizeModel(model, layers, { activations: 'u8', calibration, threads }), integer);
      if (wanted === 'u8' || (await isFaster(context, integer, stored))) {
        chosen = integer;
        arithmetic = 'weights stored as codes, 8-bit activations, integer arithmetic';
      } else {
        arithmetic += ' (8-bit activations were measured to be slower here)';
      }
    }
    writeFileAtomic(path, readFileSync(chosen));
  }
  await writeSourceFormat(context, layers.length > 0 ? loadModel(folder.best('weights-only.onnx')) : model);
  recorder.phase('report');
  const [before, after] = await measurePair(context, await asOnnxFile(prepared.modelPath, folder.best('original.onnx')), path);
  const costs = countCosts(model, inferTypes(model, { batch: 1 }), policy.bits);
  const cost: ModelCost = { ...withoutLayers(costs), ...(storedBytes !== undefined && { weightBytes: storedBytes }), ...diskSizes(path) };
  const measured: MeasuredFile = { ...after, cost };
  const candidate: Candidate = {
    id: 'final',
    stage: 'final',
    policy,
    accuracy: measured.accuracy,
    images: measured.images,
    cost,
    latency: measured.latency,
    reward,
    episode: 0,
    origin: config.method.name,
    partial: false,
    original: { accuracy: before.accuracy, images: before.images, cost: before.cost, latency: before.latency },
  };
  folder.writeJson(folder.best('policy.json'), candidate);
  return {
    before,
    after: measured,
    candidate,
    layers: layerOutcomes(context, model, costs, policy),
    measure: prepared.data.measure,
    arithmetic,
  };
}

/** A model that came from TensorFlow.js, as layers or as a graph, also leaves as a layers model: the weights that were chosen, as floats. */
async function writeSourceFormat({ prepared, folder, recorder }: RunContext, model: Model): Promise<void> {
  if (!prepared.model.metadata.get('espalier.source')?.startsWith('tfjs-')) return;
  const { saveTfjsLayers } = await import('../formats/tfjs-export');
  try {
    saveTfjsLayers(model, folder.best(join('tfjs', 'model.json')));
  } catch (e) {
    if (!(e instanceof UserError)) throw e;
    recorder.warning(`not written as a TensorFlow.js model: ${e.message}`);
  }
}

/** True where the first file runs faster at batch 1, measured side by side. */
async function isFaster({ prepared, cores }: RunContext, path: string, than: string): Promise<boolean> {
  const [a, b] = await measureLatency([readFileSync(path), readFileSync(than)], prepared.data.report, 1, {
    cores,
    rounds: 31,
  });
  return a !== undefined && b !== undefined && a.median < b.median;
}

const withoutLayers = ({ layers: _, ...cost }: ModelCosts): ModelCost => cost;

/** Accuracy of both files on the report samples, and their times side by side. */
async function measurePair(context: RunContext, original: string, compressed: string): Promise<[MeasuredFile, MeasuredFile]> {
  const { prepared, cores } = context;
  const { report } = prepared.data;
  const files = [original, compressed];
  const accuracies: number[] = [];
  for (const f of files) accuracies.push(await accuracyOf(loadModel(f), report, { threads: cores, signal: context.signal }));
  const latency: Latency[][] = [[], []];
  for (const batch of BATCHES) {
    const measured = await measureLatency(
      files.map((f) => readFileSync(f)),
      report,
      batch,
      { cores },
    );
    measured.forEach((m, i) => {
      if (m) latency[i].push(m);
    });
  }
  return [0, 1].map(
    (i): MeasuredFile => ({
      path: files[i],
      accuracy: accuracies[i],
      images: report.count,
      cost: { ...withoutLayers(prepared.costs), ...diskSizes(files[i]) },
      latency: latency[i],
    }),
  ) as [MeasuredFile, MeasuredFile];
}

function layerOutcomes({ prepared }: RunContext, model: Model, costs: ModelCosts, policy: Policy): LayerOutcome[] {
  const before = new Map(prepared.layers.map((l) => [l.name, l]));
  return quantizableLayers(model).map((l) => {
    const cost = costs.layers.find((c) => c.name === l.name);
    return {
      name: l.name,
      channelsBefore: before.get(l.name)?.outChannels ?? l.outChannels,
      channelsAfter: l.outChannels,
      bits: policy.bits[l.name] ?? 32,
      params: cost?.params ?? l.params,
      effectiveParams: cost?.effectiveParams ?? l.params,
      macs: l.macs,
    };
  });
}
