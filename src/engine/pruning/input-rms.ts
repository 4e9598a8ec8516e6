/** Root mean square of every input channel of a layer over calibration inputs. */
import type { Layer } from '../graph/layers';
import { type Model, withGraph } from '../onnx/model';
import { scoringSignature } from '../runtime/evaluate';
import { feedsOf, type SampleLayout } from '../runtime/feeds';
import { Session, type SessionOptions } from '../runtime/onnxruntime';

const BATCH = 50;

/** @returns by layer name, one value an input channel (feature, for linear layers) */
export async function inputRms(
  model: Model,
  layers: readonly Layer[],
  samples: SampleLayout & { readonly inputs: Float32Array; readonly count: number },
  options: SessionOptions = {},
): Promise<Map<string, Float32Array>> {
  const { inputs } = scoringSignature(model);
  const values = [...new Set(layers.map((l) => l.input))].filter((v) => !inputs.some((i) => i.name === v));
  const outputs = new Set(model.graph.outputs.map((o) => o.name));
  const probe = withGraph(model, {
    outputs: [...model.graph.outputs, ...values.filter((v) => !outputs.has(v)).map((name) => ({ name, type: 'float32' as const }))],
  });
  const session = await Session.create(probe, options);
  const sums = new Map(layers.map((l) => [l.name, { squares: new Float64Array(l.inChannels), count: 0 }]));
  try {
    const size = samples.inputs.length / samples.count;
    for (let from = 0; from < samples.count; from += BATCH) {
      const rows = Math.min(BATCH, samples.count - from);
      const feeds = feedsOf(inputs, samples, samples.inputs.subarray(from * size, (from + rows) * size), rows);
      const result = values.length > 0 ? await session.run(feeds, values) : {};
      for (const layer of layers) {
        const value = feeds[layer.input] ?? result[layer.input];
        const channels = layer.inChannels;
        // Convolutions have channels on axis 1, linear and recurrent layers on the last.
        const inner = layer.kind === 'linear' || layer.kind === 'recurrent' ? 1 : value.shape.slice(2).reduce((a, d) => a * d, 1);
        const sum = sums.get(layer.name)!;
        const data = value.data as Float32Array;
        for (let i = 0; i < data.length; i++) sum.squares[Math.floor(i / inner) % channels] += data[i] * data[i];
        sum.count += data.length / channels;
      }
    }
  } finally {
    await session.release();
  }
  return new Map([...sums].map(([name, { squares, count }]) => [name, Float32Array.from(squares, (s) => Math.sqrt(s / count))]));
}
