import { expect, test } from 'vitest';
import type { AttributeValue } from '../onnx/model';
import { type ChannelCase, checkChannels } from './testing/check-channels';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

const weight = (name: string, shape: number[]) => ({ name, shape, constant: true });
const value = (name: string, ...shape: number[]) => ({ name, shape });

/** 3 heads of 2 over x [2, 4, 5]; values of 3 a head where `sizes` says so. */
const projecting = (attributes: Record<string, number | number[]> = {}, columns = 18, constant = false) => ({
  opType: 'Attention',
  domain: 'com.microsoft',
  attributes: { num_heads: 3, ...attributes },
  inputs: [value('X', 2, 4, 5), { ...value('W', 5, columns), constant }, { ...value('B', columns), constant }],
});
const sizes = { qkv_hidden_sizes: [6, 6, 9] };

/** 3 heads of 2; values of 3 a head; 4 queries see 5 keys. */
const multiHead = (bias: boolean, attributes: Record<string, AttributeValue> = {}) => ({
  opType: 'MultiHeadAttention',
  domain: 'com.microsoft',
  attributes: { num_heads: 3, ...attributes },
  inputs: [value('Q', 2, 4, 6), value('K', 2, 5, 6), value('V', 2, 5, 9), bias ? weight('B', [21]) : undefined],
});

const standard = (heads: [number, number], shapes: [number[], number[], number[]], attributes: Record<string, number> = {}) => ({
  opType: 'Attention',
  opset: 23,
  attributes: { ...(shapes[0].length === 3 && { q_num_heads: heads[0], kv_num_heads: heads[1] }), ...attributes },
  inputs: [value('Q', ...shapes[0]), value('K', ...shapes[1]), value('V', ...shapes[2])],
});
const flat = standard(
  [3, 3],
  [
    [2, 4, 6],
    [2, 5, 6],
    [2, 5, 9],
  ],
);
const apart = standard(
  [3, 3],
  [
    [2, 3, 4, 2],
    [2, 3, 5, 2],
    [2, 3, 5, 3],
  ],
);

test.each([
  ['projections inside', projecting()],
  ['projections inside, values of another width', projecting(sizes, 21)],
  ['projections inside, no later positions', projecting({ unidirectional: 1 })],
  ['several heads', multiHead(false)],
  ['several heads, scaled', multiHead(false, { scale: { float: 0.4 } })],
  ['standard, heads in one axis', flat],
  ['standard, heads apart', apart],
  [
    'standard, no later positions',
    standard(
      [3, 3],
      [
        [2, 4, 6],
        [2, 4, 6],
        [2, 4, 6],
      ],
      { is_causal: 1 },
    ),
  ],
] as const)('%s: shape and gradient', async (_, node) => {
  await checkInfer({ ...node, symbolic: { [node.inputs[0]!.name]: { 0: 'n' } } });
  await checkGradient(node);
});

test('a bias and a mask have gradients', async () => {
  const bias = { ...multiHead(false), inputs: [...multiHead(false).inputs.slice(0, 3), value('B', 21)] };
  await checkGradient(bias);
  const mask = { ...multiHead(false), inputs: [...multiHead(false).inputs.slice(0, 3), undefined, undefined, value('M', 1, 3, 4, 5)] };
  await checkGradient(mask);
});

test('shared keys and values: shape, and no gradient, with a next step', async () => {
  const shared = standard(
    [4, 2],
    [
      [2, 4, 8],
      [2, 5, 4],
      [2, 5, 4],
    ],
  );
  expect((await checkInfer(shared))[0].shape).toEqual([2, 4, 8]);
  await expect(checkGradient(shared)).rejects.toThrow(/shares keys and values between heads, which fine-tuning cannot follow/);
});

const cases: Array<[string, ChannelCase]> = [
  ['projections inside', { ...projecting({}, 18, true), carry: { W: [1], X: [2] }, remove: [3] }],
  ['projections inside, values of another width', { ...projecting(sizes, 21, true), carry: { W: [1], X: [2] }, remove: [0, 4] }],
  ['several heads', { ...multiHead(true), carry: { Q: [2], K: [2], V: [2] }, remove: [2] }],
  [
    'several heads and a mask for each',
    {
      ...multiHead(true),
      inputs: [...multiHead(true).inputs, undefined, weight('M', [1, 3, 4, 5])],
      carry: { Q: [2], K: [2], V: [2] },
      remove: [5],
    },
  ],
  ['standard, heads in one axis', { ...flat, carry: { Q: [2], K: [2], V: [2] }, remove: [4] }],
  ['standard, heads apart', { ...apart, carry: { Q: [1], K: [1], V: [1] }, remove: [1] }],
  [
    'standard, shared keys',
    {
      ...standard(
        [4, 2],
        [
          [2, 4, 8],
          [2, 5, 4],
          [2, 5, 4],
        ],
      ),
      carry: { Q: [2], K: [2], V: [2] },
      remove: [3],
    },
  ],
];
test.each(cases)('%s: whole heads are removed', async (_, node) => {
  const { outputs } = await checkChannels(node);
  const axis = outputs[0].findIndex((atoms) => atoms !== null);
  const heads = Number(node.attributes?.['num_heads'] ?? node.attributes?.['kv_num_heads'] ?? 3);
  expect(new Set(outputs[0][axis] ?? []).size).toBe(heads);
});

test('input channels of the projections are read by the rows of the weight', async () => {
  const { roles } = await checkChannels({ ...projecting({}, 18, true), carry: { X: [2] } });
  expect(roles).toEqual(expect.arrayContaining(['1:0:consumer', '1:1:producer', '2:0:parameter']));
});

test('heads stay where the result keeps keys and values for later calls, or queries come packed', async () => {
  const cached = await checkChannels({ ...flat, outputs: 3, carry: { Q: [2], K: [2], V: [2] } });
  expect(cached.reasons[0]).toMatch(/keeps keys and values of earlier calls, whose heads are given/);
  const mixed = await checkChannels({ ...multiHead(false), carry: { Q: [2], K: [2] } });
  expect(mixed.reasons).toEqual(["MultiHeadAttention 'output_0' combines them with a value whose channels cannot be removed"]);
});

test('heads that do not fit are refused', async () => {
  await expect(checkInfer(projecting({ num_heads: 4 }))).rejects.toThrow(/6, 6, 6 columns cannot be split into 4 heads/);
});
