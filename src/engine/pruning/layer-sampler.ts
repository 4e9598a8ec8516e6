/** What layers read in the current model and answer in the original one, at places drawn once: what they are rebuilt from. */
import { type Inferred, inferTypes } from '../graph/infer';
import type { Model } from '../onnx/model';
import { elementCount, type Tensor } from '../onnx/tensor';
import type { Random } from '../random';
import type { SampleLayout } from '../runtime/feeds';
import type { RuntimeTensor } from '../runtime/onnxruntime';
import {
  type ActivationShape,
  activationShape,
  columnsPerChannel,
  drawPositions,
  type MomentEngine,
  type Positions,
  SampleMatrix,
  sampleOutputs,
  samplePatches,
} from './gram';
import type { PruningWork } from './pruning-work';
import { type LayerSample, outputMap, type ReconstructionLayer, type ReconstructionPlan } from './reconstruct';
import { type Activation, runSegment, type SegmentOptions } from './segment';

/** Normalised model inputs on which layers are matched: training images, never those the result is measured on. */
export interface CalibrationInputs extends SampleLayout {
  /** [count, ...shape], float32; with `fields`, rows of their values. */
  readonly inputs: Float32Array;
  readonly count: number;
}

/** Rows that a layer is sampled at for each of its inputs, where its map has as many positions; with fewer its weights are kept near the present ones. */
export const ROWS_PER_COLUMN = 4;
/** Images run at a time, and bytes that the values they are matched on may take. */
const CHUNK = 125;
const CHUNK_BYTES = 512 * 2 ** 20;

/** Of one layer, in the current model. */
export interface SampledLayer {
  readonly sample: LayerSample;
  /** Positions along the layer's input and output axes that were there when it was sampled. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

interface Target {
  readonly positions: Positions;
  /** rows × outputs, of the original model. */
  readonly values: Float32Array;
}

export interface SamplerOptions extends SegmentOptions {
  /** Positions sampled in each image's output map, at least. */
  readonly positions: number;
}

export class LayerSampler {
  private readonly targets = new Map<string, Target>();

  /**
   * @param fed the model's inputs: all calibration samples
   * @param random draws the positions, once for each layer
   */
  constructor(
    private readonly original: Model,
    private readonly plan: ReconstructionPlan,
    private readonly fed: ReadonlyMap<string, Activation>,
    private readonly calibration: CalibrationInputs,
    private readonly engine: MomentEngine,
    private readonly random: Random,
    private readonly options: SamplerOptions,
  ) {}

  /** Samples layers of the current model: inputs as they are now, outputs as the original has them. @param cut values are kept at this node for what comes next */
  async sample(work: PruningWork, layers: readonly ReconstructionLayer[], cut: number): Promise<SampledLayer[]> {
    await this.computeTargets();
    const { count } = this.calibration;
    const pending = layers.map((layer) => {
      const inputs = work.keptAlong(layer.weight, layer.inAxis);
      const outputs = work.keptAlong(layer.weight, layer.outAxis);
      const { positions, values } = this.targets.get(layer.name)!;
      const rows = count * positions.perImage;
      const matrix = new SampleMatrix(rows, inputs.length * columnsPerChannel(layer.geometry), outputs.length);
      const target = new Float32Array(rows * outputs.length);
      for (let r = 0; r < rows; r++)
        for (let j = 0; j < outputs.length; j++) target[r * outputs.length + j] = values[r * layer.outputs + outputs[j]];
      const shortcut = layer.shortcut === undefined ? undefined : new Float32Array(rows * outputs.length);
      return { layer, inputs, outputs, positions, matrix, target, shortcut };
    });
    const wanted = [...new Set(layers.flatMap((l) => (l.shortcut === undefined ? [l.input] : [l.input, l.shortcut])))];
    await work.compute(wanted, cut, (first, values) => {
      for (const p of pending) {
        const input = values.get(p.layer.input)!;
        samplePatches(p.matrix, input.data as Float32Array, shapeOf(p.layer, input), p.layer.geometry, p.positions, first);
        if (p.shortcut) {
          const other = values.get(p.layer.shortcut!)!;
          sampleOutputs(p.shortcut, other.data as Float32Array, shapeOf(p.layer, other), p.layer.geometry.kind, p.positions, first);
        }
      }
    });
    const sampled: SampledLayer[] = [];
    for (const { layer, inputs, outputs, matrix, target, shortcut } of pending) {
      const n = outputs.length;
      const offset = layer.bias === undefined ? outputMap(layer, work.tensors, outputs).offset : undefined;
      for (let r = 0; r < matrix.rows; r++) {
        const to = r * matrix.width + matrix.columns + 1;
        for (let j = 0; j < n; j++) {
          const i = r * n + j;
          matrix.data[to + j] = target[i] - (shortcut ? shortcut[i] : 0) - (offset ? offset[j] : 0);
        }
      }
      const moments = await this.engine.moments(matrix, layer.bias !== undefined);
      // Without a constant term the fixed offset counts as part of the shortcut.
      const rest = offset ? addOffset(shortcut, offset, target.length) : shortcut;
      const sample: LayerSample = { matrix, moments, rectified: layer.rectified ? { target, shortcut: rest } : undefined };
      sampled.push({ sample, inputs, outputs });
    }
    return sampled;
  }

  /** The original's values at every target, once. */
  async computeTargets(): Promise<void> {
    if (this.targets.size > 0 || this.plan.layers.length === 0) return;
    const { count } = this.calibration;
    const wanted = [...new Set(this.plan.layers.map((l) => l.target))];
    await runSegment(this.original, this.fed, wanted, count, this.options, (first, values) => {
      for (const layer of this.plan.layers) {
        const value = values.get(layer.target)!;
        const shape = shapeOf(layer, value);
        let target = this.targets.get(layer.name);
        if (!target) {
          // A wide layer needs more rows than inputs, or its fit is to chance.
          const perImage = Math.max(this.options.positions, Math.ceil((ROWS_PER_COLUMN * this.columnsOf(layer)) / count));
          const positions = drawPositions(count, perImage, shape.height, shape.width, this.random.fork(layer.name));
          target = { positions, values: new Float32Array(count * positions.perImage * layer.outputs) };
          this.targets.set(layer.name, target);
        }
        sampleOutputs(target.values, value.data as Float32Array, shape, layer.geometry.kind, target.positions, first);
      }
    });
  }

  /** Inputs of a layer's rows, before anything is cut. */
  private columnsOf(layer: ReconstructionLayer): number {
    return this.original.graph.initializers.get(layer.weight)!.dims[layer.inAxis] * columnsPerChannel(layer.geometry);
  }
}

/** A layer's weights now, as seen at its target: sampled columns × outputs. */
export function sampledWeights(
  layer: ReconstructionLayer,
  tensors: ReadonlyMap<string, Tensor>,
  { inputs, outputs }: SampledLayer,
): Float64Array {
  const tensor = tensors.get(layer.weight)!;
  const data = tensor.floats();
  const kernel = tensor.dims.slice(2).reduce((a, b) => a * b, 1);
  const [strideOut, strideIn] = layer.outAxis === 0 ? [tensor.dims[1] * kernel, kernel] : [1, tensor.dims[1]];
  const { factor } = outputMap(layer, tensors, outputs);
  const weights = new Float64Array(inputs.length * kernel * outputs.length);
  inputs.forEach((c, i) => {
    for (let k = 0; k < kernel; k++)
      outputs.forEach((o, j) => {
        weights[(i * kernel + k) * outputs.length + j] = data[o * strideOut + c * strideIn + k] * factor[j];
      });
  });
  return weights;
}

/** Images run at a time: fewer where the values that layers are matched on are large. */
export const imagesAtATime = (model: Model, inferred: Inferred, plan: ReconstructionPlan): number =>
  Math.max(1, Math.min(CHUNK, Math.floor(CHUNK_BYTES / bytesPerImage(model, inferred, plan))));

/** Bytes of the values that layers are matched on, of one image: all of them are computed in one run. */
function bytesPerImage(model: Model, inferred: Inferred, plan: ReconstructionPlan): number {
  const batch = inferTypes(model, { batch: 1 });
  let bytes = 1;
  for (const target of new Set(plan.layers.map((l) => l.target))) {
    const shape = batch.types.get(target)?.shape ?? inferred.types.get(target)?.shape;
    bytes += 4 * elementCount((shape ?? []).map((d) => (typeof d === 'number' ? d : 1)));
  }
  return bytes;
}

function shapeOf(layer: ReconstructionLayer, value: RuntimeTensor): ActivationShape {
  const shape = activationShape(layer.geometry, value.shape);
  if (typeof shape === 'string') throw new Error(`layer '${layer.name}': ${shape}`);
  return shape;
}

function addOffset(values: Float32Array | undefined, offset: Float64Array, length: number): Float32Array {
  const out = values ? values.slice() : new Float32Array(length);
  for (let i = 0; i < length; i++) out[i] += offset[i % offset.length];
  return out;
}
