import { describe, expect, test } from 'vitest';
import type { AttributeValue } from '../onnx/model';
import { Random } from '../random';
import { GATES } from './recurrent-layout';
import { findOperator } from './registry';
import { checkChannels } from './testing/check-channels';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';
import { type InputCase, type NodeCase, placeInputs, tensorFeeds, withSession } from './testing/single-node';

interface Variant {
  readonly opType: 'LSTM' | 'GRU' | 'RNN';
  readonly name: string;
  readonly attributes?: Record<string, AttributeValue>;
  readonly directions?: number;
  readonly bias?: boolean;
  readonly states?: boolean;
  readonly peepholes?: boolean;
  /** A clip has kinks: differences need short steps, and inputs that keep clear of them. */
  readonly kinks?: { readonly step: number; readonly seed: number };
}

const [STEPS, SAMPLES, FEATURES, HIDDEN] = [5, 3, 4, 3];

function caseOf({ opType, attributes = {}, directions = 1, bias = true, states = false, peepholes = false }: Variant): NodeCase {
  const rows = GATES[opType] * HIDDEN;
  const state = [directions, SAMPLES, HIDDEN];
  const inputs: Array<InputCase | undefined> = [
    { name: 'X', shape: [STEPS, SAMPLES, FEATURES] },
    { name: 'W', shape: [directions, rows, FEATURES] },
    { name: 'R', shape: [directions, rows, HIDDEN] },
    bias ? { name: 'B', shape: [directions, 2 * rows] } : undefined,
    undefined,
    states ? { name: 'H0', shape: state } : undefined,
  ];
  if (opType === 'LSTM') inputs.push(states ? { name: 'C0', shape: state } : undefined);
  if (peepholes) inputs.push({ name: 'P', shape: [directions, 3 * HIDDEN] });
  while (inputs.at(-1) === undefined) inputs.pop();
  return { opType, inputs, outputs: opType === 'LSTM' ? 3 : 2, attributes: { hidden_size: HIDDEN, ...attributes } };
}

const both = { direction: 'bidirectional' };
const variants: readonly Variant[] = [
  { opType: 'LSTM', name: 'plain' },
  { opType: 'LSTM', name: 'without biases', bias: false },
  { opType: 'LSTM', name: 'reverse, from given states', attributes: { direction: 'reverse' }, states: true },
  { opType: 'LSTM', name: 'both directions', attributes: both, directions: 2, states: true },
  { opType: 'LSTM', name: 'peepholes', peepholes: true, states: true },
  { opType: 'LSTM', name: 'clip', attributes: { clip: { float: 0.7 } }, kinks: { step: 0.001, seed: 3 } },
  {
    opType: 'LSTM',
    name: 'other activations',
    attributes: {
      activations: ['HardSigmoid', 'Softsign', 'Elu'],
      activation_alpha: Float32Array.of(0.15, 0.8),
      activation_beta: Float32Array.of(0.4),
    },
  },
  { opType: 'GRU', name: 'plain' },
  { opType: 'GRU', name: 'linear before reset', attributes: { linear_before_reset: 1 }, states: true },
  { opType: 'GRU', name: 'linear before reset without biases', attributes: { linear_before_reset: 1 }, bias: false },
  { opType: 'GRU', name: 'both directions', attributes: both, directions: 2, states: true },
  { opType: 'GRU', name: 'reverse, clip', attributes: { direction: 'reverse', clip: { float: 0.7 } }, kinks: { step: 0.001, seed: 4 } },
  {
    opType: 'GRU',
    name: 'linear before reset, clip',
    attributes: { linear_before_reset: 1, clip: { float: 0.7 } },
    kinks: { step: 0.001, seed: 3 },
  },
  { opType: 'RNN', name: 'clip', attributes: { clip: { float: 0.7 } }, kinks: { step: 0.001, seed: 3 } },
  { opType: 'RNN', name: 'plain' },
  { opType: 'RNN', name: 'both directions', attributes: both, directions: 2, states: true },
  { opType: 'RNN', name: 'Softplus, reverse', attributes: { activations: ['Softplus'], direction: 'reverse' }, states: true },
  {
    opType: 'RNN',
    name: 'LeakyRelu, without biases',
    attributes: { activations: ['LeakyRelu'], activation_alpha: Float32Array.of(0.3) },
    bias: false,
  },
  { opType: 'RNN', name: 'Relu', attributes: { activations: ['Relu'] } },
];

/** What onnxruntime's own operator computes on the same inputs. */
async function reference(test: NodeCase): Promise<Float32Array[]> {
  const { b, node, operator, inputs, constants, feeds } = placeInputs(test);
  const types = operator.infer({
    node,
    opset: b.opset,
    inputs: inputs.map((v) => v && { type: v.type, shape: v.shape, value: constants.get(v.name) }),
  });
  const outputs = b.adopt(node, types);
  for (const o of outputs) b.output(o);
  return withSession(b.build(), async (session) => {
    const result = await session.run(tensorFeeds(feeds));
    return outputs.map((o) => result[o.name].data as Float32Array);
  });
}

describe.each(variants.map((v) => [`${v.opType}, ${v.name}`, v] as const))('%s', (_, variant) => {
  test('written out, computes what onnxruntime’s own operator computes, and has the right gradients', async () => {
    const test = { ...caseOf(variant), seed: variant.kinks?.seed };
    const { step = 0.004 } = variant.kinks ?? {};
    const { outputs } = await checkGradient({ ...test, training: true, step, probes: 3, tolerance: 5e-3 });
    const own = await reference(test);
    outputs.forEach((values, i) => {
      expect(Math.max(...values.map((v, at) => Math.abs(v - own[i][at])))).toBeLessThan(1e-5);
    });
  });
});

describe('samples first (layout 1), which onnxruntime’s kernels lack', () => {
  /** A tensor of axes [p, q, …] with both exchanged. */
  const exchanged = ({ name, shape: [p, q, ...rest], data }: InputCase): InputCase => {
    const inner = rest.reduce((a, d) => a * d, 1);
    const turned = new Float32Array(data!.length);
    for (let i = 0; i < p; i++)
      for (let j = 0; j < q; j++) for (let k = 0; k < inner; k++) turned[(j * p + i) * inner + k] = data![(i * q + j) * inner + k];
    return { name, shape: [q, p, ...rest], data: turned };
  };

  test.each(['LSTM', 'GRU', 'RNN'] as const)('%s gives what the other layout gives, and has the right gradients', async (opType) => {
    const random = new Random(8);
    const usual = caseOf({ opType, name: '', attributes: both, directions: 2, states: true });
    const inputs = usual.inputs.map(
      (i) => i && { ...i, data: Float32Array.from({ length: i.shape.reduce((a, d) => a * d, 1) }, () => random.normal()) },
    );
    const own = await reference({ ...usual, inputs });
    const turned = inputs.map((i) => (i && ['X', 'H0', 'C0'].includes(i.name) ? exchanged(i) : i));
    const { outputs } = await checkGradient({
      ...usual,
      inputs: turned,
      attributes: { ...usual.attributes, layout: 1 },
      training: true,
      step: 0.004,
      tolerance: 5e-3,
    });
    // Y is [N, S, D, H] where it was [S, D, N, H].
    const [steps, directions] = [STEPS, 2];
    for (let n = 0; n < SAMPLES; n++)
      for (let s = 0; s < steps; s++)
        for (let d = 0; d < directions; d++)
          for (let h = 0; h < HIDDEN; h++) {
            const [to, from] = [((n * steps + s) * directions + d) * HIDDEN + h, ((s * directions + d) * SAMPLES + n) * HIDDEN + h];
            expect(outputs[0][to]).toBeCloseTo(own[0][from], 5);
          }
    const last = exchanged({ name: 'Y_h', shape: [directions, SAMPLES, HIDDEN], data: own[1] });
    outputs[1].forEach((v, i) => {
      expect(v).toBeCloseTo(last.data![i], 5);
    });
  });
});

describe('shapes', () => {
  test.each(variants.map((v) => [`${v.opType}, ${v.name}`, v] as const))('%s', async (_, variant) => {
    const { outputs = 1, ...usual } = caseOf(variant);
    const directions = variant.directions ?? 1;
    const state = [directions, 'samples', HIDDEN];
    await checkInfer({
      ...usual,
      outputs,
      symbolic: { X: { 0: 'steps', 1: 'samples' }, H0: { 1: 'samples' }, C0: { 1: 'samples' } },
      expected: [['steps', directions, 'samples', HIDDEN], state, state].slice(0, outputs),
    });
  });

  test('samples first', () => {
    const { node } = placeInputs(caseOf({ opType: 'LSTM', name: '', attributes: { layout: 1 } }));
    const shapes = [
      ['samples', 7, FEATURES],
      [1, 4 * HIDDEN, FEATURES],
      [1, 4 * HIDDEN, HIDDEN],
    ];
    const outputs = findOperator('LSTM')!.infer({ node, opset: 17, inputs: shapes.map((shape) => ({ type: 'float32', shape })) });
    expect(outputs.map((o) => o.shape)).toEqual([
      ['samples', 7, 1, HIDDEN],
      ['samples', 1, HIDDEN],
      ['samples', 1, HIDDEN],
    ]);
  });

  test.each([
    ['the weight of another operator', { W: [1, 3 * HIDDEN, FEATURES] }, "its weight 'W' has the shape [1, 9, 4] where [1, 12, 4] belongs"],
    [
      'a recurrent weight of another width',
      { R: [1, 4 * HIDDEN, 2] },
      "its recurrent weight 'R' has the shape [1, 12, 2] where [1, 12, 3] belongs",
    ],
    ['the bias of one half', { B: [1, 4 * HIDDEN] }, "its bias 'B' has the shape [1, 12] where [1, 24] belongs"],
    ['no hidden units', { R: [1, 0, 0] }, 'it has 0 hidden units'],
    ['an input without steps', { X: [SAMPLES, FEATURES] }, "its input 'X' has the shape [3, 4], not [steps, samples, features]"],
  ])('refuses %s', (_, changed: Record<string, number[]>, message) => {
    // Where the attribute does not say, R does.
    const attributes: Record<string, AttributeValue> = changed['R']?.[2] === 0 ? { hidden_size: 0 } : {};
    const { node, inputs } = placeInputs(caseOf({ opType: 'LSTM', name: '', attributes }));
    const types = inputs.map((v) => v && { type: v.type, shape: changed[v.name] ?? v.shape });
    expect(() => findOperator('LSTM')!.infer({ node, opset: 17, inputs: types })).toThrow(message);
  });
});

describe('costs', () => {
  test('every row of W and R meets every step of every sample', () => {
    const { node, inputs } = placeInputs(caseOf({ opType: 'GRU', name: '', directions: 2, attributes: both }));
    const types = inputs.map((v) => v && { type: v.type, shape: v.shape });
    const perStep = 2 * 3 * HIDDEN * (FEATURES + HIDDEN);
    expect(findOperator('GRU')!.cost!({ node, opset: 17, inputs: types, outputs: [] })).toBe(STEPS * SAMPLES * perStep);
  });
});

describe('channels', () => {
  const weights = (test: NodeCase): NodeCase => ({
    ...test,
    inputs: test.inputs.map((i) => (i && !['X', 'H0', 'C0'].includes(i.name) ? { ...i, constant: true } : i)),
  });

  /** Draws for an input, zero at these positions of its last axis: what is removed there must not have counted. */
  const zeroedAt = (i: InputCase, positions: readonly number[], random: Random): InputCase => {
    const last = i.shape[i.shape.length - 1];
    const size = i.shape.reduce((a, d) => a * d, 1);
    return { ...i, data: Float32Array.from({ length: size }, (_, at) => (positions.includes(at % last) ? 0 : random.normal())) };
  };

  test.each(variants.map((v) => [`${v.opType}, ${v.name}`, v] as const))(
    '%s: a feature that is zero goes, the outputs stay',
    async (_, variant) => {
      const test = weights(caseOf({ ...variant, states: false }));
      const inputs = test.inputs.map((i) => (i?.name === 'X' ? zeroedAt(i, [1], new Random(2)) : i));
      const { roles, reasons } = await checkChannels({ ...test, inputs, carry: { X: [2] }, remove: [1] });
      expect(roles).toEqual(expect.arrayContaining(['1:1:producer', '1:2:consumer', '2:1:producer', '2:2:consumer']));
      expect(reasons).toEqual([]);
    },
  );

  const carried: ReadonlyArray<{ opType: Variant['opType']; carry: Record<string, readonly number[]> }> = [
    { opType: 'LSTM', carry: { H0: [2], C0: [2], X: [2] } },
    { opType: 'GRU', carry: { H0: [2], X: [2] } },
    { opType: 'RNN', carry: { H0: [2], X: [2] } },
  ];
  test.each(carried)('$opType: units whose columns in R are zero go from all gates and states', async ({ opType, carry }) => {
    const test = weights(caseOf({ opType, name: '', attributes: both, directions: 2, states: true }));
    const gone = [0, 2];
    const inputs = test.inputs.map((i) => (i?.name === 'R' ? zeroedAt(i, gone, new Random(4)) : i));
    const { reasons, outputs } = await checkChannels({ ...test, inputs, carry, remove: gone });
    expect(reasons).toEqual([]);
    expect(outputs[0][3]).toEqual(outputs[1][2]);
  });

  test('weights that are computed, or a state that carries none, keep the units, with the reason', async () => {
    const usual = caseOf({ opType: 'LSTM', name: '', states: true });
    const computed = await checkChannels({ ...usual, carry: { X: [2] } });
    expect(computed.reasons).toEqual(["LSTM 'output_0' computes its weights while it runs"]);
    const started = await checkChannels({ ...weights(usual), carry: { X: [2] } });
    expect(started.reasons).toEqual(["LSTM 'output_0' starts from a state whose channels cannot be removed"]);
  });
});

describe('what cannot be trained through is said', () => {
  const build = (test: NodeCase): void => {
    const { node, b, inputs } = placeInputs(test);
    findOperator(test.opType)!.gradient!({ node, b, opset: 17, inputs, outputs: [], wants: () => true }, []);
  };
  test.each([
    ['an unknown activation', { activations: ['Affine', 'Tanh', 'Tanh'] }, "LSTM 'output_0' uses the activation 'Affine'"],
    ['too few activations', { activations: ['Sigmoid'] }, "LSTM 'output_0' names 1 activations where 3 belong"],
    ['coupled gates', { input_forget: 1 }, "LSTM 'output_0' couples its input and forget gates"],
    ['an unknown direction', { direction: 'sideways' }, "it runs in the direction 'sideways'"],
  ])('%s', (_, attributes, message) => {
    expect(() => build(caseOf({ opType: 'LSTM', name: '', attributes }))).toThrow(message);
  });

  test('sequences too long to be written out', () => {
    const usual = caseOf({ opType: 'RNN', name: '' });
    const long = usual.inputs.map((i) => (i?.name === 'X' ? { ...i, shape: [2049, 1, FEATURES] } : i));
    expect(() => build({ ...usual, inputs: long })).toThrow("RNN 'output_0' runs over 2049 steps");
  });

  test('lengths of single samples, unless they are those of all', () => {
    const usual = caseOf({ opType: 'RNN', name: '' });
    const lengths = (data: number[]): InputCase => ({ name: 'lengths', shape: [SAMPLES], type: 'int32', data });
    const withLengths = (data: number[]): NodeCase => ({ ...usual, inputs: [...usual.inputs, lengths(data)] });
    expect(() => build(withLengths([STEPS, STEPS - 1, STEPS]))).toThrow("RNN 'output_0' gives samples lengths of their own");
    expect(() => build(withLengths([STEPS, STEPS, STEPS]))).not.toThrow();
  });
});
