import { expect, test } from 'vitest';
import { configSchema } from '../../protocol/config';
import { recoveryOptions } from './recover';
import type { RunContext } from './run-context';

const optionsOf = (recovery: object) => {
  const config = configSchema.parse({ model: 'm.onnx', recovery });
  const data = { labelled: true, target: 'classes', train: { rows: new Uint32Array(200) } };
  return recoveryOptions({ config, prepared: { data, model: {} }, cores: 1 } as unknown as RunContext);
};

test('what the config says of the steps reaches the training', () => {
  expect(optionsOf({ learningRate: 0.2, warmUpEpochs: 0.5, schedule: 'constant', averaging: 0.4 })).toMatchObject({
    learningRate: { base: 0.2, warmUpEpochs: 0.5, schedule: { kind: 'constant' } },
    averaging: 0.4,
  });
  expect(optionsOf({}).muon).toBeUndefined();
  // Of the learning rate, so that it follows the schedule: 0.01 of the norm at the start.
  expect(optionsOf({ optimizer: 'muon', learningRate: 0.2, relativeStep: 0.01 }).muon!.relativeStep * 0.2).toBeCloseTo(0.01, 12);
});
