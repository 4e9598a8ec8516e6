/**
 * Information dropout (Achille, Soatto 2018, "Information Dropout: learning optimal representations through noisy computation", §4–5).
 *
 * The activation of each chosen layer is z = f(x) ⊙ ε with ε ~ logNormal(−α(x)²/2, α(x)²), so E[ε] = 1; α(x) = α_max · sigmoid(map(x)),
 * where the map is the layer's own: a 1×1 convolution of the layer's input at the centre of each window, or a linear map. The loss gains
 * β times the mean over the batch of Σ KL(p(z|x) ‖ q(z)):
 * - f = softplus, prior logNormal(μ, σ²), both learned: KL = (α² + (log f − α²/2 − μ)²)/(2σ²) − log(α/σ) − 1/2
 * - f = ReLU, log-uniform prior: KL = −log(α/α_max) where f > 0, 0 elsewhere (up to a constant)
 * When evaluating, ε = 1: the trained model is the plain network. Units whose noise is large carry little that the task needs: log-normal
 * noise matched to dropout by its ratio of variance to squared mean, about ᾱ², gives the drop probability p = 1 − exp(−ᾱ²).
 */
import { UserError } from '../errors';
import { attr, type Model, type Node } from '../onnx/model';
import type { Value } from '../ops/builder';
import type { Random } from '../random';
import { type BatchSource, type FitOptions, type FitResult, fitModel } from './fit';
import type { Tape } from './tape';
import type { TransformContext, ValueTransform } from './training-graph';

export interface InformationDropoutOptions {
  /** Names of the convolutions and linear layers whose activations get noise. */
  readonly layers: readonly string[];
  /** Weight of the information term, ≥ 0; default 1e-3. */
  readonly beta?: number;
  /** Largest α, in (0, 1]; default 0.7: beyond it the noise drowns the gradient. */
  readonly alphaMax?: number;
}

export type Activation = 'relu' | 'softplus';

/** A layer and the value its noise multiplies. */
export interface NoiseSite {
  readonly layer: Node;
  readonly activation: Activation;
  /** Name of the activation's output. */
  readonly value: string;
}

const PASSES = new Set(['BatchNormalization', 'Add', 'Identity', 'Dropout', 'Reshape']);

/**
 * The activation that follows a layer: ReLU (ReLU6 as well) or softplus, behind normalisation, biases and sums.
 * @throws UserError naming the layer where there is none
 */
export function noiseSite(model: Model, layerName: string): NoiseSite {
  const { nodes } = model.graph;
  const layer = nodes.find((n) => n.name === layerName || n.outputs[0] === layerName);
  if (!layer) throw new UserError(`there is no layer '${layerName}' in the model`);
  if (!['Conv', 'Gemm', 'MatMul'].includes(layer.opType))
    throw new UserError(`information dropout needs a convolution or linear layer, and '${layerName}' is a ${layer.opType}`);
  let value = layer.outputs[0];
  for (;;) {
    const users = nodes.filter((n) => n.inputs.includes(value));
    const [user] = users;
    if (users.length === 1 && (user.opType === 'Relu' || user.opType === 'Clip'))
      return { layer, activation: 'relu', value: user.outputs[0] };
    if (users.length === 1 && user.opType === 'Softplus') return { layer, activation: 'softplus', value: user.outputs[0] };
    if (users.length !== 1 || !PASSES.has(user.opType)) {
      throw new UserError(
        `layer '${layerName}' has no ReLU or softplus of its own after it, which information dropout needs`,
        'Leave the layer out, or choose another criterion for it.',
      );
    }
    value = user.outputs[0];
  }
}

/** Names under which a layer's own parameters and its mean noise appear in the trainer. */
export const noiseNames = (layer: string) => ({
  weight: `noise of ${layer}: weight`,
  bias: `noise of ${layer}: bias`,
  priorMean: `noise of ${layer}: prior mean`,
  priorLogDeviation: `noise of ${layer}: log of prior deviation`,
  alpha: `noise of ${layer}: mean alpha`,
});

/** Transforms of the training graph that add noise and information terms, by value. @throws UserError where a layer cannot have noise */
export function informationDropout(model: Model, options: InformationDropoutOptions): Map<string, ValueTransform> {
  const { layers, beta = 1e-3, alphaMax = 0.7 } = options;
  if (!(beta >= 0)) throw new RangeError(`beta must be 0 or more, not ${beta}`);
  if (!(alphaMax > 0 && alphaMax <= 1)) throw new RangeError(`alphaMax must be in (0, 1], not ${alphaMax}`);
  const transforms = new Map<string, ValueTransform>();
  for (const name of layers) {
    const site = noiseSite(model, name);
    if (transforms.has(site.value)) throw new UserError(`layer '${name}' shares its activation with another layer of information dropout`);
    transforms.set(site.value, (context, f) => noisy(context, f, site, name, beta, alphaMax));
  }
  return transforms;
}

/** α never falls below this share of α_max: where the sigmoid underflows, log α and its gradient would no longer be numbers. */
const LEAST_SHARE = 1e-3;

function noisy(context: TransformContext, f: Value, site: NoiseSite, name: string, beta: number, alphaMax: number): Value {
  const { tape } = context;
  const { b } = tape;
  const names = noiseNames(name);
  const open = tape.op('Sigmoid', [ownMap(context, f, site, name)]);
  const share = tape.op('Add', [tape.op('Mul', [open, b.scalar(1 - LEAST_SHARE)]), b.scalar(LEAST_SHARE)]);
  const alpha = tape.op('Mul', [share, b.scalar(alphaMax)]);
  const variance = tape.op('Mul', [alpha, alpha]);
  const half = tape.op('Mul', [variance, b.scalar(0.5)]);
  const logNoise = tape.op('Sub', [tape.op('Mul', [alpha, context.random('normal', f.shape)]), half]);
  const z = tape.op('Mul', [f, tape.op('Exp', [logNoise])]);
  if (beta > 0) {
    const kl = site.activation === 'relu' ? klLogUniform(tape, f, alpha, alphaMax) : klLogNormal(context, f, alpha, variance, half, names);
    context.addLoss(tape.op('Mul', [sum(tape, kl), b.scalar(beta / f.shape[0])]));
  }
  const others = f.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  const count = f.shape.reduce((a, d, axis) => (axis === 1 ? a : a * d), 1);
  const total = b.op('ReduceSum', [alpha, b.ints(others)], { keepdims: 0 }, { types: [{ type: 'float32', shape: [f.shape[1]] }] });
  context.observe(names.alpha, tape.op('Mul', [total, b.scalar(1 / count)]));
  return z;
}

const sum = (tape: Tape, x: Value): Value => tape.op('ReduceSum', [x, tape.b.ints(x.shape.map((_, axis) => axis))], { keepdims: 0 });

/** −log(α/α_max) where f > 0: never below 0, and 0 where the noise is as large as it may be. */
function klLogUniform(tape: Tape, f: Value, alpha: Value, alphaMax: number): Value {
  const { b } = tape;
  const relative = tape.op('Log', [tape.op('Mul', [alpha, b.scalar(1 / alphaMax)])]);
  const active = b.op('HardSigmoid', [f], { alpha: { float: 1e30 }, beta: { float: 0 } }, { types: [f] });
  return tape.op('Mul', [tape.op('Mul', [relative, b.scalar(-1)]), active]);
}

function klLogNormal(
  context: TransformContext,
  f: Value,
  alpha: Value,
  variance: Value,
  half: Value,
  names: ReturnType<typeof noiseNames>,
): Value {
  const { tape } = context;
  const { b } = tape;
  const mean = context.parameter(names.priorMean, [1], new Float32Array(1));
  const logDeviation = context.parameter(names.priorLogDeviation, [1], new Float32Array(1));
  // Softplus underflows to 0 far below zero; its logarithm must stay finite.
  const logF = tape.op('Log', [tape.op('Add', [f, b.scalar(1e-7)])]);
  const d = tape.op('Sub', [tape.op('Sub', [logF, half]), mean]);
  const precision = tape.op('Exp', [tape.op('Mul', [logDeviation, b.scalar(-2)])]);
  const spread = tape.op('Mul', [tape.op('Add', [variance, tape.op('Mul', [d, d])]), tape.op('Mul', [precision, b.scalar(0.5)])]);
  const logRatio = tape.op('Sub', [tape.op('Log', [alpha]), logDeviation]);
  return tape.op('Sub', [tape.op('Sub', [spread, logRatio]), b.scalar(0.5)]);
}

/** The layer's own linear map of its input, of the activation's shape. Weights start at 0, so that all noise starts at α_max/2. */
function ownMap(context: TransformContext, f: Value, { layer }: NoiseSite, name: string): Value {
  const { tape } = context;
  const x = context.value(layer.inputs[0]);
  const names = noiseNames(name);
  const units = f.shape[1];
  const bias = context.parameter(names.bias, [units], new Float32Array(units));
  if (layer.opType !== 'Conv') {
    if (x.shape.length !== 2 || f.shape.length !== 2 || attr.int(layer, 'transA', 0) === 1)
      throw new UserError(`information dropout needs a plain linear layer, and '${name}' works on shape [${x.shape.join(', ')}]`);
    const weight = context.parameter(names.weight, [units, x.shape[1]], new Float32Array(units * x.shape[1]), true);
    return tape.op('Gemm', [x, weight, bias], { transB: 1 });
  }
  const channels = x.shape[1];
  const spatial = x.shape.slice(2);
  const ones = spatial.map(() => 1);
  const weight = context.parameter(names.weight, [units, channels, ...ones], new Float32Array(units * channels), true);
  return tape.op('Conv', [centres(context, x, f, layer), weight, bias], { kernel_shape: ones });
}

/** The input element at the centre of each of the layer's windows. */
function centres({ tape, value }: TransformContext, x: Value, f: Value, layer: Node): Value {
  const { b } = tape;
  const rank = x.shape.length - 2;
  const kernel = value(layer.inputs[1]).shape.slice(2);
  const strides = attr.ints(layer, 'strides') ?? kernel.map(() => 1);
  const dilations = attr.ints(layer, 'dilations') ?? kernel.map(() => 1);
  const given = attr.ints(layer, 'pads');
  const outputs = f.shape.slice(2);
  const starts = kernel.map((k, i) => {
    const reach = (k - 1) * dilations[i];
    // auto_pad: whatever padding makes the lengths fit, the smaller half before.
    const padding = given ? given[i] : Math.max(0, Math.floor(((outputs[i] - 1) * strides[i] + reach + 1 - x.shape[2 + i]) / 2));
    return Math.floor(reach / 2) - padding;
  });
  const ends = starts.map((s, i) => s + strides[i] * (outputs[i] - 1) + 1);
  const before = starts.map((s) => Math.max(0, -s));
  const after = ends.map((e, i) => Math.max(0, e - x.shape[2 + i]));
  const padded = [...before, ...after].some((p) => p > 0) ? tape.op('Pad', [x, b.ints([0, 0, ...before, 0, 0, ...after])]) : x;
  const from = starts.map((s, i) => s + before[i]);
  const axes = Array.from({ length: rank }, (_, i) => 2 + i);
  const whole = from.every((s, i) => s === 0 && strides[i] === 1 && padded.shape[2 + i] === outputs[i]);
  if (whole) return padded;
  return tape.op('Slice', [padded, b.ints(from), b.ints(ends.map((e, i) => e + before[i])), b.ints(axes), b.ints(strides)]);
}

/** Drop probability of a unit from its mean noise: p = 1 − exp(−ᾱ²). */
export const dropProbability = (meanAlpha: number): number => 1 - Math.exp(-meanAlpha * meanAlpha);

export interface LayerNoise {
  readonly layer: string;
  /** ᾱ of each output unit: mean of α over positions and the samples of the last epoch. */
  readonly alpha: Float32Array;
  /** p of each output unit. */
  readonly dropProbability: Float32Array;
}

/**
 * Fine-tunes with information dropout.
 * @param options.random seeds the noise
 * @returns the plain network with its new weights, and what the noise says about each unit
 */
export async function trainWithInformationDropout(
  model: Model,
  source: BatchSource,
  options: FitOptions & { readonly random: Random; readonly noise: InformationDropoutOptions },
): Promise<FitResult & { readonly noise: readonly LayerNoise[] }> {
  const { noise } = options;
  const sums = new Map(noise.layers.map((layer) => [layer, { total: new Float64Array(0), count: 0 }]));
  const result = await fitModel(model, source, {
    ...options,
    transforms: informationDropout(model, noise),
    onStep(trainer, epoch) {
      options.onStep?.(trainer, epoch);
      if (epoch < options.epochs - 1) return;
      for (const [layer, sum] of sums) {
        const alpha = trainer.observed(noiseNames(layer).alpha);
        if (sum.count === 0) sum.total = new Float64Array(alpha.length);
        for (let j = 0; j < alpha.length; j++) sum.total[j] += alpha[j];
        sum.count++;
      }
    },
  });
  const measured = [...sums].map(([layer, { total, count }]): LayerNoise => {
    const alpha = Float32Array.from(total, (v) => v / count);
    return { layer, alpha, dropProbability: alpha.map(dropProbability) };
  });
  return { ...result, noise: measured };
}
