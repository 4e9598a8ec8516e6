import { expect, test } from 'vitest';
import { topologies } from '../../../test/topologies';
import { lstmRows } from '../architectures/lstm-rows';
import { Random } from '../random';
import { notBatchFirst } from './batch-first';
import { countCosts } from './costs';
import { layerGraph } from './layer-graph';
import { quantizableLayers } from './layers';

const model = lstmRows.build({ classes: 10, random: new Random(1) });
const [INPUT_WEIGHTS, RECURRENT_WEIGHTS, BIASES, CLASSIFIER] = [512 * 28, 512 * 128, 1024, 1290];

test('a recurrent node is two layers, with the multiply-accumulates of 28 steps shared by the size of their weights', () => {
  expect(
    quantizableLayers(model).map(({ name, weight, kind, outAxis, outChannels, inChannels, macs, params }) => [
      name,
      weight,
      kind,
      outAxis,
      outChannels,
      inChannels,
      macs,
      params,
    ]),
  ).toEqual([
    ['lstm', 'lstm.weight', 'recurrent', 1, 512, 28, 28 * INPUT_WEIGHTS, INPUT_WEIGHTS + BIASES],
    ['lstm.recurrent', 'lstm.recurrent', 'recurrent', 1, 512, 128, 28 * RECURRENT_WEIGHTS, RECURRENT_WEIGHTS],
    ['fc', 'fc.weight', 'linear', 0, 10, 128, 1280, CLASSIFIER],
  ]);
});

test('costs count each of its weights at its own bits', () => {
  const whole = countCosts(model);
  expect([whole.params, whole.macs]).toEqual([
    INPUT_WEIGHTS + RECURRENT_WEIGHTS + BIASES + CLASSIFIER,
    28 * (INPUT_WEIGHTS + RECURRENT_WEIGHTS) + 1280,
  ]);
  const { weightBytes } = countCosts(model, undefined, { lstm: 4, 'lstm.recurrent': 2 });
  const scales = 2 * 4 * 512;
  expect(weightBytes).toBe(INPUT_WEIGHTS / 2 + RECURRENT_WEIGHTS / 4 + scales + 4 * (BIASES + CLASSIFIER));
});

test('people see one node with the costs of both', () => {
  const lstm = layerGraph(model, { modelPath: 'lstm.onnx', sha256: '' }).nodes.find((n) => n.name === 'lstm')!;
  expect([lstm.params, lstm.macs]).toEqual([INPUT_WEIGHTS + RECURRENT_WEIGHTS + BIASES, 28 * (INPUT_WEIGHTS + RECURRENT_WEIGHTS)]);
  expect(lstm.quantizable).toBe('lstm');
});

test('values with the steps first are told from those with the samples first', () => {
  expect([...notBatchFirst(model)]).toEqual(['steps', 'lstm', expect.stringContaining('LSTM')]);
  const { model: convolutional } = topologies().find((t) => t.name === 'plain')!;
  expect([...notBatchFirst(convolutional)]).toEqual([]);
});
