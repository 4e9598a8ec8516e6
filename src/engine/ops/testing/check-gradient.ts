/**
 * Test support: an operator's backward pass against finite differences of its forward pass, both run by onnxruntime.
 *
 * The loss is the sum of all float outputs weighted by fixed random numbers R, so its gradient by an output is R itself. For every
 * float input that is no constant, the derivative along several random directions is compared with a five-point difference
 * (error of order step⁴, so a step large enough for float32 stays accurate). Inputs whose operator has kinks (Relu, MaxPool) need
 * data that keeps clear of them by a few steps.
 */
import * as ort from 'onnxruntime-node';
import type { Node } from '../../onnx/model';
import { elementCount, isFloat, Tensor } from '../../onnx/tensor';
import { Random } from '../../random';
import type { GraphBuilder, Value } from '../builder';
import type { InputGradients, OutputGradients } from '../operator';
import { type NodeCase, placeInputs, type SingleNode, tensorFeeds, withSession } from './single-node';

export interface GradientCase extends NodeCase {
  /** Allowed difference, relative to the gradient's length; 2e-3 where absent. */
  readonly tolerance?: number;
  /** Step of the differences, per element of a standard normal direction; 0.01 where absent. */
  readonly step?: number;
  /** Directions tried for each input; 4 where absent. */
  readonly probes?: number;
  /** Checks the operator's `training` form in place of `gradient`. */
  readonly training?: boolean;
  /**
   * Puts a node of an older operator set (`opset`) in the form of the graph's own, which is the builder's: as training graphs do with
   * nodes of older models.
   */
  readonly carry?: (
    b: GraphBuilder,
    node: Node,
    inputs: ReadonlyArray<Value | undefined>,
    opset: number,
  ) => { readonly node: Node; readonly inputs: ReadonlyArray<Value | undefined> };
}

export interface GradientCheck {
  /** Values of the node's outputs (of the training form's, where that was checked). */
  readonly outputs: readonly Float32Array[];
  /** The operator's gradient by input name. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /** Largest difference found, relative to the gradient's length. */
  readonly worst: number;
  /** What the training form reported: batch statistics with their momentum, by the running value's name. */
  readonly statistics: ReadonlyMap<string, { momentum: number; batch: Float32Array }>;
}

const FLOAT32_EPSILON = 2 ** -23;

/** @throws Error naming the input whose gradient is missing, misshapen or wrong */
export async function checkGradient(test: GradientCase): Promise<GradientCheck> {
  const graph = buildGraph(test);
  const { model, wanted, lossWeights, statistics, single } = graph;
  return withSession(model, async (session) => {
    const base = await session.run(tensorFeeds(single.feeds));
    const outputs = graph.outputs.map((v) => base[v.name].data as Float32Array);
    for (const v of graph.outputs) sameShape(v.name, base[v.name].dims, v.shape);
    const gradients = new Map<string, Float32Array>();
    for (const name of wanted) {
      const gradient = base[`gradient_${name}`];
      sameShape(`gradient of '${name}'`, gradient.dims, single.feeds.get(name)!.shape);
      gradients.set(name, gradient.data as Float32Array);
    }

    const random = new Random(test.seed ?? 1).fork('directions');
    const forward = graph.outputs.filter((v) => lossWeights.has(v.name)).map((v) => v.name);
    const step = test.step ?? 0.01;
    const tolerance = test.tolerance ?? 2e-3;
    let worst = 0;
    for (const [name, gradient] of gradients) {
      const at = single.feeds.get(name)!;
      const length = Math.hypot(...gradient);
      // What rounding alone can do to a difference of two losses: it must not count as an error where the gradient is tiny.
      const noise = (4 * FLOAT32_EPSILON * weightedSize(forward, base, lossWeights)) / step;
      for (let probe = 0; probe < (test.probes ?? 4); probe++) {
        const direction = Float32Array.from(gradient, () => random.normal());
        /** The weighted outputs at `times` steps along the direction, less those at `-times`, summed in double precision. */
        const difference = async (times: number): Promise<number> => {
          const run = async (sign: number): Promise<ort.InferenceSession.ReturnType> => {
            const data = at.data.map((x, i) => x + sign * times * step * direction[i]);
            return session.run({ ...tensorFeeds(single.feeds), [name]: new ort.Tensor('float32', data, at.shape) }, forward);
          };
          const [plus, minus] = [await run(1), await run(-1)];
          let sum = 0;
          for (const [output, weights] of lossWeights) {
            const [p, m] = [plus[output].data as Float32Array, minus[output].data as Float32Array];
            for (let i = 0; i < weights.length; i++) sum += weights[i] * (p[i] - m[i]);
          }
          return sum;
        };
        const numeric = (8 * (await difference(1)) - (await difference(2))) / (12 * step);
        const analytic = gradient.reduce((sum, g, i) => sum + g * direction[i], 0);
        const error = Math.abs(numeric - analytic);
        worst = Math.max(worst, error / Math.max(length, 1e-12));
        if (!(error <= tolerance * length + noise)) {
          throw new Error(
            `${test.opType}: the gradient of '${name}' along a random direction is ${analytic}, by finite differences ${numeric}` +
              ` (gradient's length ${length}, allowed ${tolerance * length + noise})`,
          );
        }
      }
    }
    const reported = [...statistics].map(
      ([running, { output, momentum }]) => [running, { momentum, batch: base[output].data as Float32Array }] as const,
    );
    return { outputs, gradients, worst, statistics: new Map(reported) };
  });
}

/** Length of the vector weight × output: the scale of the loss's rounding errors, which are independent. */
function weightedSize(
  names: readonly string[],
  values: ort.InferenceSession.ReturnType,
  weights: ReadonlyMap<string, Float32Array>,
): number {
  let sum = 0;
  for (const name of names) {
    const w = weights.get(name)!;
    const y = values[name].data as Float32Array;
    for (let i = 0; i < w.length; i++) sum += (w[i] * y[i]) ** 2;
  }
  return Math.sqrt(sum);
}

interface CheckGraph {
  readonly single: SingleNode;
  readonly model: ReturnType<SingleNode['b']['build']>;
  readonly outputs: readonly Value[];
  /** Names of the inputs whose gradients are outputs `gradient_<name>`. */
  readonly wanted: readonly string[];
  /** R, by output name. */
  readonly lossWeights: ReadonlyMap<string, Float32Array>;
  readonly statistics: ReadonlyMap<string, { output: string; momentum: number }>;
}

function buildGraph(test: GradientCase): CheckGraph {
  const single = placeInputs(test.carry ? { ...test, opset: undefined } : test);
  const { b, operator, node, inputs, feeds, constants } = single;
  const opset = test.opset ?? b.opset;
  const wants = (i: number): boolean => inputs[i] !== undefined && feeds.has(inputs[i].name);
  const statistics = new Map<string, { output: string; momentum: number }>();
  const random = new Random(test.seed ?? 1).fork('loss weights');

  let outputs: readonly Value[];
  let backward: (gradients: OutputGradients) => InputGradients;
  if (test.training) {
    if (!operator.training) throw new Error(`${test.opType} has no training form`);
    const form = operator.training({
      node,
      opset,
      b,
      inputs,
      wants,
      statistic(running, batch, momentum) {
        const output = `statistic_${running}`;
        b.output(batch, output);
        statistics.set(running, { output, momentum });
      },
      // Fixed draws: the differences must see the same ones in every run.
      random: (kind, shape) =>
        b.floats(
          b.fresh('draws'),
          shape,
          Float32Array.from({ length: elementCount(shape) }, () => (kind === 'uniform' ? random.uniform() : random.normal())),
        ),
    });
    outputs = form.outputs;
    backward = (gradients) => form.backward(gradients);
  } else {
    const types = operator.infer({
      node,
      opset,
      inputs: inputs.map((v) => v && { type: v.type, shape: v.shape, value: constants.get(v.name) }),
    });
    const adopted = b.adopt(test.carry ? test.carry(b, node, inputs, opset).node : node, types.slice(0, node.outputs.length));
    outputs = adopted;
    backward = (gradients) => {
      if (!operator.gradient) throw new Error(`${test.opType} has no gradient`);
      return operator.gradient({ node, opset, b, inputs, outputs: adopted, wants }, gradients);
    };
  }

  const lossWeights = new Map<string, Float32Array>();
  const outputGradients = outputs.map((v) => {
    b.output(v);
    if (!isFloat(v.type)) return undefined;
    const weights = Float32Array.from({ length: elementCount(v.shape) }, () => random.normal());
    lossWeights.set(v.name, weights);
    return b.constant(Tensor.float32(b.fresh('loss_weights'), v.shape, weights));
  });
  const gradients = backward(outputGradients);
  const wanted: string[] = [];
  inputs.forEach((input, i) => {
    if (!input || !wants(i)) return;
    const gradient = gradients[i];
    if (!gradient) throw new Error(`${test.opType} gives no gradient for its input '${input.name}'`);
    sameShape(`gradient of '${input.name}'`, gradient.shape, input.shape);
    b.output(gradient, `gradient_${input.name}`);
    wanted.push(input.name);
  });
  return { single, model: b.build(), outputs, wanted, lossWeights, statistics };
}

function sameShape(what: string, actual: readonly number[], expected: readonly number[]): void {
  if (actual.length !== expected.length || actual.some((d, i) => d !== expected[i]))
    throw new Error(`${what} has the shape [${actual}] where [${expected}] belongs`);
}
