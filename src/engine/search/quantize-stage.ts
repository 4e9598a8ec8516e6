/** Stage 2: the agent picks each layer's weight bits under a byte budget. */
import { absoluteBudget } from '../../protocol/config';
import type { ModelCost, Policy } from '../../protocol/policy';
import { UserError } from '../errors';
import { countCosts } from '../graph/costs';
import { inferTypes } from '../graph/infer';
import { type Layer, quantizableLayers } from '../graph/layers';
import { modelBytes } from '../onnx/file';
import type { Model } from '../onnx/model';
import { storedBytes } from '../quantization/quantizers';
import { createActorPool } from './actor-pool';
import { writeFileAtomic } from './atomic-file';
import { bitStage } from './bit-stage';
import { bitTuningFor } from './bit-tuning';
import { bitChoices } from './choices';
import { layerFeatures } from './layer-features';
import type { RunContext } from './run-context';
import { type StageResult, searchStage } from './search-stage';

export interface QuantizeStageResult extends StageResult {
  /** Bits of every quantised layer, those the config fixes included. */
  readonly bits: Readonly<Record<string, number>>;
}

/**
 * Searches bit-widths.
 * @param model float, batch normalisation folded
 * @param pruned policy of stage 1, so that candidates carry the whole one
 * @throws UserError where the byte budget cannot be met with the fewest bits
 */
export async function quantizeStage(context: RunContext, model: Model, pruned: Policy): Promise<QuantizeStageResult> {
  const { config, prepared } = context;
  const layers = quantizableLayers(model);
  const inferred = inferTypes(model, { batch: 1 });
  const all = layers
    .map((layer, i) => ({
      layer,
      bits: bitChoices(layer, i, layers.length, config),
      weights: weightCount(model, layer),
      hasZeros: hasZeros(model, layer),
    }))
    .filter((l): l is typeof l & { bits: number[] } => l.bits !== undefined);
  const fixed = all.filter((l) => l.bits.length === 1);
  const open = all.filter((l) => l.bits.length > 1);
  const fixedBits = Object.fromEntries(fixed.map((l) => [l.layer.name, l.bits[0]]));
  const bytesOf = (l: (typeof all)[number], bits: number): number => storedBytes(l.weights, l.layer.outChannels, bits, l.hasZeros);
  const mostBits = Object.fromEntries(open.map((l) => [l.layer.name, l.bits[l.bits.length - 1]]));
  const decidedBits = (policy: Policy): Record<string, number> => ({ ...mostBits, ...fixedBits, ...policy.bits });
  const cost = (policy: Policy): ModelCost => {
    const { layers: _, ...total } = countCosts(model, inferred, decidedBits(policy));
    return total;
  };
  if (open.length === 0) {
    return { best: undefined, end: 'complete', scorings: 0, completePolicies: 0, updates: 0, bits: fixedBits };
  }

  const rest = cost({ ...pruned, bits: {} }).weightBytes - open.reduce((a, l) => a + bytesOf(l, mostBits[l.layer.name]), 0);
  const ceiling =
    config.goal.bytes === undefined
      ? open.reduce((a, l) => a + bytesOf(l, 0) + (l.weights * config.quantization.averageBits) / 8, 0)
      : absoluteBudget(config.goal.bytes, prepared.costs.weightBytes) - rest;
  const least = open.reduce((a, l) => a + bytesOf(l, l.bits[0]), 0);
  if (least > ceiling) {
    throw new UserError(
      `goal.bytes: ${Math.round(ceiling + rest)} bytes cannot be reached; the fewest bits allowed still need ${Math.round(least + rest)}`,
      'Raise the budget, lower "quantization.minBits", or allow fewer bits for the first and last layer.',
    );
  }

  const tuning = await bitTuningFor(config, prepared);
  const pool = createActorPool(
    {
      model: modelBytes(model),
      scoring: prepared.data.search,
      calibration: prepared.data.calibration,
      pruning: { selection: config.pruning.selection, reconstruct: false, positions: 1, seed: config.seed },
      tuning,
    },
    config.search.actors,
    context.threads?.actor,
  );
  const definition = bitStage({
    config,
    layers: open.map((l, i) => ({
      name: l.layer.name,
      bits: l.bits,
      bytes: (b) => bytesOf(l, b),
      features: layerFeatures(l.layer, i),
    })),
    ceiling,
    rest,
    decided: { ...pruned, bits: fixedBits },
    cost,
    measure: async (policy, partial, actor) => {
      const { accuracy } = await pool.run({ kind: 'quantize', bits: decidedBits(policy), tune: !partial }, actor);
      return accuracy!;
    },
    keep: async (candidate, path) => {
      const { model: written } = await pool.run(
        { kind: 'export', bits: decidedBits(candidate.policy) },
        candidate.episode % config.search.actors,
      );
      writeFileAtomic(path, written!);
    },
  });
  try {
    const result = await searchStage(context, definition);
    // Complete policies alone are tuned.
    const trainingSteps = result.completePolicies * (tuning?.batches.length ?? 0);
    return { ...result, trainingSteps, bits: result.best?.policy.bits ?? { ...fixedBits, ...mostBits } };
  } finally {
    await pool.dispose();
  }
}

const weightCount = (model: Model, layer: Layer): number => model.graph.initializers.get(layer.weight)!.size;
const hasZeros = (model: Model, layer: Layer): boolean => model.graph.initializers.get(layer.weight)!.floats().includes(0);
