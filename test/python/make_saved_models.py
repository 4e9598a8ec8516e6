"""Writes the TensorFlow SavedModels of the tests, with random weights, and what TensorFlow answers on them.

Run in the folder of the repository with TensorFlow 2.16 or newer: python test/python/make_saved_models.py
"""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

FOLDER = Path("test/fixtures/formats/saved-model")
keras.utils.set_random_seed(1)
random = np.random.RandomState(0)
answers = {}


def kept(path, name):
    """Only what a SavedModel needs: no assets, no fingerprint."""
    shutil.rmtree(path / "assets", ignore_errors=True)
    (path / "fingerprint.pb").unlink(missing_ok=True)
    loaded = tf.saved_model.load(str(path))
    return loaded.signatures["serving_default"]


def answer(name, signature, key, shape):
    images = random.rand(2, *shape).astype("float32").round(4)
    results = signature(**{key: tf.constant(images)})
    answers[name] = {
        "shape": [2, *shape],
        "input": [round(float(v), 4) for v in images.flatten()],
        "outputs": {k: {"shape": list(v.shape), "values": [float(x) for x in v.numpy().flatten()]} for k, v in sorted(results.items())},
    }


# A Keras model, exported as Keras does.
picture = keras.Input((8, 8, 3), name="picture")
x = L.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(picture)
x = L.BatchNormalization()(x)
x = L.ReLU(max_value=6)(x)
y = L.DepthwiseConv2D(3, padding="same")(x)
y = L.Conv2D(4, 1, activation="swish")(y)
x = L.Add()([x, y])
x = L.Concatenate()([L.AveragePooling2D(2)(x), L.MaxPooling2D(2)(x)])
x = L.Dropout(0.5)(L.Flatten()(x))
model = keras.Model(picture, L.Dense(5, activation="softmax")(x))
model.set_weights(
    [(random.rand(*v.shape) + 0.5 if "variance" in v.path else random.randn(*v.shape) * 0.4).astype("float32") for v in model.weights]
)
shutil.rmtree(FOLDER, ignore_errors=True)
model.export(str(FOLDER / "keras"), verbose=False)
answer("keras", kept(FOLDER / "keras", "keras"), "picture", (8, 8, 3))


class Halves(tf.Module):
    """Functions that call one another with different variables, operators with several outputs, two outputs of the model."""

    def __init__(self):
        super().__init__()
        make = lambda *shape: tf.Variable(random.randn(*shape).astype("float32") * 0.4)  # noqa: E731
        self.kernels = [make(3, 3, 2, 2), make(3, 3, 2, 2)]
        self.up = make(2, 2, 3, 4)
        self.scale, self.offset = make(4), make(4)
        self.mean, self.variance = make(4), tf.Variable(random.rand(4).astype("float32") + 0.5)

    @tf.function
    def half(self, x, kernel):
        return tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME"))

    @tf.function(input_signature=[tf.TensorSpec([None, 6, 6, 4], tf.float32, name="maps")])
    def serve(self, maps):
        first, second = tf.split(maps, 2, axis=-1)
        x = tf.concat([self.half(second, self.kernels[0]), self.half(first, self.kernels[1])], -1)
        x, _, _ = tf.compat.v1.nn.fused_batch_norm(x, self.scale, self.offset, self.mean, self.variance, is_training=False)
        large = tf.nn.conv2d_transpose(x, self.up, [tf.shape(x)[0], 12, 12, 3], 2)
        return {"large": large, "sums": tf.reduce_mean(tf.nn.sigmoid(x), [1, 2])}


halves = Halves()
tf.saved_model.save(halves, str(FOLDER / "functions"), signatures=halves.serve)
answer("functions", kept(FOLDER / "functions", "functions"), "maps", (6, 6, 4))

# As TensorFlow 1 wrote them: no functions, variables as nodes of the graph.
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    rows = tf.compat.v1.placeholder(tf.float32, [None, 7], name="rows")
    kernel = tf.compat.v1.get_variable("dense/kernel", initializer=random.randn(7, 3).astype("float32"), use_resource=False)
    bias = tf.compat.v1.get_variable("dense/bias", initializer=random.randn(3).astype("float32"), use_resource=True)
    scores = tf.identity(tf.nn.bias_add(tf.matmul(tf.nn.tanh(rows), kernel), bias), name="scores")
    session.run(tf.compat.v1.global_variables_initializer())
    tf.compat.v1.saved_model.simple_save(session, str(FOLDER / "graph"), {"rows": rows}, {"scores": scores})
answer("graph", kept(FOLDER / "graph", "graph"), "rows", (7,))

(FOLDER / "expected.json").write_text(json.dumps(answers) + "\n")
