import { expect, test } from 'vitest';
import { checkChannels, wholeNumbers } from './testing/check-channels';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

const x = { name: 'X', shape: [2, 3, 4, 4] };
const pad = (pads: number[], attributes = {}) => ({ opType: 'Pad', inputs: [x, wholeNumbers('pads', pads)], attributes });

test.each([[[0, 0, 1, 2, 0, 0, 0, 1]], [[0, 2, 0, 0, 0, 1, 0, 0]], [[0, 0, -1, 1, 0, 0, 2, -1]]])(
  'pads %j: shape and gradient',
  async (pads) => {
    await checkInfer({ ...pad(pads), symbolic: { X: { 0: 'batch' } } });
    await checkGradient(pad(pads));
  },
);

test.each(['reflect', 'edge'])('mode %s has a shape and a gradient; where it cuts at once, a shape alone', async (mode) => {
  const node = pad([0, 0, 1, 1, 0, 0, 1, 1], { mode });
  await checkInfer(node);
  await checkGradient(node);
  const cut = pad([0, 0, 1, -1, 0, 0, 1, 0], { mode });
  await checkInfer(cut);
  await expect(checkGradient(cut)).rejects.toThrow(/no gradient is known/);
});

test('pads as an attribute, and for stated axes only', async () => {
  await checkInfer({ opType: 'Pad', opset: 10, inputs: [x], attributes: { pads: [0, 1, 0, 0, 0, 0, 0, 3] } });
  const some = [x, wholeNumbers('pads', [1, 2, 3, 4]), undefined, wholeNumbers('axes', [-1, 1])];
  await checkInfer({ opType: 'Pad', opset: 18, inputs: some });
  await checkChannels({ opType: 'Pad', opset: 18, inputs: some, carry: { X: [1] }, remove: [1] });
});

test('channels around the image pass', async () => {
  await checkChannels({ ...pad([0, 0, 1, 1, 0, 0, 1, 1]), carry: { X: [1] }, remove: [0] });
  await checkChannels({ ...pad([0, 0, 1, 1, 0, 0, 1, 1], { mode: 'reflect' }), carry: { X: [1] }, remove: [0] });
});

test('zero channels beside the others have atoms of their own', async () => {
  const { outputs, reasons } = await checkChannels({ ...pad([0, 2, 0, 0, 0, 1, 0, 0]), carry: { X: [1] }, remove: [1] });
  expect(new Set(outputs[0][1]).size).toBe(6);
  expect(reasons).toEqual([]);
  const old = { opType: 'Pad', opset: 10, inputs: [x], attributes: { pads: [0, 1, 0, 0, 0, 2, 0, 0] } };
  await checkChannels({ ...old, carry: { X: [1] }, remove: [0, 2] });
});

test('repeated and cut channels are frozen', async () => {
  expect((await checkChannels({ ...pad([0, 1, 0, 0, 0, 0, 0, 0], { mode: 'edge' }), carry: { X: [1] } })).reasons[0]).toMatch(
    /repeats some/,
  );
  expect((await checkChannels({ ...pad([0, -1, 0, 0, 0, 0, 0, 0]), carry: { X: [1] } })).reasons[0]).toMatch(/cuts some/);
});

test('impossible pads are refused', async () => {
  await expect(checkInfer(pad([0, -4, 0, 0, 0, 0, 0, 0]))).rejects.toThrow(/takes 4 positions from axis 1 of length 3/);
  await expect(checkInfer(pad([0, 1]))).rejects.toThrow(/has 2 pads for 4 axes/);
});
