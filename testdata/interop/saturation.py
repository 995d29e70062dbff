#!/usr/bin/env python3
"""Writes saturation.npz: 8-bit products as ONNX Runtime adds them on a machine without VNNI.

    PYTHON testdata/interop/saturation.py, on such a machine or under `qemu-x86_64 -cpu max`

quantize/saturation_test.go compares them with this project's emulation. A case c has the operands c.x and c.w, c.op (the
operator and what it is told), and c.y: the int32 sums, or for 8-bit results clamp(roundeven(sum / 256)).
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import runtime

HERE = pathlib.Path(__file__).resolve().parent


def run(nodes, constants, x):
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind, x.shape)], [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return runtime.session_of(model.SerializeToString()).run(None, {"x": x})[0]


def integer(x, w):
    """MatMulInteger: int32."""
    return run([helper.make_node("MatMulInteger", ["x", "w"], ["y"])], {"w": w}, x)


def scaled(op, x, w, **attributes):
    """An operator with 8-bit results, scales 1, 1 and 256."""
    domain = "com.microsoft" if op == "QGemm" else ""
    zero, one = np.zeros((), x.dtype), np.float32(1)
    constants = {"w": w, "one": one, "xz": zero, "wz": np.zeros((), w.dtype), "ys": np.float32(256)}
    inputs = ["x", "one", "xz", "w", "one", "wz", *([""] if op == "QGemm" else []), "ys", "xz"]
    return run([helper.make_node(op, inputs, ["y"], domain=domain, **attributes)], constants, x)


def sums_saturate():
    x, w = np.full((1, 2), 255, np.uint8), np.full((2, 1), 127, np.int8)
    return int(integer(x, w)[0, 0]) == 32767


def cases():
    """Seeded operands of each case and what ONNX Runtime makes of them here: name, op, x, w, y."""
    rng = np.random.default_rng(0)

    def draw(kind, *shape):
        """Half the weights are large, so that many sums saturate."""
        if kind == "u8":
            return rng.integers(0, 256, shape).astype(np.uint8)
        small, large = rng.integers(-40, 41, shape), rng.integers(90, 128, shape) * rng.choice([-1, 1], shape)
        return np.where(rng.random(shape) < 0.5, small, large).astype(np.int8)

    for name, left, right, k in [("pairs", "u8", "s8", 2), ("u8s8", "u8", "s8", 33), ("s8s8", "s8", "s8", 20), ("u8u8", "u8", "u8", 20)]:
        x, w = draw(left, 24, k), draw(right, k, 24)
        yield name, [0, 0], x, w, integer(x, w)
    x, w = draw("u8", 9, 21), draw("s8", 12, 21)
    yield "transposed", [1, 0], x, w, scaled("QGemm", x, w, transB=1)
    for name, group, shape in [
        ("conv", 1, (16, 4, 3, 3)), ("conv_odd", 1, (16, 3, 2, 3)), ("conv_groups", 2, (16, 5, 2, 2)), ("conv_1d", 1, (16, 3, 5)),
        ("conv_3d", 1, (16, 3, 2, 2, 2)), ("multiplier", 8, (16, 1, 3, 3)), ("depthwise", 16, (16, 1, 3, 3)),
    ]:
        x, w = draw("u8", 4, group * shape[1], *shape[2:]), draw("s8", *shape)
        yield name, [2, group], x, w, scaled("QLinearConv", x, w, group=group)


EXACT = {"s8s8", "u8u8", "depthwise"}  # cases whose sums do not saturate anywhere


def emulated(x, w):
    """Products of matrices whose neighbours are added in saturating int16."""
    p = x.astype(np.int32)[:, :, None] * w.astype(np.int32)
    p = np.pad(p, ((0, 0), (0, p.shape[1] % 2), (0, 0)))
    return np.clip(p[:, ::2] + p[:, 1::2], -32768, 32767).sum(axis=1)


def differences():
    """Compares the record with what ONNX Runtime gives here, or where it adds exactly with an emulation; names what differs."""
    real, wrong = sums_saturate(), []
    with np.load(HERE / "saturation.npz") as record:
        for name, op, x, w, y in cases():
            if not (np.array_equal(x, record[f"{name}.x"]) and np.array_equal(w, record[f"{name}.w"])):
                wrong.append(f"{name}: other operands")
            if not real and op == [0, 0] and name not in EXACT:
                y = emulated(x, w)
            elif not real and name not in EXACT:
                continue
            if not np.array_equal(y, record[f"{name}.y"]):
                wrong.append(f"{name}: other sums")
    return wrong


def main():
    if not sums_saturate():
        sys.exit("this machine adds exactly: run it where VNNI is missing, or under qemu-x86_64 -cpu max")
    out = {}
    for name, op, x, w, y in cases():
        out.update({f"{name}.x": x, f"{name}.w": w, f"{name}.y": y, f"{name}.op": np.array(op)})
    np.savez_compressed(HERE / "saturation.npz", **out)


if __name__ == "__main__":
    main()
