import { describe, expect, it } from 'vitest';
import { attributePath, layerLines } from './source-lines';

const layer = (id: string, weight?: string, name = id) => ({
  id,
  name,
  opType: 'Conv',
  weights: weight === undefined ? [] : [{ name: weight, type: 'float32', shape: [1] }],
});

describe('attribute paths', () => {
  it.each([
    ['conv1.weight', 'x', ['conv1']],
    ['layer1.0.conv1.weight', 'x', ['layer1', '0', 'conv1']],
    ['onnx::Conv_12', '/conv1/Conv', ['conv1']],
    ['onnx::Conv_12', '/layer1/layer1.0/conv1/Conv', ['layer1', '0', 'conv1']],
    ['onnx::Conv_12', '/features/features.0/Conv', ['features', '0']],
    ['onnx::Conv_12', '/layer1/layer1.0/downsample/downsample.0/Conv', ['layer1', '0', 'downsample', '0']],
    ['w', 'fc', ['fc']],
  ])('%s %s', (weight, name, path) => expect(attributePath(layer('x', weight, name))).toEqual(path));
});

/** Line numbers of the layers in the order given, '-' for none. */
function lines(
  source: string,
  definition: string,
  layers: ReturnType<typeof layer>[],
  language: 'python' | 'javascript' = 'python',
): Array<number | undefined> {
  const found = layerLines(source, language, definition, layers, () => true);
  return layers.map(({ id }) => found.get(id));
}

const RESNET = `import torch.nn as nn

class Block(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3)
        self.shortcut = nn.Sequential()
        if i != o:
            self.shortcut = nn.Sequential(
                nn.Conv2d(i, o, 1),  # a comment (with brackets
                nn.BatchNorm2d(o),
            )

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3)
        self.layer1 = self._make_layer(16)
        self.features = nn.Sequential(
            nn.Conv2d(16, 32, (3, 3), padding=(1, 1)),
            nn.ReLU(),
            Block(32, 64),
        )
        self.head = nn.Sequential(OrderedDict([
            ('drop', nn.Dropout()),
            ('fc', nn.Linear(64, 10)),
        ]))
        self.stem: nn.Module = nn.Linear(3, 3)
`;

describe('torch', () => {
  it('finds attributes, containers, blocks and named children', () => {
    expect(
      lines(RESNET, 'Net', [
        layer('a', 'conv1.weight'),
        layer('b', 'layer1.0.conv2.weight'),
        layer('c', 'features.0.weight'),
        layer('d', 'features.2.conv1.weight'),
        layer('e', 'features.2.shortcut.0.weight'),
        layer('f', 'head.fc.weight'),
        layer('g', 'stem.weight'),
        layer('h', 'nowhere.weight'),
      ]),
    ).toEqual([18, 7, 21, 5, 11, 27, 29, undefined]);
  });
  it('the class that is the model decides among equal names', () =>
    expect(lines(RESNET, 'Block', [layer('a', 'conv1.weight')])).toEqual([5]));
  it('an unknown way ends at the last line that is certain', () => {
    const source = 'class Net(nn.Module):\n    def __init__(self):\n        self.body = build()\n';
    expect(lines(source, 'Net', [layer('a', 'body.3.unit.weight')])).toEqual([2]);
  });
  it("the exporter's own place comes first", () => {
    const placed = { ...layer('a', 'conv1.weight'), source: { file: 'net.py', line: 3 } };
    expect(lines(RESNET, 'Net', [placed])).toEqual([2]);
    expect(layerLines(RESNET, 'python', 'Net', [placed], () => false).get('a')).toBe(18);
  });
});

describe('Keras and TensorFlow.js', () => {
  const keras = "model = keras.Sequential([\n  layers.Conv2D(8, 3, name='first'),\n  layers.Flatten(),\n  layers.Dense(10),\n])\n";
  it('by name', () => expect(lines(keras, 'model', [layer('a', 'model/first/Conv2D/ReadVariableOp:0')])).toEqual([1]));
  it('by place', () => expect(lines(keras, 'model', [layer('a', 'w1'), layer('b', 'w2')])).toEqual([1, 3]));
  it('not by place where the counts differ', () =>
    expect(lines(keras, 'model', [layer('a', 'w1'), layer('b', 'w2'), layer('c', 'w3')])).toEqual([undefined, undefined, undefined]));
  it('TensorFlow.js', () => {
    const source =
      "const m = tf.sequential();\nm.add(tf.layers.conv2d({ filters: 8 }));\n// m.add(tf.layers.dense({}))\nm.add(tf.layers.dense({\n  units: 10, name: 'out' }));\n";
    expect(lines(source, 'm', [layer('a', 'w1'), layer('b', 'out/kernel')], 'javascript')).toEqual([1, 3]);
  });
});
