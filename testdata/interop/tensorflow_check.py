"""Reads SavedModels that TensorFlow and Keras write now, and compares every signature's answers with TensorFlow's own.

    python testdata/interop/tensorflow_check.py [--only NAME] [--keep DIR] [--tfsopt bin/tfsopt] [--fixtures]

--fixtures writes the small models, with inputs and TensorFlow's answers, to formats/savedmodel/testdata instead.

Models are made on the spot, with seeded random weights. Each one is exported as its makers advise (model.export,
tf.saved_model.save, a TF 1 session); each signature is run by TensorFlow and by tfsopt on the same inputs.
"""

import argparse
import base64
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import tensorflow as tf
from tensorflow import keras

tf.get_logger().setLevel("ERROR")
warnings.filterwarnings("ignore")
MODELS = {}


def model(**options):
    """Registers a builder. It writes a SavedModel to the directory and may return inputs by name.

    out=False: tfsopt cannot write it as a SavedModel (loops, branches, recurrent layers). convs: it goes through quantize,
    and no Transpose may be left between its layers. operators: how many of them reading gives.
    """

    def add(f):
        MODELS[f.__name__] = (f, options)
        return f

    return add


def export(m, path):
    """model.export, quiet, with weights that let signals of every layer through."""
    r = np.random.default_rng(5)
    for w in m.weights:
        shape = w.shape
        if "seed" in w.name or w.dtype not in ("float32",):
            continue
        if "variance" in w.name or w.name == "gamma":
            w.assign(r.uniform(0.5, 1.5, shape))
        elif len(shape) > 1:
            w.assign(r.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1])))
        elif "mean" in w.name or w.name in ("bias", "beta"):
            w.assign(r.normal(size=shape) * 0.1)
    m.export(path, verbose=False)


@model(convs=True)
def mobilenet_v2(path):
    export(keras.applications.MobileNetV2(weights=None, input_shape=(96, 96, 3), alpha=0.35, classes=10), path)


@model(convs=True)
def efficientnet(path):
    export(keras.applications.EfficientNetB0(weights=None, input_shape=(64, 64, 3), classes=10), path)


@model(convs=True)
def resnet_blocks(path):
    x = i = keras.Input((32, 32, 3), name="image")
    for width, stride in [(8, 1), (16, 2), (32, 2)]:
        y = keras.layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False)(x)
        y = keras.layers.ReLU()(keras.layers.BatchNormalization()(y))
        y = keras.layers.BatchNormalization()(keras.layers.Conv2D(width, 3, padding="same")(y))
        x = keras.layers.ReLU()(keras.layers.Add()([y, keras.layers.Conv2D(width, 1, strides=stride)(x)]))
    x = keras.layers.Dense(10, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    export(keras.Model(i, x), path)


@model(out=False)
def lstm_masked(path):
    i = keras.Input((None,), dtype="int32", name="ids")
    x = keras.layers.Embedding(50, 8, mask_zero=True)(i)
    x = keras.layers.LSTM(16)(x)
    export(keras.Model(i, keras.layers.Dense(3)(x)), path)
    ids = np.random.default_rng(1).integers(1, 50, (3, 12)).astype("int32")
    ids[0, 7:] = 0
    ids[2, 1:] = 0
    return {"ids": ids}


@model(out=False, operators={"LSTM": 2, "Loop": 0})
def lstm_sequences(path):
    i = keras.Input((7, 5), name="x")
    x = keras.layers.LSTM(6, return_sequences=True)(i)
    x = keras.layers.LSTM(4, return_sequences=True, go_backwards=True)(x)
    export(keras.Model(i, x), path)


@model(out=False, operators={"GRU": 4, "Loop": 0})
def gru_bidirectional(path):
    i = keras.Input((9, 4), name="x")
    x = keras.layers.Bidirectional(keras.layers.GRU(6, return_sequences=True))(i)
    x = keras.layers.Bidirectional(keras.layers.GRU(5, reset_after=False))(x)
    export(keras.Model(i, keras.layers.Dense(2)(x)), path)


def block(x, heads, causal):
    """One layer of a transformer."""
    y = keras.layers.LayerNormalization()(x)
    y = keras.layers.MultiHeadAttention(heads, 8)(y, y, use_causal_mask=causal)
    x = keras.layers.Add()([x, y])
    y = keras.layers.Dense(32, activation="gelu")(keras.layers.LayerNormalization()(x))
    return keras.layers.Add()([x, keras.layers.Dense(16)(y)])


@model()
def transformer_encoder(path):
    i = keras.Input((10, 16), name="x")
    export(keras.Model(i, keras.layers.Dense(4)(block(block(i, 2, False), 2, False))), path)


@model()
def causal_attention(path):
    i = keras.Input((None, 16), name="x")
    export(keras.Model(i, block(i, 2, True)), path)
    return {"x": np.random.default_rng(2).normal(size=(2, 6, 16)).astype("float32")}


@model()
def conv1d(path):
    i = keras.Input((40, 6), name="x")
    x = keras.layers.Conv1D(8, 5, padding="causal", dilation_rate=2, activation="relu")(i)
    x = keras.layers.SeparableConv1D(12, 3, padding="same")(x)
    x = keras.layers.MaxPooling1D(2)(x)
    x = keras.layers.DepthwiseConv1D(3)(x)
    export(keras.Model(i, keras.layers.GlobalMaxPooling1D()(x)), path)


@model(convs=True)
def conv_transposed(path):
    i = keras.Input((12, 10, 4), name="x")
    x = keras.layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu")(i)
    x = keras.layers.Conv2DTranspose(5, 4, strides=2, padding="valid")(x)
    x = keras.layers.Conv2DTranspose(3, 2, strides=3, padding="same")(x)
    export(keras.Model(i, x), path)


@model(convs=True)
def dilated(path):
    i = keras.Input((20, 20, 4), name="x")
    x = keras.layers.Conv2D(6, 3, dilation_rate=2, padding="same", activation="swish")(i)
    x = keras.layers.DepthwiseConv2D(3, dilation_rate=2, padding="same")(x)
    x = keras.layers.Conv2D(6, 3, groups=2, padding="valid", activation="hard_sigmoid")(x)
    export(keras.Model(i, x), path)


@model(convs=True, quantize=False)
def resizing(path):
    i = keras.Input((12, 12, 3), name="x")
    x = keras.layers.Resizing(20, 16)(i)
    x = keras.layers.UpSampling2D(2, interpolation="nearest")(x)
    x = keras.layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = keras.layers.AveragePooling2D(3, strides=2, padding="same")(keras.layers.ZeroPadding2D(1)(x))
    export(keras.Model(i, keras.layers.Cropping2D(2)(x)), path)


@model()
def norms(path):
    i = keras.Input((8, 8, 12), name="x")
    x = keras.layers.GroupNormalization(4)(i)
    x = keras.layers.LayerNormalization()(x)
    x = keras.layers.UnitNormalization()(x)
    x = keras.layers.PReLU(shared_axes=[1, 2])(keras.layers.LeakyReLU()(x))
    export(keras.Model(i, keras.layers.ELU()(keras.layers.Softmax(axis=1)(x))), path)


@model()
def preprocessing(path):
    n, d = keras.Input((3,), name="n"), keras.Input((2,), name="d")
    norm = keras.layers.Normalization()
    norm.adapt(np.random.default_rng(3).normal(2, 3, (50, 3)))
    x = keras.layers.Concatenate()([norm(n), keras.layers.CategoryEncoding(4, output_mode="multi_hot")(
        keras.layers.Discretization(bin_boundaries=[-1.0, 0.0, 1.0])(d))])
    export(keras.Model([n, d], keras.layers.Dense(3)(x)), path)


@model()
def wide_and_deep(path):
    s, h = keras.Input((1,), dtype="string", name="color"), keras.Input((1,), dtype="string", name="city")
    n = keras.Input((3,), name="n")
    lookup = keras.layers.StringLookup(vocabulary=["red", "green", "blue"], output_mode="one_hot")
    wide = keras.layers.Concatenate()([lookup(s), keras.layers.CategoryEncoding(7)(keras.layers.Hashing(7)(h))])
    deep = keras.layers.Dense(8, activation="relu")(n)
    export(keras.Model([s, h, n], keras.layers.Dense(1)(keras.layers.Concatenate()([wide, deep]))), path)
    return {"color": np.array([["red"], ["blue"], ["pink"]], object), "city": np.array([["Rome"], ["Oslo"], ["Rome"]], object),
            "n": np.ones((3, 3), "float32")}


@model()
def text_vectorization(path):
    i = keras.Input((), dtype="string", name="text")
    v = keras.layers.TextVectorization(max_tokens=20, output_sequence_length=6)
    v.adapt(["the cat sat on the mat", "a dog sat"])
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(20, 4)(v(i)))
    export(keras.Model(i, x), path)
    return {"text": np.array(["The cat, sat!", "a bird"], object)}


@model(out=False, fixture=True, operators={"LSTM": 1, "GRU": 2, "Loop": 1})
def recurrent(path):
    i = keras.Input((4, 2), name="x")
    x = keras.layers.LSTM(2, return_sequences=True)(keras.layers.Masking()(i))
    x = keras.layers.Reshape((4, 2))(keras.layers.Flatten()(x))  # the mask ends here
    x = keras.layers.LSTM(3, return_sequences=True, go_backwards=True)(x)
    x = keras.layers.GRU(2, return_sequences=True)(x)
    export(keras.Model(i, keras.layers.GRU(3, reset_after=False)(x)), path)
    x = np.random.default_rng(4).normal(size=(2, 4, 2)).astype("float32")
    x[0, 1] = x[1, 3] = 0
    return {"x": x}


@model(out=False, fixture=True)
def tf_module(path):
    class Module(tf.Module):
        def __init__(self):
            self.w = tf.Variable(tf.random.stateless_normal((4, 4), seed=(1, 2)), name="w")

        @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32, name="x")])
        def run(self, x):
            y = tf.cond(tf.reduce_sum(x) > 0, lambda: tf.matmul(x, self.w), lambda: x - self.w[0])
            i, z = tf.while_loop(lambda i, z: i < 3, lambda i, z: (i + 1, tf.tanh(tf.matmul(z, self.w))), (tf.constant(0), y))
            v, k = tf.math.top_k(z, 2)
            return {"values": v, "indices": k, "steps": i, "picked": tf.gather(z, k[0], axis=1), "cum": tf.cumsum(z, 1)}

    m = Module()
    tf.saved_model.save(m, path, signatures={"serving_default": m.run})


@model(fixture=True)
def hash_table(path):
    class Module(tf.Module):
        def __init__(self):
            init = tf.lookup.KeyValueTensorInitializer(["a", "b", "c"], tf.constant([10, 20, 30], tf.int64))
            self.table = tf.lookup.StaticHashTable(init, -1)

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="keys")])
        def run(self, keys):
            return {"found": self.table.lookup(keys)}

    m = Module()
    tf.saved_model.save(m, path, signatures=m.run)
    return {"keys": np.array(["a", "x", "c"], object)}


@model()
def counter(path):
    class Module(tf.Module):
        def __init__(self):
            self.n = tf.Variable(tf.constant([1.5, 0.0]), name="n")

        @tf.function(input_signature=[tf.TensorSpec((2,), tf.float32, name="by")])
        def add(self, by):
            self.n.assign_add(by)
            return {"n": self.n * 1.0, "more": by + 1.0}

    m = Module()
    tf.saved_model.save(m, path, signatures=m.add)


@model(fixture=True)
def cond_tf1(path):
    """Branches as TensorFlow 1 writes them, one in another; a known condition chooses while the model is read."""
    g = tf.Graph()
    v2 = tf.compat.v1.control_flow_v2_enabled()
    tf.compat.v1.disable_control_flow_v2()
    with g.as_default(), tf.compat.v1.Session(graph=g) as s:
        x = tf.compat.v1.placeholder(tf.float32, (None, 3), name="x")
        w = tf.compat.v1.get_variable("w", (3, 3), initializer=tf.compat.v1.random_normal_initializer(seed=5), use_resource=False)
        training = tf.compat.v1.placeholder_with_default(tf.constant(False), (), name="training")
        total = tf.reduce_sum(x)
        y = tf.cond(total > 0, lambda: tf.cond(total > 100, lambda: x * 7, lambda: tf.matmul(x, w)), lambda: x - w[0])
        y = tf.cond(training, lambda: y * 1000, lambda: y + 1)
        s.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(s, path, {"x": x}, {"y": y})
    if v2:
        tf.compat.v1.enable_control_flow_v2()


@model()
def feature_columns_tf1(path):
    """A linear model over feature columns, fed with serialized tf.Examples."""
    from tensorflow.compat.v1 import feature_column as fc
    columns = [
        fc.numeric_column("age", normalizer_fn=lambda v: (v - 40) / 10),
        fc.bucketized_column(fc.numeric_column("hours"), [10.0, 20.0, 30.0]),
        fc.indicator_column(fc.categorical_column_with_vocabulary_list("job", ["cook", "nurse", "clerk"])),
        fc.embedding_column(fc.categorical_column_with_hash_bucket("city", 11), 3),
    ]
    g = tf.Graph()
    with g.as_default(), tf.compat.v1.Session(graph=g) as s:
        tf.compat.v1.set_random_seed(3)
        examples = tf.compat.v1.placeholder(tf.string, (None,), name="examples")
        features = tf.io.parse_example(examples, fc.make_parse_example_spec(columns))
        y = tf.matmul(fc.input_layer(features, columns), tf.constant(np.random.default_rng(6).normal(size=(11, 2)), tf.float32))
        s.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
        tf.compat.v1.saved_model.simple_save(s, path, {"examples": examples}, {"y": y}, tf.compat.v1.tables_initializer())

    def example(age, hours, job, city):
        b = lambda *v: tf.train.Feature(bytes_list=tf.train.BytesList(value=[x.encode() for x in v]))
        f = lambda v: tf.train.Feature(float_list=tf.train.FloatList(value=[v]))
        return tf.train.Example(features=tf.train.Features(feature={"age": f(age), "hours": f(hours), "job": b(job), "city": b(*city)})).SerializeToString()

    return {"examples": np.array([example(30, 15, "cook", ["Rome"]), example(51, 40, "pilot", []), example(7, 0, "clerk", ["Oslo", "Rome"])], object)}


@model(fixture=True)
def partitioned_tf1(path):
    g = tf.Graph()
    with g.as_default(), tf.compat.v1.Session(graph=g) as s:
        x = tf.compat.v1.placeholder(tf.float32, (None, 6), name="x")
        with tf.compat.v1.variable_scope("layer", partitioner=tf.compat.v1.fixed_size_partitioner(3)):
            w = tf.compat.v1.get_variable("w", (6, 4), initializer=tf.compat.v1.random_normal_initializer(seed=5), use_resource=False)
        y = tf.nn.relu(tf.matmul(x, tf.convert_to_tensor(w)), name="y")
        s.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(s, path, {"x": x}, {"y": y})


def random_inputs(signature):
    """Seeded inputs for a signature; free sizes are 2."""
    r, out = np.random.default_rng(7), {}
    for name, spec in signature.structured_input_signature[1].items():
        shape = [2 if d is None else d for d in spec.shape.as_list()]
        out[name] = r.normal(size=shape).astype(spec.dtype.as_numpy_dtype)
    return out


def write(path, name, x, kind="in"):
    """Writes an input, or an output, as tfsopt reads it."""
    if x.dtype == object:
        file = os.path.join(path, f"{kind}_{name}.json")
        b64 = [base64.b64encode(s.encode() if isinstance(s, str) else s).decode() for s in x.reshape(-1)]
        with open(file, "w") as f:
            json.dump({"shape": list(x.shape), "b64": b64}, f)
        return file
    file = os.path.join(path, f"{kind}_{name}.npy")
    np.save(file, x)
    return file


def read(file):
    """Reads an output as tfsopt writes it."""
    if not file.endswith(".json"):
        return np.load(file)
    with open(file) as f:
        s = json.load(f)
    out = np.empty(len(s["b64"]), object)
    out[:] = [base64.b64decode(b) for b in s["b64"]]
    return out.reshape(s["shape"])


def tfsopt(binary, *args):
    p = subprocess.run([binary, *args], capture_output=True, text=True)
    if p.returncode != 0:
        said = json.loads(p.stdout)["error"]["message"] if p.stdout.startswith("{") else p.stderr.strip()
        raise RuntimeError(f"tfsopt {args[0]}: {said}")
    return json.loads(p.stdout) if "--json" in args else p.stdout


def difference(name, y, want):
    """The largest relative difference of two arrays; strings must be equal, NaN stand in the same places."""
    if want.dtype == object:
        if not np.array_equal(y, want):
            raise RuntimeError(f"{name} is {y.tolist()}, want {want.tolist()}")
        return 0.0
    if want.dtype.kind == "f" and not np.array_equal(np.isnan(y), np.isnan(want)):
        raise RuntimeError(f"{name} is NaN in other places than TensorFlow's")
    want = want.astype("float64")
    d = np.abs(y.astype("float64") - want) / (1 + np.abs(want))
    return float(np.max(np.where(np.isnan(d), 0, d), initial=0))


def compare(binary, saved, name, inputs, want, work, tolerance=1e-4):
    args = []
    for k, x in inputs.items():
        args += ["--input", f"{k}={write(work, k, x)}"]
    out = tfsopt(binary, "run", saved, "--signature", name, *args, "-o", os.path.join(work, "out"), "--json", "--quiet")
    worst = 0.0
    got = {o["name"]: o for o in out["outputs"]}
    if sorted(got) != sorted(want):
        raise RuntimeError(f"outputs {sorted(got)}, want {sorted(want)}")
    for k, w in want.items():
        w, y = w.numpy(), read(got[k]["file"])
        if y.shape != w.shape or y.dtype != w.dtype:
            raise RuntimeError(f"{k} is {y.dtype}{y.shape}, want {w.dtype}{w.shape}")
        if w.size > 1 and np.all(w == w.flat[0]):
            raise RuntimeError(f"{k} is {w.flat[0]} everywhere: the model shows nothing")
        worst = max(worst, difference(k, y, w))
    if not worst <= tolerance:
        raise RuntimeError(f"differs by {worst:.2g}")
    return worst


def transposes(binary, saved, work):
    """How many Transpose nodes are left in a model that has convolutions; two are the user's own layout."""
    out = os.path.join(work, "optimized.onnx")
    tfsopt(binary, "optimize", saved, "-o", out, "--json", "--quiet")
    return tfsopt(binary, "inspect", out, "--json")["operators"].get("Transpose", 0)


def written(binary, saved, answers, work):
    """Writes the model as a SavedModel, which TensorFlow itself then runs: the same signatures, the same answers."""
    out = os.path.join(work, "written")
    shutil.rmtree(out, ignore_errors=True)
    tfsopt(binary, "convert", saved, "-o", out, "--json", "--quiet")
    loaded = tf.saved_model.load(out)
    if sorted(loaded.signatures) != sorted(answers):
        raise RuntimeError(f"written: signatures {sorted(loaded.signatures)}, want {sorted(answers)}")
    worst = 0.0
    for s, (inputs, want) in answers.items():
        got = loaded.signatures[s](**{k: tf.constant(v) for k, v in inputs.items()})
        for k, w in want.items():
            w, y = w.numpy(), got[k].numpy()
            if y.shape != w.shape or y.dtype != w.dtype:
                raise RuntimeError(f"written: {k} is {y.dtype}{y.shape}, want {w.dtype}{w.shape}")
            worst = max(worst, difference(f"written: {k}", y, w))
    if not worst <= 1e-4:
        raise RuntimeError(f"written: differs by {worst:.2g}")
    return worst


def quantized(binary, saved, inputs, work):
    """Quantizes the model and writes it as a SavedModel: TensorFlow gives the answers that tfsopt gives for the ONNX file."""
    (name, x), = inputs.items()
    data = os.path.join(work, "data.npy")
    np.save(data, np.concatenate([x, np.random.default_rng(8).normal(size=(30,) + x.shape[1:]).astype(x.dtype)]))
    onnx, out = os.path.join(work, "int8.onnx"), os.path.join(work, "int8")
    shutil.rmtree(out, ignore_errors=True)
    tfsopt(binary, "quantize", saved, "-o", onnx, "--data", data, "--preprocess", "none", "--json", "--quiet")
    tfsopt(binary, "convert", onnx, "-o", out, "--json", "--quiet")
    ran = tfsopt(binary, "run", onnx, "--input", f"{name}={write(work, name, x)}", "-o", os.path.join(work, "out8"), "--json", "--quiet")
    got = tf.saved_model.load(out).signatures["serving_default"](**{name: tf.constant(x)})
    worst = 0.0
    for o in ran["outputs"]:
        want, y = np.load(o["file"]).astype("float64").ravel(), got[o["name"]].numpy().astype("float64").ravel()
        worst = max(worst, float(np.sqrt(np.mean((y - want) ** 2) / (np.mean(want**2) + 1e-12))))
    size = os.path.getsize(os.path.join(out, "saved_model.pb"))
    if size > os.path.getsize(onnx) * 1.1 + 200000 or not worst <= 0.02:
        raise RuntimeError(f"int8: {size} bytes, {os.path.getsize(onnx)} as ONNX, relative error {worst:.2g}")
    return worst


def check(binary, name, keep):
    build, options = MODELS[name]
    keras.utils.set_random_seed(11)
    work = keep and os.path.join(keep, name) or tempfile.mkdtemp()
    os.makedirs(work, exist_ok=True)
    saved = os.path.join(work, "model")
    shutil.rmtree(saved, ignore_errors=True)
    given = build(saved)
    loaded, notes, answers = tf.saved_model.load(saved), [], {}
    for s in sorted(loaded.signatures):
        f = loaded.signatures[s]
        inputs = given or random_inputs(f)
        want = f(**{k: tf.constant(v) for k, v in inputs.items()})
        answers[s] = inputs, want
        notes.append(f"{s} {compare(binary, saved, s, inputs, want, work, options.get('tolerance', 1e-4)):.1e}")
    found = tfsopt(binary, "inspect", saved, "--json", "--quiet")["operators"]
    for op, n in options.get("operators", {}).items():
        if found.get(op, 0) != n:
            raise RuntimeError(f"{found.get(op, 0)} {op}, want {n}")
    if options.get("out", True):
        notes.append(f"written {written(binary, saved, answers, work):.1e}")
    if options.get("convs"):
        if options.get("quantize", True):
            notes.append(f"int8 {quantized(binary, saved, answers['serving_default'][0], work):.1e}")
        left = transposes(binary, saved, work)
        notes.append(f"{left} Transposes")
        if left > 2:
            raise RuntimeError(f"{left} Transposes are left between convolutions")
    if not keep:
        shutil.rmtree(work)
    return ", ".join(notes)


def fixture(name, path):
    """Writes a model, the inputs of its default signature and the answers as one archive, whose bytes depend on nothing else."""
    keras.utils.set_random_seed(11)
    with tempfile.TemporaryDirectory() as work:
        saved = os.path.join(work, "model")
        given = MODELS[name][0](saved)
        f = tf.saved_model.load(saved).signatures["serving_default"]
        inputs = given or random_inputs(f)
        for k, x in inputs.items():
            write(work, k, x)
        for k, x in f(**{k: tf.constant(v) for k, v in inputs.items()}).items():
            write(work, k, x.numpy(), "out")
        files = sorted(os.path.relpath(os.path.join(d, n), work) for d, _, names in os.walk(work) for n in names)
        with gzip.GzipFile(os.path.join(path, name + ".tar.gz"), "wb", mtime=0) as z, tarfile.open(fileobj=z, mode="w") as t:
            for n in files:
                if n.endswith("fingerprint.pb"):
                    continue
                with open(os.path.join(work, n), "rb") as r:
                    b = r.read()
                info = tarfile.TarInfo(n)
                info.size = len(b)
                t.addfile(info, io.BytesIO(b))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--only", default="")
    p.add_argument("--keep", help="directory in which the models stay")
    p.add_argument("--tfsopt", default="bin/tfsopt")
    p.add_argument("--fixtures", action="store_true", help="write the models that Go's tests read")
    a = p.parse_args()
    if a.fixtures:
        for name, (_, options) in MODELS.items():
            if "fixture" in options:
                fixture(name, os.path.join(os.path.dirname(__file__), "../../formats/savedmodel/testdata"))
        return
    failed = []
    for name in MODELS:
        if a.only and name not in a.only.split(","):
            continue
        start = time.time()
        try:
            print(f"ok    {name}: {check(a.tfsopt, name, a.keep)} ({time.time() - start:.1f} s)", flush=True)
        except Exception as e:  # the next model is checked all the same
            failed.append(name)
            print(f"FAIL  {name}: {e}", flush=True)
    sys.exit(f"{len(failed)} of {len(MODELS)} models failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
