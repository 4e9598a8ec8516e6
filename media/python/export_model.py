"""Exports a model that Python code defines to ONNX, with whatever the user's own interpreter has installed.

Called by the Espalier extension as: python export_model.py REQUEST, where REQUEST is a JSON object:
    file        source file that defines the model
    name        class, function or variable in it
    kind        'torch-module', 'lightning-module', 'keras-subclass', 'keras-sequential' or 'keras-functional'
    arguments   what the class or function is called with, as Python source: 'num_classes=10'
    inputShape  shape of one input with its batch, or null
    weights     file with trained weights, or null
    to          ONNX file to write
    describe    true: import nothing of it, only say which packages are there

The last line of the standard output is the answer, a JSON object: {"path": ..., "packages": {...}},
or {"error": ..., "hint": ..., "missing": [...]}. What the model itself prints comes before it.
Nothing is ever installed: a missing package is named.
"""

import importlib
import importlib.util
import json
import os
import sys
import traceback


class ExportError(Exception):
    """What a person can act on: one sentence and the next step."""

    def __init__(self, message, hint=None, missing=()):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.missing = list(missing)


def require(*names):
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        packages = " and ".join(missing)
        raise ExportError(
            "Python at %s lacks %s." % (sys.executable, packages),
            "Install it (python -m pip install %s), or select another interpreter." % " ".join(missing),
            missing,
        )


def version_of(name):
    try:
        from importlib.metadata import version

        return version(name)
    except Exception:
        return None


def installed(*names):
    """Versions by name, of those that are there. TensorFlow comes under several names."""
    versions = {}
    for name in names:
        known = (version_of(other) for other in ((name, "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos") if name == "tensorflow" else (name,)))
        version = next((one for one in known if one), None)
        if version:
            versions[name] = version
    return versions


def load_module(path):
    """Imports a source file under its own name, in its own folder, so that its relative imports work."""
    folder = os.path.dirname(os.path.abspath(path))
    package = []
    while os.path.exists(os.path.join(folder, "__init__.py")):
        package.insert(0, os.path.basename(folder))
        folder = os.path.dirname(folder)
    sys.path.insert(0, folder)
    name = ".".join(package + [os.path.splitext(os.path.basename(path))[0]])
    if package:
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def build(request):
    try:
        module = load_module(request["file"])
    except ImportError as error:
        raise ExportError(
            "%s cannot be imported: %s." % (os.path.basename(request["file"]), error),
            "Install what it imports, or select another interpreter.",
            [error.name] if error.name else [],
        )
    if not hasattr(module, request["name"]):
        raise ExportError(
            "%s has no '%s' at its top level." % (os.path.basename(request["file"]), request["name"]),
            "Move the definition out of functions and conditions.",
        )
    found = getattr(module, request["name"])
    if not callable(found) or is_model(found):
        return found
    try:
        # The arguments are the user's own code, as is the module that has just been imported.
        return eval("build(%s)" % request["arguments"], {**vars(module), "build": found})
    except TypeError as error:
        raise ExportError(
            "%s(%s) failed: %s." % (request["name"], request["arguments"], error),
            "Correct 'definition.arguments' in the config.",
        )


def is_model(found):
    """Models are callable too: an instance is taken as it is, a class or function is called."""
    return not isinstance(found, type) and (hasattr(found, "state_dict") or hasattr(found, "get_config"))


def load_torch_weights(model, path):
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    # Checkpoints of training loops and of Lightning keep the weights under a key.
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    state = {key[len("module."):] if key.startswith("module.") else key: value for key, value in state.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    if missing:
        raise ExportError(
            "%s has no weights for '%s'." % (os.path.basename(path), missing[0]),
            "Check 'definition.weights' and 'definition.arguments' in the config.",
        )
    if unexpected:
        print("weights that the model does not use: %s" % ", ".join(unexpected))


def export_torch(request):
    require("torch")
    import torch

    model = build(request)
    if not isinstance(model, torch.nn.Module):
        raise ExportError("'%s' is no torch.nn.Module." % request["name"], "Name the class of the model.")
    if request.get("weights"):
        load_torch_weights(model, request["weights"])
    model.eval()
    example = torch.zeros(request["inputShape"])
    options = dict(
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
        opset_version=17,
        # Batch normalisation stays a node of its own: pruning and its statistics need it.
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )
    try:
        # The tracing exporter keeps the names of layers, by which they are found in the source.
        torch.onnx.export(model, (example,), request["to"], dynamo=False, **options)
    except TypeError:
        # Before 2.5 there is no other exporter and no such argument.
        torch.onnx.export(model, (example,), request["to"], **options)
    except torch.onnx.OnnxExporterError as error:
        # Newer exporters finish with the onnx package, and say so only at the end.
        if "onnx is not installed" not in str(error):
            raise
        require("onnx")
        raise
    return {"torch": torch.__version__}


def choose_keras_backend():
    """Keras 3 writes the backend it takes, TensorFlow by default, into a file of the user's: where that one is not installed, PyTorch does as well."""
    if "KERAS_BACKEND" in os.environ or importlib.util.find_spec("torch") is None:
        return
    try:
        with open(os.path.join(os.environ.get("KERAS_HOME", os.path.expanduser("~/.keras")), "keras.json")) as file:
            backend = json.load(file).get("backend", "tensorflow")
    except (OSError, ValueError):
        backend = "tensorflow"
    if importlib.util.find_spec(backend) is None:
        os.environ["KERAS_BACKEND"] = "torch"


def export_keras(request):
    require("tensorflow" if importlib.util.find_spec("keras") is None else "keras")
    choose_keras_backend()
    model = build(request)
    shape = request.get("inputShape") or shape_of_input(model, request["name"])
    import numpy

    # A first call makes the layers' weights, in subclassed models too, whose layers are not known before.
    model(numpy.zeros([1] + list(shape[1:]), "float32"))
    if request.get("weights"):
        model.load_weights(request["weights"])
    exports_onnx = "format" in getattr(getattr(type(model).export, "__code__", None), "co_varnames", ()) if hasattr(model, "export") else False
    if exports_onnx:
        export_keras_3(model, shape, request["to"])
    else:
        # Keras 2 leaves it to tf2onnx.
        require("tensorflow", "tf2onnx")
        import tensorflow as tf
        import tf2onnx

        signature = (tf.TensorSpec([None] + list(shape[1:]), tf.float32, name="input"),)
        tf2onnx.convert.from_keras(model, input_signature=signature, opset=17, output_path=request["to"])
    return installed("keras", "tensorflow", "torch", "tf2onnx", "onnxscript")


def export_keras_3(model, shape, to):
    import keras

    backend = keras.backend.backend()
    require(*{"tensorflow": ["tf2onnx", "onnx"], "torch": ["onnx", "onnxscript"]}.get(backend, ["tf2onnx"]))
    batch = [None] + list(shape[1:])
    try:
        model.export(to, format="onnx", verbose=False, input_signature=[keras.InputSpec(shape=batch, dtype="float32", name="input")])
    except ImportError as error:
        raise ExportError(
            "Keras on %s cannot write ONNX: %s." % (backend, str(error).strip().rstrip(".")),
            "Install what is named, or select another interpreter.",
            [error.name] if error.name else [],
        )


def shape_of_input(model, name):
    """A model that says what it takes need not be asked about."""
    shape = getattr(model, "input_shape", None) if getattr(model, "built", False) else None
    if not isinstance(shape, (tuple, list)) or any(axis is None for axis in shape[1:]):
        raise ExportError("'%s' does not say the shape of its input." % name, "Write 'definition.inputShape' into the config.")
    return list(shape)


def main():
    request = json.loads(sys.argv[1])
    try:
        if request.get("describe"):
            packages = installed("torch", "lightning", "keras", "tensorflow", "tf2onnx", "onnx")
            answer = {"python": sys.version.split()[0], "packages": packages}
        else:
            torch_like = request["kind"] in ("torch-module", "lightning-module")
            packages = export_torch(request) if torch_like else export_keras(request)
            answer = {"path": request["to"], "packages": packages}
    except ExportError as error:
        answer = {"error": error.message, "hint": error.hint, "missing": error.missing}
    except ModuleNotFoundError as error:
        answer = {
            "error": "Python at %s lacks %s." % (sys.executable, error.name),
            "hint": "Install it (python -m pip install %s), or select another interpreter." % error.name,
            "missing": [error.name],
        }
    except Exception as error:
        traceback.print_exc()
        answer = {"error": "%s: %s" % (type(error).__name__, str(error).strip().split("\n")[0]), "hint": "The log has the whole trace.", "missing": []}
    sys.stdout.flush()
    print("\n" + json.dumps(answer))


if __name__ == "__main__":
    main()
