/** Straight-through fine-tuning of a quantised model over epochs; its result lies exactly on the codes that are written. */
import type { Model } from '../onnx/model';
import { type BatchSource, type FitOptions, fitModel } from '../training/fit';
import { trainedOutputs } from '../training/hints';
import { ancestors } from '../training/logits';
import { type QuantizedLayer, quantizersOf, requantize, withDequantizedWeights } from './quantized-layer';
import { channelLayout, largestCode, mseClip } from './quantizers';

export interface TunedQuantization {
  /** Float weights on the grid of the codes. */
  readonly model: Model;
  readonly layers: readonly QuantizedLayer[];
}

/**
 * Fine-tunes at fixed bits. Scales follow the weights once an epoch (the clip that minimises the squared error then), except after
 * the last one, so that the weights end on the scales they were trained with.
 */
export async function tuneQuantized(
  model: Model,
  layers: readonly QuantizedLayer[],
  source: BatchSource,
  options: Omit<FitOptions, 'quantizers' | 'onEpoch' | 'onResume'>,
): Promise<TunedQuantization> {
  // Layers that only lead to an output that is not trained towards keep their rounded weights.
  const [first, ...others] = trainedOutputs(model);
  const reached = new Set(
    ancestors(model, options.hints && options.teachers?.length ? [first, ...others] : [first]).flatMap((n) => n.inputs),
  );
  const tuned = layers.filter((l) => reached.has(l.layer.weight));
  const quantizers = quantizersOf(tuned);
  const scales = new Map([...quantizers].map(([name, q]) => [name, Float32Array.from(q.scales)]));
  const result = await fitModel(model, source, {
    ...options,
    quantizers,
    ...(options.onDiverged && {
      onDiverged: (reason) => {
        for (const [name, own] of scales) own.set(quantizers.get(name)!.scales);
        options.onDiverged?.(reason);
      },
    }),
    onResume: (trainer) => {
      for (const [name, own] of scales) own.set(trainer.scales(name));
    },
    onEpoch: (trainer, epoch) => {
      if (epoch >= options.epochs - 1) return;
      for (const { layer, weights } of tuned) {
        const own = scales.get(layer.weight)!;
        const dims = model.graph.initializers.get(layer.weight)!.dims;
        refreshScales(trainer.parameter(layer.weight), dims, layer.outAxis, weights.bits, own);
        trainer.setScales(layer.weight, own);
      }
    },
  });
  const codes = requantize(
    result.model,
    layers.map((l) => ({ ...l, weights: { ...l.weights, scales: scales.get(l.layer.weight) ?? l.weights.scales } })),
  );
  return { model: withDequantizedWeights(result.model, codes), layers: codes };
}

function refreshScales(weights: Float32Array, dims: readonly number[], axis: number, bits: number, scales: Float32Array): void {
  const layout = channelLayout(dims, axis);
  const q = largestCode(bits);
  for (let c = 0; c < layout.channels; c++) {
    const values: number[] = [];
    layout.forEach(c, (i) => {
      if (bits > 1 || weights[i] !== 0) values.push(weights[i]);
    });
    if (bits === 1) {
      scales[c] = values.reduce((a, v) => a + Math.abs(v), 0) / Math.max(1, values.length) || scales[c];
      continue;
    }
    const clip = mseClip(Float64Array.from(values), q);
    if (clip > 0) scales[c] = clip / q;
  }
}
