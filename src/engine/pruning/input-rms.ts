/** Root mean square of every input channel of a layer over calibration inputs. */
import type { Layer } from '../graph/layers';
import { type Model, withGraph } from '../onnx/model';
import { scoringSignature } from '../runtime/evaluate';
import { floatTensor, Session, type SessionOptions } from '../runtime/onnxruntime';

const BATCH = 50;

/** @returns by layer name, one value an input channel (feature, for linear layers) */
export async function inputRms(
  model: Model,
  layers: readonly Layer[],
  samples: { readonly inputs: Float32Array; readonly shape: readonly number[]; readonly count: number },
  options: SessionOptions = {},
): Promise<Map<string, Float32Array>> {
  const { input } = scoringSignature(model);
  const values = [...new Set(layers.map((l) => l.node.inputs[0]))].filter((v) => v !== input.name);
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
      const fed = floatTensor(samples.inputs.subarray(from * size, (from + rows) * size), [rows, ...samples.shape]);
      const result = values.length > 0 ? await session.run({ [input.name]: fed }, values) : {};
      for (const layer of layers) {
        const value = layer.node.inputs[0] === input.name ? fed : result[layer.node.inputs[0]];
        const channels = layer.inChannels;
        // Convolutions have channels on axis 1, linear layers on the last.
        const inner = layer.kind === 'linear' ? 1 : value.shape.slice(2).reduce((a, d) => a * d, 1);
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
