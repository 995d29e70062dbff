"""ONNX Runtime on one thread, and a look at what it makes of a model."""

import collections
import itertools
import os
import pathlib
import tempfile

import numpy as np
import onnx
import onnxruntime

from tfsopt import answers

onnxruntime.set_default_logger_severity(3)

# Operators that compute in float; an int8 model whose optimized graph still has one was not fused.
FLOAT = {"Conv", "FusedConv", "NhwcFusedConv", "ConvTranspose", "MatMul", "FusedMatMul", "Gemm", "FusedGemm"}

TYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
    "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8,
}


def same(x, y):
    """Equal bit for bit, or to the last place of a float: an operator of another opset may round in another kernel."""
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    if x.dtype.kind != "f":
        return x.tobytes() == y.tobytes()
    equal = (x == y) | (np.isnan(x) & np.isnan(y))
    with np.errstate(invalid="ignore"):
        return bool(np.all(equal | (np.abs(x - y) <= np.spacing(np.maximum(np.abs(x), np.abs(y))))))


def session(path, optimized=None):
    return session_of(str(path), optimized)


def session_of(model, optimized=None):
    """model is a path or the bytes of a file."""
    o = onnxruntime.SessionOptions()
    o.intra_op_num_threads = o.inter_op_num_threads = 1
    o.log_severity_level = 3
    if optimized:
        o.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(model, o, providers=["CPUExecutionProvider"])


def fused(path):
    """Loads a model and counts the operators of the graph that ONNX Runtime will run, bodies included."""
    with tempfile.TemporaryDirectory() as tmp:
        optimized = os.path.join(tmp, "optimized.onnx")
        s = session(path, optimized)
        graph = onnx.load(optimized, load_external_data=False).graph
    counts = collections.Counter()

    def count(g):
        for n in g.node:
            counts[n.op_type] += 1
            for a in n.attribute:
                count(a.g)

    count(graph)
    return s, counts


def random_feeds(s, sizes, rng):
    """Inputs for a session: a free dimension is what sizes says of its name, else 2 where it is first seen in front, 16 where it is not."""
    feeds, sizes = {}, dict(sizes)
    for i in s.get_inputs():
        shape = [d if isinstance(d, int) else sizes.setdefault(d, 16 if k else 2) for k, d in enumerate(i.shape)]
        dtype = TYPES[i.type]
        if np.issubdtype(dtype, np.floating):
            feeds[i.name] = rng.standard_normal(shape).astype(dtype)
        else:
            feeds[i.name] = rng.integers(0, 100, shape).astype(dtype)
    return feeds


def compare(s, model, data, preprocess):
    """Gives ONNX Runtime the tensors that our engine got for a model; counts equal classes and samples.

    The third is the largest difference of two answers, as a share of the largest answer.
    """
    name, same, total, error, most, classes = s.get_inputs()[0].name, 0, 0, 0.0, 0.0, set()
    free = not isinstance(s.get_inputs()[0].shape[0], int)
    with tempfile.TemporaryDirectory() as out:
        answers(model, data, preprocess, out)
        for k in itertools.count():
            given = pathlib.Path(out, f"in_{k}.npy")
            if not given.exists():
                if len(classes) < 2:
                    raise ValueError("every answer is the same class, which shows little")
                return same, total, error / most
            x, ours = np.load(given), np.load(pathlib.Path(out, f"out_{k}.npy"))
            ours, parts = ours.reshape(len(ours), -1), [x] if free else [x[i : i + 1] for i in range(len(x))]
            theirs = np.concatenate([s.run(None, {name: p})[0].reshape(len(p), -1) for p in parts])
            if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
                raise ValueError("answers that are not finite")
            classes.update(theirs.argmax(1))
            same += int((ours.argmax(1) == theirs.argmax(1)).sum())
            total += len(x)
            error = max(error, float(np.abs(ours - theirs).max()))
            most = max(most, float(np.abs(theirs).max()))
