"""Models that are mostly zeros: what this program writes sparse must be the same model to ONNX Runtime."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def mostly_zeros(path, kept):
    """Writes a convolution and a product, of whose weights the share `kept` is not zero; dense, as any exporter would."""
    rng = np.random.default_rng(5)

    def weight(name, *shape):
        w = np.where(rng.random(shape) < kept, rng.standard_normal(shape), 0.0)  # a product would give -0 too
        return numpy_helper.from_array(w.astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "conv.w", "conv.b"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("Flatten", ["r"], ["f"], name="flatten"),
        helper.make_node("MatMul", ["f", "matmul.w"], ["y"], name="matmul"),
    ]
    graph = helper.make_graph(
        nodes, "zeros", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 50])],
        [weight("conv.w", 32, 16, 3, 3), numpy_helper.from_array(rng.standard_normal(32).astype(np.float32), "conv.b"),
         weight("matmul.w", 2048, 50)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def sparse_names(path):
    """The sparse initializers of a model."""
    g = onnx.load(path).graph
    return sorted(s.values.name for s in g.sparse_initializer)
