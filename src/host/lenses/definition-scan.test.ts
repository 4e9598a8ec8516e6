import { describe, expect, it, vi } from 'vitest';
import { type SourceLanguage, scanDefinitions } from './definition-scan';

const TORCH = 'import torch.nn as nn\n';
const KERAS = 'from tensorflow import keras\nimport tensorflow as tf\n';

/** 'line kind name' of each definition; lines count from 0 after `head`. */
function scan(body: string, head = '', language: SourceLanguage = 'python', fileName = 'net.py'): string[] {
  const offset = head.split('\n').length - 1;
  return scanDefinitions(head + body, language, fileName).map(({ line, kind, name }) => `${line - offset} ${kind} ${name}`);
}

describe('Python', () => {
  it.each([
    ['a module', 'class Net(nn.Module):', TORCH, ['0 torch-module Net']],
    ['the full name', 'class Net(torch.nn.Module):', TORCH, ['0 torch-module Net']],
    ['an imported name', 'class Net(Module):', 'from torch.nn import Module\n', ['0 torch-module Net']],
    ['another Module is none', 'class Net(Module):', 'from modules import Module\n', []],
    ['several bases', 'class Net(Mixin, nn.Module, Other):', TORCH, ['0 torch-module Net']],
    ['Lightning', 'class Net(pl.LightningModule):', TORCH, ['0 lightning-module Net']],
    ['Lightning, imported name', 'class Net(LightningModule):', TORCH, ['0 lightning-module Net']],
    [
      'a subclass of a network in the same file',
      'class A(nn.Module):\n  pass\nclass B(A):\n  pass',
      TORCH,
      ['0 torch-module A', '2 torch-module B'],
    ],
    ['a class inside a function', 'def make():\n    class Net(nn.Module):\n        pass', TORCH, ['1 torch-module Net']],
    ['any other class', 'class Data(Dataset):', TORCH, []],
    ['a commented class', '# class Net(nn.Module):', TORCH, []],
    ['a class in a docstring', '"""\nclass Net(nn.Module):\n"""\nclass Real(nn.Module):', TORCH, ['3 torch-module Real']],
    ['a docstring of one line', '"""class A(nn.Module):"""\nclass Real(nn.Module):', TORCH, ['1 torch-module Real']],
    ['Keras subclass', 'class Net(keras.Model):', KERAS, ['0 keras-subclass Net']],
    ['tf.keras subclass', 'class Net(tf.keras.Model):', KERAS, ['0 keras-subclass Net']],
    ['tf.keras.models subclass', 'class Net(tf.keras.models.Model):', KERAS, ['0 keras-subclass Net']],
    ['Keras Sequential in a variable', 'model = keras.Sequential([', KERAS, ['0 keras-sequential model']],
    ['Keras Sequential with a type', 'net: keras.Model = tf.keras.Sequential()', KERAS, ['0 keras-sequential net']],
    ['imported Sequential', 'model = Sequential()', 'from keras.models import Sequential\n', ['0 keras-sequential model']],
    ['Keras Sequential in a function', 'def build(width):\n    return keras.Sequential([\n', KERAS, ['1 keras-sequential build']],
    ['functional', 'def build():\n    x = 1\n    return keras.Model(inputs=a, outputs=b)', KERAS, ['2 keras-functional build']],
    ['functional by position', 'net = Model(x, y)', KERAS, ['0 keras-functional net']],
    [
      "torch's Sequential is a part",
      'class N(nn.Module):\n  def __init__(self):\n    self.f = nn.Sequential(',
      TORCH,
      ['0 torch-module N'],
    ],
    ['Sequential without Keras', 'model = Sequential()', TORCH, []],
  ])('%s', (_, body, head, expected) => expect(scan(body, head)).toEqual(expected));
});

describe('TypeScript and JavaScript', () => {
  it.each([
    ['a variable', 'const model = tf.sequential();', ['0 tfjs-sequential model']],
    ['an exported, typed variable', 'export const net: tf.Sequential = tf.sequential({', ['0 tfjs-sequential net']],
    ['a function', 'export function build(width: number) {\n  const m = tf.sequential();\n  return m;\n}', ['1 tfjs-sequential build']],
    ['an arrow function', 'const build = (n) => {\n  return tf.model({ inputs, outputs });\n};', ['1 tfjs-model build']],
    [
      'an arrow function of one line',
      'const build = () => tf.sequential();\nconst other = tf.model({',
      ['0 tfjs-sequential build', '1 tfjs-model other'],
    ],
    ['after a function', 'function a() {\n}\nconst b = tf.sequential();', ['2 tfjs-sequential b']],
    ['an async function', 'async function load() {\n  const m = tf.model({', ['1 tfjs-model load']],
    ['a comment', '// const model = tf.sequential();\n/* tf.model( */\n/*\nconst b = tf.model({\n*/', []],
    ['other calls', 'const model = tf.loadLayersModel("x"); tf.modelX();', []],
    ['no name to import', 'train(tf.sequential());', []],
  ])('%s', (_, body, expected) => expect(scan(body, '', 'javascript', 'net.ts')).toEqual(expected));
});

describe('model.json', () => {
  const topology = '{ "format": "layers-model", "modelTopology": {}, "weightsManifest": [] }';
  it('is a model by its name and content', () => expect(scan(topology, '', 'json', 'model.json')).toEqual(['0 tfjs-file model']));
  it.each([
    ['another name', topology, 'data.json'],
    ['another content', '{ "model": 1 }', 'model.json'],
  ])('%s is none', (_, text, file) => expect(scan(text, '', 'json', file)).toEqual([]));
});

it('is one pass: twice as many lines are matched against patterns twice as often', () => {
  const exec = vi.spyOn(RegExp.prototype, 'exec');
  const matches = (lines: number): number => {
    const text = `${TORCH}${'    x = self.conv(x)  # comment\n'.repeat(lines)}class Net(nn.Module):\n`;
    exec.mockClear();
    expect(scanDefinitions(text, 'python', 'net.py')).toHaveLength(1);
    return exec.mock.calls.length;
  };
  const [once, twice] = [matches(1000), matches(2000)];
  exec.mockRestore();
  expect(once).toBeGreaterThan(1000);
  expect(twice).toBeLessThanOrEqual(2 * once);
});
