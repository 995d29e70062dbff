#!/usr/bin/env python3
"""Writes gradients.npz: inputs, results and gradients of small computations as PyTorch sees them.

    PYTHON testdata/interop/gradients.py, with the PYTHON that `make -n bench-peers` names for PyTorch

train/torch_test.go builds the same computations as graphs and compares. For a case c the file has its inputs c.in.NAME,
its results c.out.0, c.out.1, …, the gradients c.dy.0, … of the results and c.grad.NAME, those of the inputs that have
one. Numbers are float32; PyTorch computes in float64. Layouts and orders of gates are ONNX's.
"""

import pathlib
import zlib

import numpy as np
import torch
import torch.nn.functional as F

CASES = {}


class Input:
    """How an input is drawn, and whether it has a gradient."""

    def __init__(self, draw, grad=True):
        self.draw, self.grad = draw, grad


def normal(*shape, scale=0.6, grad=True):
    return Input(lambda rng: (rng.standard_normal(shape) * scale).astype(np.float32), grad)


def variance(n):
    return Input(lambda rng: rng.uniform(0.5, 2, n).astype(np.float32), False)


def integers(high, *shape):
    return Input(lambda rng: rng.integers(0, high, shape), False)


def distribution(*shape):
    return Input(lambda rng: rng.dirichlet(np.ones(shape[-1]), shape[:-1]).astype(np.float32), False)


def case(**inputs):
    """Registers a function of these inputs; a tuple is the shape of normal numbers."""

    def register(f):
        CASES[f.__name__] = f, {k: normal(*v) if isinstance(v, tuple) else v for k, v in inputs.items()}
        return f

    return register


@case(x=(2, 4, 9, 8), w=(6, 2, 3, 3), b=(6,))
def conv(x, w, b):
    return F.conv2d(x, w, b, stride=2, padding=1, dilation=2, groups=2)


@case(x=(1, 3, 6, 7), w=(4, 3, 2, 3))
def conv_uncovered(x, w):
    return F.conv2d(x, w, stride=(3, 2))


@case(x=(2, 5, 7, 6), w=(5, 1, 3, 3), b=(5,))
def conv_depthwise(x, w, b):
    return F.conv2d(x, w, b, padding=1, groups=5)


@case(x=(2, 3, 11), w=(4, 3, 3), b=(4,))
def conv_line(x, w, b):
    return F.conv1d(x, w, b, stride=2, padding=2)


@case(x=(1, 2, 4, 5, 4), w=(3, 2, 2, 3, 2))
def conv_volume(x, w):
    return F.conv3d(x, w, stride=(1, 2, 1))


@case(x=(2, 4, 4, 5), w=(4, 3, 3, 3), b=(6,))
def conv_transpose(x, w, b):
    return F.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1, groups=2)


@case(x=(2, 3, 7, 8))
def max_pool(x):
    return F.max_pool2d(x, 3, stride=2, padding=1)


@case(x=(2, 3, 7, 8))
def max_pool_ceil(x):
    return F.max_pool2d(x, 3, stride=2, ceil_mode=True)


@case(x=(2, 3, 7, 8))
def average_pool(x):
    return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)


@case(x=(2, 3, 7, 8))
def average_pool_padded(x):
    return F.avg_pool2d(x, (3, 2), stride=2, padding=(1, 0), count_include_pad=True)


@case(x=(2, 3, 7, 8))
def average_pool_ceil(x):
    return F.avg_pool2d(x, 3, stride=2, padding=1, ceil_mode=True, count_include_pad=True)


@case(x=(2, 3, 7))
def norm_pool(x):
    return F.lp_pool1d(x.abs(), 3, 3, stride=2) + F.adaptive_max_pool1d(x, 1)


@case(x=(4, 5, 3, 4), scale=(5,), bias=(5,))
def batch_norm(x, scale, bias):
    return F.batch_norm(x, None, None, scale, bias, training=True, eps=1e-3)


@case(x=(4, 5, 3, 4), scale=(5,), bias=(5,), mean=normal(5, grad=False), var=variance(5))
def batch_norm_frozen(x, scale, bias, mean, var):
    return F.batch_norm(x, mean, var, scale, bias, training=False, eps=1e-3)


@case(x=(3, 4, 6), scale=(6,), bias=(6,))
def layer_norm(x, scale, bias):
    return F.layer_norm(x, (6,), scale, bias, eps=1e-5)


@case(x=(2, 6, 3, 4), scale=(6,), bias=(6,))
def group_norm(x, scale, bias):
    return F.group_norm(x, 3, scale, bias, eps=1e-5)


@case(x=(2, 3, 4, 5), scale=(3,), bias=(3,))
def instance_norm(x, scale, bias):
    return F.instance_norm(x, weight=scale, bias=bias, eps=1e-5)


@case(x=(2, 7, 3, 2))
def local_response_norm(x):
    return F.local_response_norm(x, 5, alpha=0.3, beta=0.75, k=1.5)


@case(x=(1, 2, 3, 4))
def resize_linear(x):
    return F.interpolate(x, size=(7, 6), mode="bilinear", align_corners=False)


@case(x=(1, 2, 3, 4))
def resize_corners(x):
    return F.interpolate(x, size=(5, 9), mode="bilinear", align_corners=True)


@case(x=(1, 2, 3, 4))
def resize_nearest(x):
    return F.interpolate(x, scale_factor=2, mode="nearest")


@case(x=(1, 1, 5, 4))
def resize_cubic(x):
    return F.interpolate(x, size=(8, 7), mode="bicubic", align_corners=False)


@case(x=(2, 2, 4, 5), grid=(2, 3, 3, 2))
def grid_sample(x, grid):
    return F.grid_sample(x, 1.8 * grid, mode="bilinear", padding_mode="zeros", align_corners=False)


@case(x=(1, 2, 5, 4), grid=(1, 3, 4, 2))
def grid_sample_cubic(x, grid):
    return F.grid_sample(x, 1.8 * grid, mode="bicubic", padding_mode="reflection", align_corners=True)


@case(x=(5, 7))
def gelu(x):
    return F.gelu(x)


@case(x=(5, 7))
def gelu_tanh(x):
    return F.gelu(x, approximate="tanh")


@case(x=(5, 7))
def activations(x):
    return F.silu(x) + F.elu(x, 0.7) * F.softplus(x) + F.hardswish(3 * x) + F.mish(x) + torch.erf(x)


@case(z=(6, 5), t=distribution(6, 5))
def cross_entropy(z, t):
    return F.cross_entropy(z, t, label_smoothing=0.1)


@case(z=(6, 5, 2), weight=Input(lambda rng: rng.uniform(0.5, 2, 5).astype(np.float32), False), t=integers(5, 6, 2))
def class_weights(z, weight, t):
    return F.cross_entropy(z, t, weight, ignore_index=3)


@case(z=(6, 5), teacher=normal(6, 5, grad=False))
def kl(z, teacher):
    t = 4.0
    log_q, log_p = F.log_softmax(z / t, 1), F.log_softmax(teacher / t, 1)
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True) * t * t


def recurrent(kind, order, x, w, r, b, h, c=None):
    """One layer from weights in ONNX's layout; order gives PyTorch's gates as indices of ONNX's."""
    dirs, hidden = w.shape[0], r.shape[2]
    net = getattr(torch.nn, kind)(x.shape[2], hidden, bidirectional=dirs == 2, dtype=torch.float64)
    weights = {}
    for d in range(dirs):
        end = "_l0" + ("_reverse" if d else "")
        both = b[d].view(2, len(order), hidden)[:, order].reshape(2, -1)
        for name, m in (("ih", w), ("hh", r)):
            weights["weight_" + name + end] = m[d].view(len(order), hidden, -1)[order].reshape(len(order) * hidden, -1)
        weights["bias_ih" + end], weights["bias_hh" + end] = both[0], both[1]
    y, states = torch.func.functional_call(net, weights, (x, h if c is None else (h, c)))
    seq, batch = x.shape[:2]
    y = y.view(seq, batch, dirs, hidden).transpose(1, 2)
    return (y, states) if c is None else (y, *states)


@case(x=(5, 2, 3), w=(2, 16, 3), r=(2, 16, 4), b=(2, 32), h=(2, 2, 4), c=(2, 2, 4))
def lstm(x, w, r, b, h, c):
    return recurrent("LSTM", [0, 2, 3, 1], x, w, r, b, h, c)


@case(x=(5, 2, 3), w=(2, 12, 3), r=(2, 12, 4), b=(2, 24), h=(2, 2, 4))
def gru(x, w, r, b, h):
    return recurrent("GRU", [1, 0, 2], x, w, r, b, h)


@case(x=(5, 2, 3), w=(1, 4, 3), r=(1, 4, 4), b=(1, 8), h=(1, 2, 4))
def rnn(x, w, r, b, h):
    return recurrent("RNN", [0], x, w, r, b, h)


@case(q=(2, 4, 3, 5), k=(2, 2, 6, 5), v=(2, 2, 6, 4), mask=(2, 1, 3, 6))
def attention(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.4, enable_gqa=True)


@case(q=(1, 2, 5, 4), k=(1, 2, 5, 4), v=(1, 2, 5, 4))
def attention_causal(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


@case(x=(7, 6), w1=(6, 9), b1=(9,), w2=(9, 8), b2=(8,), w3=(8, 4), b3=(4,), t=distribution(7, 4))
def mlp(x, w1, b1, w2, b2, w3, b3, t):
    h = torch.tanh(x @ w1 + b1)
    return F.cross_entropy(torch.relu(h @ w2 + b2) @ w3 + b3, t)


@case(
    x=(3, 1, 14, 14), c1=(4, 1, 5, 5), d1=(4,), c2=(6, 4, 5, 5), d2=(6,), w1=normal(54, 12, scale=0.3), b1=(12,),
    w2=normal(12, 5, scale=0.3), b2=(5,), t=distribution(3, 5),
)
def lenet(x, c1, d1, c2, d2, w1, b1, w2, b2, t):
    x = F.avg_pool2d(torch.tanh(F.conv2d(x, c1, d1, padding=2)), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, c2, d2, padding=2)), 3, stride=2)
    x = torch.relu(x.flatten(1) @ w1 + b1)
    return F.cross_entropy(x @ w2 + b2, t)


@case(
    x=(3, 4, 6, 6), w1=(6, 4, 3, 3), s1=(6,), b1=(6,), w2=(6, 6, 3, 3), s2=(6,), b2=(6,), skip=(6, 4, 1, 1), s3=(6,), b3=(6,),
)
def residual(x, w1, s1, b1, w2, s2, b2, skip, s3, b3):
    def norm(v, s, b):
        return F.batch_norm(v, None, None, s, b, training=True, eps=1e-5)

    y = torch.relu(norm(F.conv2d(x, w1, stride=2, padding=1), s1, b1))
    y = norm(F.conv2d(y, w2, padding=1), s2, b2)
    return torch.relu(y + norm(F.conv2d(x, skip, stride=2), s3, b3)).mean((2, 3))


@case(
    x=(3, 3, 6, 6), up=(8, 3, 1, 1), s1=(8,), b1=(8,), deep=(8, 1, 3, 3), s2=(8,), b2=(8,), squeeze=(8, 2), sb=(2,),
    excite=(2, 8), eb=(8,), down=(3, 8, 1, 1), s3=(3,), b3=(3,),
)
def depthwise(x, up, s1, b1, deep, s2, b2, squeeze, sb, excite, eb, down, s3, b3):
    def norm(v, s, b):
        return F.batch_norm(v, None, None, s, b, training=True, eps=1e-5)

    y = F.relu6(4 * norm(F.conv2d(x, up), s1, b1))
    y = F.hardswish(norm(F.conv2d(y, deep, padding=1, groups=8), s2, b2))
    gate = F.hardsigmoid(torch.relu(y.mean((2, 3)) @ squeeze + sb) @ excite + eb)
    return x + norm(F.conv2d(y * gate[:, :, None, None], down), s3, b3)


@case(
    ids=integers(9, 2, 5), table=(9, 8), g1=(8,), h1=(8,), qkv=normal(8, 24, scale=0.4), qkv_bias=(24,), proj=(8, 8), proj_bias=(8,),
    g2=(8,), h2=(8,), w1=(8, 16), b1=(16,), w2=(16, 8), b2=(8,),
)
def transformer(ids, table, g1, h1, qkv, qkv_bias, proj, proj_bias, g2, h2, w1, b1, w2, b2):
    x = F.embedding(ids, table)
    y = F.layer_norm(x, (8,), g1, h1) @ qkv + qkv_bias
    q, k, v = y.view(2, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
    p = torch.softmax(q @ k.transpose(-1, -2) / 2, -1)
    x = x + (p @ v).transpose(1, 2).reshape(2, 5, 8) @ proj + proj_bias
    return x + F.gelu(F.layer_norm(x, (8,), g2, h2) @ w1 + b1) @ w2 + b2


def run(name):
    f, inputs = CASES[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    arrays, args = {}, {}
    for k, i in inputs.items():
        v = i.draw(rng)
        arrays[f"{name}.in.{k}"] = v
        v = torch.from_numpy(v)
        args[k] = v.double().requires_grad_(i.grad) if v.is_floating_point() else v
    out = f(**args)
    out = out if isinstance(out, tuple) else (out,)
    loss = 0
    for i, y in enumerate(out):
        dy = np.asarray(rng.standard_normal(tuple(y.shape)), np.float32)
        arrays[f"{name}.out.{i}"], arrays[f"{name}.dy.{i}"] = y.detach().numpy().astype(np.float32), dy
        loss = loss + (y * torch.from_numpy(dy)).sum()
    loss.backward()
    for k, i in inputs.items():
        if i.grad:
            arrays[f"{name}.grad.{k}"] = args[k].grad.numpy().astype(np.float32)
    return arrays


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    arrays = {}
    for name in CASES:
        arrays.update(run(name))
    path = pathlib.Path(__file__).with_name("gradients.npz")
    np.savez_compressed(path, **arrays)
    print(f"{path}: {len(CASES)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
