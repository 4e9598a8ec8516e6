/**
 * The way of Keras models through a real interpreter: a functional, a sequential and a subclassed one, exported by media/python/export_model.py as the
 * extension calls it, then the ONNX files held against Keras' own answers. Prints a transcript; the exit code is 1 where anything is not as it should be.
 * Usage: node test/python/real-keras.mjs [INTERPRETER], or ESPALIER_PYTHON=INTERPRETER. Needs dist/cli.js (npm run build), and in the interpreter Keras 3 with
 * TensorFlow and tf2onnx, or with PyTorch, onnx and onnxscript.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withInterpreter } from './interpreter.mjs';

const NETS = `import keras
from keras import layers


def build_net(classes):
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="stem")(inputs)
    x = layers.BatchNormalization(name="stem_norm")(x)
    shortcut = layers.ReLU(name="stem_relu")(x)
    x = layers.Conv2D(16, 3, padding="same", name="block")(shortcut)
    x = layers.ReLU(name="block_relu")(layers.Add(name="add")([x, shortcut]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(classes, name="head")(x))


small = keras.Sequential([keras.Input((8,)), layers.Dense(6, activation="relu", name="hidden"), layers.Dense(3, name="out")])


class Perceptron(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.hidden = layers.Dense(units, activation="relu")
        self.out = layers.Dense(3)

    def call(self, x):
        return self.out(self.hidden(x))
`;

/** Trained weights as a person would have them, and what Keras answers with them. The export script chooses the backend, as it does for the exports. */
const prepare = (script) => `import importlib.util, json, numpy as np
spec = importlib.util.spec_from_file_location("export_model", ${JSON.stringify(script)})
export_model = importlib.util.module_from_spec(spec)
spec.loader.exec_module(export_model)
export_model.choose_keras_backend()
import keras
from nets import build_net, Perceptron
random = np.random.default_rng(1)
answers = {}
for name, net, shape in (("net", build_net(10), (2, 32, 32, 3)), ("perceptron", Perceptron(7), (2, 8))):
    x = random.random(shape).astype("float32")
    net(x)
    net.set_weights([random.uniform(0.1, 0.5, w.shape) for w in net.get_weights()])
    net.save_weights(name + ".weights.h5")
    y = keras.ops.convert_to_numpy(net(x, training=False))
    answers[name] = {"x": x.flatten().tolist(), "shape": shape, "y": y.flatten().tolist()}
json.dump({"backend": keras.backend.backend(), "answers": answers}, open("answers.json", "w"))
`;

/** Largest difference to Keras' answers, of their size; float sums in another order differ in the last digits. */
const TOLERANCE = 1e-5;

await withInterpreter('Keras', async ({ python, folder, say, exportModel, difference, inspect }) => {
  const file = join(folder, 'nets.py');
  writeFileSync(file, NETS);
  say(`$ cat nets.py\n${NETS}`);
  const { packages } = await exportModel({ describe: true });
  assert.ok(packages.keras, 'the interpreter has Keras');

  writeFileSync(
    join(folder, 'prepare.py'),
    prepare(join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'media', 'python', 'export_model.py')),
  );
  execFileSync(python, ['prepare.py'], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const { backend, answers } = JSON.parse(readFileSync(join(folder, 'answers.json'), 'utf8'));
  say(`\nKeras ${packages.keras} on ${backend}`);

  const net = { file, name: 'build_net', kind: 'keras-functional', to: join(folder, 'net.onnx') };
  const wrong = await exportModel({ ...net, arguments: '', inputShape: null });
  assert.match(wrong.error, /^build_net\(\) failed: .*classes/);
  assert.ok(wrong.hint && !existsSync(net.to));

  const perceptron = { file, name: 'Perceptron', kind: 'keras-subclass', to: join(folder, 'perceptron.onnx') };
  const shapeless = await exportModel({ ...perceptron, arguments: 'units=7', inputShape: null });
  assert.equal(shapeless.error, "'Perceptron' does not say the shape of its input.");

  const weighted = [
    ['net', { ...net, arguments: 'classes=10', inputShape: null }],
    ['perceptron', { ...perceptron, arguments: 'units=7', inputShape: [1, 8] }],
  ];
  for (const [name, request] of weighted) {
    const { path, error } = await exportModel({ ...request, weights: join(folder, `${name}.weights.h5`) });
    assert.equal(path, request.to, error);
    const off = await difference(path, answers[name]);
    const size = Math.max(...answers[name].y.map(Math.abs));
    say(
      `\nonnxruntime against Keras, 2 inputs: largest difference ${(off / size).toExponential(1)} of the largest answer (allowed ${TOLERANCE})`,
    );
    assert.ok(off <= TOLERANCE * size);
  }
  const small = { file, name: 'small', kind: 'keras-sequential', to: join(folder, 'small.onnx'), arguments: '', inputShape: null };
  assert.equal((await exportModel(small)).path, small.to);

  const graph = inspect(net.to);
  // The shortcut couples the stem with the block: one group of 16 channels.
  assert.deepEqual(
    graph.groups.filter((g) => g.prunable).map((g) => g.channels),
    [16],
  );
});
