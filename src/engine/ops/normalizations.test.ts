/** Channels and shapes of the normalisations; their gradients are among `gradients.test.ts`. */
import { expect, test } from 'vitest';
import { checkChannels } from './testing/check-channels';
import { checkInfer } from './testing/check-infer';

const x = (...shape: number[]) => ({ name: 'X', shape });
const vectors = (length: number) => ['scale', 'bias'].map((name) => ({ name, shape: [length], constant: true }));

test('InstanceNormalization: a channel leaves alone, with its scale and bias', async () => {
  const node = { opType: 'InstanceNormalization', inputs: [x(2, 4, 3, 3), ...vectors(4)] };
  await checkInfer({ ...node, symbolic: { X: { 0: 'n', 2: 'h' } }, expected: [['n', 4, 'h', 3]] });
  const { outputs, roles } = await checkChannels({ ...node, carry: { X: [1] }, remove: [0, 2] });
  expect(new Set(outputs[0][1]).size).toBe(4);
  expect(roles).toEqual(['1:0:parameter', '2:0:parameter']);
});

test.each([
  ['a scale a channel', 21, 6],
  ['a scale a group', 18, 3],
] as const)('GroupNormalization, %s: a whole group leaves', async (_, opset, length) => {
  const node = { opType: 'GroupNormalization', opset, inputs: [x(2, 6, 3, 3), ...vectors(length)], attributes: { num_groups: 3 } };
  await checkInfer(node);
  const { outputs } = await checkChannels({ ...node, carry: { X: [1] }, remove: [2] });
  expect(new Set(outputs[0][1]).size).toBe(3);
});

test.each([
  ['LayerNormalization', { axis: -1 }, 1, 'normalises over them'],
  ['LayerNormalization', { axis: 2 }, 1, undefined],
  ['LRN', { size: 3 }, 0, 'divides each by the size of its neighbours'],
  ['LpNormalization', { axis: 1 }, 0, 'divides them by their common norm'],
  ['MeanVarianceNormalization', { axes: [0, 2, 3] }, 0, undefined],
  ['MeanVarianceNormalization', { axes: [1, 2, 3] }, 0, 'normalises over them'],
] as const)('%s %j: channels that are normalised together stay', async (opType, attributes, parameters, reason) => {
  const axis = opType === 'LayerNormalization' && attributes.axis === -1 ? 3 : 1;
  const scale = { name: 'scale', shape: opType === 'LayerNormalization' && attributes.axis === 2 ? [3, 5] : [5], constant: true };
  const node = { opType, attributes: { ...attributes }, inputs: [x(2, 4, 3, 5), ...(parameters ? [scale] : [])] };
  await checkInfer(node);
  const { reasons } = await checkChannels({ ...node, carry: { X: [axis] } });
  if (reason) expect(reasons).toEqual([expect.stringContaining(`${opType} 'output_0' ${reason}`)]);
  else expect(reasons).toEqual([]);
  if (!reason) await checkChannels({ ...node, carry: { X: [axis] }, remove: [1] });
});

test('SkipLayerNormalization gives its sum and keeps the last axis whole', async () => {
  const skip = { name: 'S', shape: [2, 3, 4] };
  const node = {
    opType: 'SkipLayerNormalization',
    domain: 'com.microsoft',
    inputs: [x(2, 3, 4), skip, ...vectors(4)],
    outputs: 1,
  };
  await checkInfer(node);
  const { reasons } = await checkChannels({ ...node, carry: { X: [2], S: [2] } });
  expect(reasons[0]).toMatch(/normalises over them/);
});
