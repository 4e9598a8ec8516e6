import { expect, test } from 'vitest';
import type { Operator } from '../operator';
import { findOperator } from '../registry';
import { checkChannels, wholeNumbers } from './check-channels';

const pad = { opType: 'Pad', inputs: [{ name: 'X', shape: [2, 4] }, wholeNumbers('pads', [0, 1, 0, 2])], carry: { X: [1] }, remove: [1] };
const operator = findOperator('Pad') as { -readonly [K in keyof Operator]: Operator[K] };
const { channels, shrink } = operator;

test('right channels and shrinking pass', async () => {
  const { outputs } = await checkChannels(pad);
  expect(outputs[0][1]).toHaveLength(7);
});

test('a mapping that misses the order is found', async () => {
  try {
    operator.channels = (context) => {
      const atoms = context.atoms(0, 1)!;
      context.setOutput(0, 1, Int32Array.of(...atoms, ...context.fresh(3)));
    };
    await expect(checkChannels(pad)).rejects.toThrow(/output 0, element/);
  } finally {
    operator.channels = channels;
  }
});

test('shrinking that leaves too much is found', async () => {
  try {
    operator.shrink = (context) => context.setInts(1, [0, 2, 0, 2]);
    await expect(checkChannels(pad)).rejects.toThrow(/has the shape/);
  } finally {
    operator.shrink = shrink;
  }
});
