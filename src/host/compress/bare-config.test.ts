import { describe, expect, it } from 'vitest';
import { parseConfigText } from '../../protocol/config-file';
import { completedConfig, isBareConfig } from './bare-config';
import { configText } from './choices';

const bare = `{
  // written by "Layer sensitivity"
  "model": ".espalier/models/Net.onnx",
  "definition": { "file": "net.py", "name": "Net" },
  "layers": { "conv1": { "skip": true } }
}
`;

describe('isBareConfig', () => {
  it.each([
    [bare, true],
    ['{ "model": "net.onnx" }', true],
    ['{ "model": "net.onnx", "goal": { "flops": 0.5 } }', false],
    ['{ "model": "net.onnx", "data": { "name": "mnist" } }', false],
    ['{ "model": "net.onnx", "train": {} }', false],
    ['{}', false],
    ['', false],
    ['[1', false],
  ])('%s: %s', (text, expected) => expect(isBareConfig(text)).toBe(expected));
});

describe('completedConfig', () => {
  const answers = configText({
    model: 'other.onnx',
    data: { kind: 'named', name: 'cifar10' },
    goal: { flops: 0.5 },
    method: 'amc',
    effort: 'quick',
  });

  it('adds the answers and keeps what was there, comments included', () => {
    const text = completedConfig(bare, answers);
    expect(text).toContain('// written by "Layer sensitivity"');
    expect(parseConfigText(text)).toMatchObject({
      config: {
        model: '.espalier/models/Net.onnx',
        definition: { name: 'Net' },
        layers: { conv1: { skip: true } },
        data: { name: 'cifar10' },
        goal: { flops: 0.5 },
        method: { name: 'amc' },
        search: { episodes: 10 },
      },
      problems: [],
    });
  });

  it('keeps Windows line ends', () => {
    const text = completedConfig(bare.replaceAll('\n', '\r\n'), answers);
    expect(text.replaceAll('\r\n', '')).not.toContain('\n');
  });
});
