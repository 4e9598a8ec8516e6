import { describe, expect, it } from 'vitest';
import { parseConfigText } from '../../protocol/config-file';
import { type CompressChoices, configText, fittingData, shareOfPercent } from './choices';

const choices: CompressChoices = {
  model: 'net.onnx',
  data: { kind: 'named', name: 'digits' },
  goal: { flops: 0.5, maxAccuracyDrop: 0.01 },
  method: 'two-stage-ppo',
  effort: 'quick',
};

describe('the config of the choices', () => {
  it.each<[string, Partial<CompressChoices>, (config: NonNullable<ReturnType<typeof parseConfigText>['config']>) => unknown, unknown]>([
    ['model', {}, (c) => c.model, 'net.onnx'],
    ['named data', {}, (c) => c.data.name, 'digits'],
    ['files', { data: { kind: 'files', train: 'a.npz', test: 'b.npz' } }, (c) => c.data.files, { train: 'a.npz', test: 'b.npz' }],
    ['only a test set', { data: { kind: 'files', test: 'b.npz' } }, (c) => c.data.files, { test: 'b.npz' }],
    ['inputs', { data: { kind: 'inputs', inputs: 'x.npy' } }, (c) => c.data.files, { inputs: 'x.npy' }],
    ['goal', {}, (c) => c.goal, { flops: 0.5, maxAccuracyDrop: 0.01 }],
    ['no goal', { goal: {} }, (c) => c.goal, {}],
    ['method', { method: 'uniform' }, (c) => c.method.name, 'uniform'],
    ['effort', { effort: 'thorough' }, (c) => c.search.episodes, 300],
    [
      'definition',
      { definition: { file: 'net.py', name: 'Net', arguments: 'classes=10', inputShape: [1, 3, 32, 32] } },
      (c) => c.definition,
      { file: 'net.py', name: 'Net', arguments: 'classes=10', inputShape: [1, 3, 32, 32] },
    ],
  ])('%s', (_, change, read, expected) => {
    const { config, problems } = parseConfigText(configText({ ...choices, ...change }));
    expect(problems).toEqual([]);
    expect(read(config!)).toEqual(expected);
  });
});

describe('data that fits', () => {
  it.each([
    [
      ['batch', 1, 28, 28],
      ['digits', 'mnist', 'fashion-mnist'],
    ],
    [
      [1, 784],
      ['digits', 'mnist', 'fashion-mnist'],
    ],
    [['batch', 3, 32, 32], ['cifar10']],
    [[1, 32, 32, 3], ['cifar10']],
    [['batch', 1, 32, 32], []],
    [[1, 3, 224, 224], []],
    [null, []],
  ])('%j', (shape, expected) => expect(fittingData(shape)).toEqual(expected));
});

it.each([
  ['50', 0.5],
  [' 0.3 %', 0.003],
  ['1,5', 0.015],
  ['101', undefined],
  ['half', undefined],
  ['', undefined],
])('percent %j', (text, share) => expect(shareOfPercent(text)).toBe(share));
