"""A small network in the forms of every opset, for the check that what we write is valid."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSETS = range(7, 27)  # ONNX Runtime refuses newer ones
ARGS = {
    "qdq": ["--style", "qdq"],
    "qoperator": ["--style", "qoperator"],
    "int8": ["--activations", "int8", "--style", "qoperator"],
    "dynamic": ["--mode", "dynamic"],
    "gpu": ["--target", "gpu"],
    "weight-only": ["--mode", "weight-only"],
}


def network(path, opset):
    """Whatever integers can pass, between two convolutions and a dense layer; x is float32[n,3,16,16]."""
    rng = np.random.default_rng(0)
    nodes, weights = [], []

    def const(name, value, dtype=np.float32):
        weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(op, *inputs, **attrs):
        name = f"{op}_{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [name], name, **attrs))
        return name

    def conv(x, cin, cout, **attrs):
        w = const(f"w{len(weights)}", rng.normal(size=(cout, cin, 3, 3)) / (3 * cin**0.5))
        return add("Conv", x, w, const(f"b{len(weights)}", rng.normal(size=cout) / 10), pads=[1, 1, 1, 1], **attrs)

    x = add("Relu", conv("x", 3, 8))
    x = add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    y = conv(x, 8, 8)
    y = add("Clip", y, const("lo", 0.0), const("hi", 6.0)) if opset >= 11 else add("Clip", y, min=0.0, max=6.0)
    x = add("Add", x, y)
    z = add("Concat", add("LeakyRelu", conv(x, 8, 8), alpha=0.1), add("Sigmoid", conv(x, 8, 8)), axis=1)
    z = add("Mul", z, conv(x, 8, 16))
    if opset >= 10:
        roi = [""] if opset >= 13 else [const("roi", [])] if opset >= 11 else []
        z = add("Resize", z, *roi, const("scales", [1, 1, 2, 2]), mode="nearest")
    z = add("AveragePool", conv(z, 16, 16), kernel_shape=[2, 2], strides=[2, 2])
    z = conv(add("Transpose", z, perm=[0, 1, 3, 2]), 16, 16)
    a, b = add("GlobalAveragePool", z), add("GlobalMaxPool", conv(z, 16, 16))
    z = add("Flatten", add("Concat", a, b, axis=1))
    z = add("MatMul", z, const("m", rng.normal(size=(32, 16)) / 6))
    z = add("Gemm", z, const("g", rng.normal(size=(16, 10)) / 4), const("c", rng.normal(size=10)))
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "valid", [info("x", TensorProto.FLOAT, ["n", 3, 16, 16])], [info(z, TensorProto.FLOAT, ["n", 10])], weights
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4 if opset < 10 else 8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
