#!/usr/bin/env python3
"""Makes the bundled model and its data: LeNet-5 on Fashion-MNIST, 90.6 % top-1.

    apt-get install dataset-fashion-mnist        # Debian's copy of the data, MIT licence
    .venv/bin/python testdata/make_fashion.py    # numpy and onnx; about three and a half minutes on one core

writes models/fashion_lenet5.onnx, 500 training images for calibration and 2000 test images for judging (IDX files)
beside this script. Everything is seeded; another BLAS may still round differently and so give other bytes.
"""

import argparse
import gzip
import os
import pathlib
import struct
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np  # noqa: E402
import onnx  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CLASSES = 10


def read_idx(path):
    """One IDX file (http://yann.lecun.com/exdb/mnist) of bytes."""
    with gzip.open(path) as f:
        rank = struct.unpack(">HBB", f.read(4))[2]
        shape = struct.unpack(f">{rank}I", f.read(4 * rank))
        return np.frombuffer(f.read(), np.uint8).reshape(shape)


def write_idx(path, array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as f:
        f.write(header + np.ascontiguousarray(array).tobytes())


class Conv:
    """A 5x5 convolution with ReLU and 2x2 max pooling, channels last."""

    def __init__(self, rng, cin, cout, pad):
        self.pad, self.cin, self.cout = pad, cin, cout
        self.w = (rng.standard_normal((25 * cin, cout)) * np.sqrt(2 / (25 * cin))).astype(np.float32)
        self.b = np.zeros(cout, np.float32)

    def forward(self, x):
        p = self.pad
        x = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
        self.padded = x.shape
        win = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(1, 2))  # n h w c 5 5
        n, h, w = win.shape[:3]
        self.cols = np.ascontiguousarray(win.transpose(0, 1, 2, 4, 5, 3)).reshape(-1, 25 * self.cin)
        y = np.maximum(self.cols @ self.w + self.b, 0).reshape(n, h // 2, 2, w // 2, 2, self.cout)
        out = y.max((2, 4))
        self.mask = (y == out[:, :, None, :, None]) & (y > 0)
        return out

    def backward(self, d):
        d = (self.mask * d[:, :, None, :, None]).reshape(-1, self.cout)
        self.dw, self.db = self.cols.T @ d, d.sum(0)
        if self.cin == 1:  # nothing lies before the first layer
            return None
        n, hp, wp, c = self.padded
        h, w = hp - 4, wp - 4
        dcols = (d @ self.w.T).reshape(n, h, w, 5, 5, c)
        dx = np.zeros(self.padded, np.float32)
        for i in range(5):
            for j in range(5):
                dx[:, i : i + h, j : j + w] += dcols[:, :, :, i, j]
        return dx


class Dense:
    """A fully connected layer, with ReLU unless it is the last."""

    def __init__(self, rng, cin, cout, last=False):
        self.last = last
        self.w = (rng.standard_normal((cin, cout)) * np.sqrt(2 / cin)).astype(np.float32)
        self.b = np.zeros(cout, np.float32)

    def forward(self, x):
        self.shape, self.x = x.shape, x.reshape(len(x), -1)
        self.y = self.x @ self.w + self.b
        return self.y if self.last else np.maximum(self.y, 0)

    def backward(self, d):
        if not self.last:
            d = d * (self.y > 0)
        self.dw, self.db = self.x.T @ d, d.sum(0)
        return (d @ self.w.T).reshape(self.shape)


def forward(layers, x):
    for layer in layers:
        x = layer.forward(x)
    return x


def adam(layers, moments, step, rate):
    """Adam (arXiv 1412.6980) with decoupled weight decay (arXiv 1711.05101)."""
    for layer in layers:
        for name, grad, decay in (("w", layer.dw, 1e-2), ("b", layer.db, 0)):
            m, v = moments.setdefault((id(layer), name), [0, 0])
            m, v = 0.9 * m + 0.1 * grad, 0.999 * v + 0.001 * grad * grad
            moments[id(layer), name] = [m, v]
            value = getattr(layer, name)
            update = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
            setattr(layer, name, (value - rate * (update + decay * value)).astype(np.float32))


def train(images, labels, epochs, batch=128):
    rng = np.random.default_rng(0)
    layers = [
        Conv(rng, 1, 6, 2),
        Conv(rng, 6, 16, 0),
        Dense(rng, 400, 120),
        Dense(rng, 120, 84),
        Dense(rng, 84, CLASSES, last=True),
    ]
    moments, steps, step = {}, epochs * (len(images) // batch), 0
    for epoch in range(epochs):
        order, loss, start = rng.permutation(len(images)), 0, time.time()
        for at in range(0, len(order) - batch + 1, batch):
            pick = order[at : at + batch]
            x, y = images[pick].astype(np.float32)[..., None] / 255, labels[pick]
            flip = rng.random(batch) < 0.5
            x[flip] = x[flip][:, :, ::-1]
            z = forward(layers, x)
            p = np.exp(z - z.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            loss -= np.log(p[np.arange(batch), y] + 1e-12).mean()
            p[np.arange(batch), y] -= 1
            d = (p / batch).astype(np.float32)
            for layer in reversed(layers):
                d = layer.backward(d)
            step += 1
            adam(layers, moments, step, 2e-3 * 0.5 * (1 + np.cos(np.pi * step / steps)))
        print(f"epoch {epoch + 1}: loss {loss / (len(order) // batch):.3f}, {time.time() - start:.0f} s", flush=True)
    return layers


def export(layers, path):
    conv1, conv2, *dense = layers
    nodes, weights, value = [], [], "image"

    def constant(array, name):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    for i, c in enumerate((conv1, conv2), 1):
        kernel = c.w.reshape(5, 5, c.cin, c.cout).transpose(3, 2, 0, 1)
        inputs = [value, constant(kernel, f"conv{i}.weight"), constant(c.b, f"conv{i}.bias")]
        value = node("Conv", inputs, f"conv{i}", kernel_shape=[5, 5], pads=[c.pad] * 4)
        value = node("Relu", [value], f"relu{i}")
        value = node("MaxPool", [value], f"pool{i}", kernel_shape=[2, 2], strides=[2, 2])
    value = node("Flatten", [value], "flatten")
    for i, d in enumerate(dense, 1):
        w = d.w
        if i == 1:  # from rows in the order h, w, c to ONNX's c, h, w
            w = w.reshape(5, 5, 16, -1).transpose(2, 0, 1, 3).reshape(w.shape)
        inputs = [value, constant(w.T, f"fc{i}.weight"), constant(d.b, f"fc{i}.bias")]
        value = node("Gemm", inputs, "logits" if d.last else f"fc{i}", transB=1)
        if not d.last:
            value = node("Relu", [value], f"relu{i + 2}")
    graph = helper.make_graph(
        nodes,
        "fashion_lenet5",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        weights,
        doc_string="LeNet-5 for Fashion-MNIST; image is x/255, logits are the ten classes",
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="testdata/make_fashion.py"
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, default="/usr/share/datasets/fashion-mnist", help="the four IDX files")
    p.add_argument("--out", type=pathlib.Path, default=HERE)
    p.add_argument("--epochs", type=int, default=12)
    a = p.parse_args()
    sets = {}
    for half in ("train", "t10k"):
        sets[half] = [read_idx(a.data / f"{half}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1")]
    (a.out / "models").mkdir(parents=True, exist_ok=True)
    (a.out / "data").mkdir(parents=True, exist_ok=True)
    for half, name, count in (("train", "fashion-train", 500), ("t10k", "fashion-test", 2000)):
        for array, kind in zip(sets[half], ("images", "labels")):
            write_idx(a.out / "data" / f"{name}-{kind}.gz", array[:count])
    layers = train(*sets["train"], a.epochs)
    export(layers, a.out / "models" / "fashion_lenet5.onnx")
    images, labels = sets["t10k"]
    right = forward(layers, images.astype(np.float32)[..., None] / 255).argmax(1) == labels
    print(f"top-1 {100 * right.mean():.2f} on 10000 test images, {100 * right[:2000].mean():.2f} on the bundled 2000")


if __name__ == "__main__":
    main()
