/** Any candidate of a run as a file of its own: the final result is copied, the others are made again from their policies. */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Config, configSchema } from '../../protocol/config';
import type { Candidate } from '../../protocol/policy';
import { UserError } from '../errors';
import { foldBatchNorm } from '../graph/passes/fold-batch-norm';
import { forRuntimes } from '../graph/passes/for-runtimes';
import { findMethod } from '../methods/registry';
import { loadModel, parseModel, saveModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { requantize } from '../quantization/quantized-layer';
import { diskSizes, quantizeLayers, quantizeModel } from '../quantization/write-quantized';
import { accuracyOf } from '../runtime/evaluate';
import { CompressionActor } from './actor';
import { bitTuningFor, tunedAtBits } from './bit-tuning';
import { rebuildFiltered } from './filter-stage';
import { rebuildRows } from './lottery-mdp-stage';
import { type Prepared, prepare } from './prepare';
import { pruneActorSetup } from './prune-stage';
import { RunFolder } from './run-folder';
import { readRunSnapshot } from './snapshot';
import { designOf, studentActorSetup } from './student-stage';
import { rebuildMasked } from './weight-mask-stage';

export interface ExportedCandidate {
  readonly files: readonly string[];
  readonly fileBytes: number;
  readonly brotliBytes: number;
  /** From the written file, on the report samples. */
  readonly accuracy: number;
  readonly images: number;
}

export interface ExportCandidateOptions {
  readonly dataFolder?: string;
  readonly threads?: number;
  readonly signal?: AbortSignal;
}

/** @throws UserError where there is no such run or candidate, or its model, data or stage 1 are gone */
export async function exportCandidate(
  runFolder: string,
  id: string,
  to: string,
  options: ExportCandidateOptions = {},
): Promise<ExportedCandidate> {
  const folder = RunFolder.open(runFolder);
  const snapshot = readRunSnapshot(folder.path);
  const candidate = snapshot?.candidates.find((c) => c.id === id);
  if (!candidate) throw new UserError(`run ${folder.id} has no candidate '${id}'`, 'Choose one of those that its report lists.');
  const input = folder.readJson<{ config: unknown; folder: string; dataFolder?: string }>(folder.config);
  const parsed = configSchema.safeParse(input?.config);
  if (!input || !parsed.success) throw new UserError(`${folder.config} is damaged`, 'Start the run anew.');
  const config = parsed.data;
  const { threads, signal } = options;
  const prepared = await prepare(config, { folder: input.folder, dataFolder: options.dataFolder ?? input.dataFolder, threads, signal });
  mkdirSync(dirname(to), { recursive: true });
  if (candidate.stage === 'final') {
    const result = folder.best('model.onnx');
    if (!existsSync(result)) throw new UserError(`${result} is not there any more`, 'Start the run anew.');
    copyFileSync(result, to);
  } else {
    saveModel(forRuntimes(await rebuilt(candidate, config, prepared, folder, threads)), to);
  }
  const { report } = prepared.data;
  return {
    files: [to],
    ...diskSizes(to),
    accuracy: await accuracyOf(loadModel(to), report, { threads, signal }),
    images: report.count,
  };
}

async function rebuilt(candidate: Candidate, config: Config, prepared: Prepared, folder: RunFolder, threads?: number): Promise<Model> {
  if (candidate.stage === 'quantize') {
    const base = folder.checkpoint('pruned.onnx');
    if (config.stages.prune && !existsSync(base))
      throw new UserError(`the pruned model of run ${folder.id} is not there any more`, 'Export its final result instead.');
    const { model: folded } = foldBatchNorm(config.stages.prune ? loadModel(base) : prepared.model);
    const { calibration } = prepared.data;
    let [model, layers] = [folded, quantizeLayers(folded, candidate.policy.bits)];
    const tuning = await bitTuningFor(config, prepared);
    const tuned = tuning && layers.length > 0 ? await tunedAtBits(folded, layers, tuning) : undefined;
    if (tuned) [model, layers] = [tuned, requantize(tuned, layers)];
    return quantizeModel(model, layers, {
      // 'auto' measures which is faster; a candidate's file is for looking at, and floats answer as the search saw it.
      activations: config.quantization.activations === 'u8' ? 'u8' : 'float',
      calibration,
      threads,
    });
  }
  // Rounds of a method that trains are kept as they were scored.
  const kept = folder.checkpoint(`${candidate.id}.onnx`);
  if (existsSync(kept)) return loadModel(kept);
  if (findMethod(config.method.name).space === 'rows') return rebuildRows(candidate.policy, { config, prepared });
  if (findMethod(config.method.name).space === 'weights') return parseModel(await rebuildMasked(candidate.policy, config, prepared));
  if (findMethod(config.method.name).space === 'filters') return rebuildFiltered(candidate.policy, { config, prepared, folder });
  if (findMethod(config.method.name).space === 'student') {
    const students = new CompressionActor(await studentActorSetup(config, prepared, threads));
    return parseModel((await students.run({ kind: 'build-student', design: designOf(candidate, prepared) })).model!);
  }
  const actor = new CompressionActor(await pruneActorSetup(config, prepared));
  const decisions = prepared.groups
    .filter((g) => candidate.policy.ratios[g.id] !== undefined)
    .map((g): [string, number] => [g.id, Math.round(g.channels * (1 - candidate.policy.ratios[g.id]))]);
  try {
    const { model } = await actor.run({ kind: 'build', decisions, masked: true });
    return parseModel(model!);
  } finally {
    await actor.dispose();
  }
}
