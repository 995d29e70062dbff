"""Short runs of train, prune, distill and quantize on real data, and what their files must be."""

import dataclasses
import lzma
import math
import pathlib
import typing

import numpy as np
import onnx
import zstandard
from onnx import helper, numpy_helper

import runtime
from models import IMAGENET, MODELS
from tfsopt import ROOT, tfsopt

LENET = next(m for m in MODELS if m.name == "fashion")
RESNET = next(m for m in MODELS if m.name == "resnet8")
SQUEEZENET = next(m for m in MODELS if m.name == "squeezenet")
MOBILENET = next(m for m in MODELS if m.name == "mobilenetv1")

# Normalizations, whose statistics training moves, a residual sum, a depthwise convolution, a gate and an average.
BLOCK = """graph "block" {
  opset "" 17
  input x: float32[batch,1,28,28]
  const w1: float32[8,1,3,3] init=he
  c1 = Conv(x, w1) {pads=[1,1,1,1] strides=[2,2]} "conv1"
  const s1: float32[8] init=one
  const b1: float32[8] init=zero
  const m1: float32[8] init=zero
  const v1: float32[8] init=one
  n1 = BatchNormalization(c1, s1, b1, m1, v1) "norm1"
  r1 = Relu(n1) "relu1"
  const w2: float32[8,1,3,3] init=he
  c2 = Conv(r1, w2) {pads=[1,1,1,1] group=8} "conv2"
  const w3: float32[8,8,1,1] init=he
  c3 = Conv(c2, w3) "conv3"
  const s2: float32[8] init=one
  const b2: float32[8] init=zero
  const m2: float32[8] init=zero
  const v2: float32[8] init=one
  n2 = BatchNormalization(c3, s2, b2, m2, v2) "norm2"
  a2 = HardSwish(n2) "swish"
  sum = Add(r1, a2) "sum"
  p = AveragePool(sum) {kernel_shape=[2,2] strides=[2,2]} "pool"
  flat = Flatten(p) "flatten"
  const s3: float32[392] init=one
  const b3: float32[392] init=zero
  n3 = LayerNormalization(flat, s3, b3) "norm3"
  const w4: float32[10,392] init=he
  const b4: float32[10] init=zero
  logits = Gemm(n3, w4, b4) {transB=1} "fc"
  output logits
}
"""


@dataclasses.dataclass(frozen=True)
class File:
    """What a command wrote and said; plain is the file unpacked by other programs than ours."""

    path: pathlib.Path
    plain: pathlib.Path
    result: dict
    model: onnx.ModelProto
    sparse: list  # initializers that the file has sparse


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    command: list  # of tfsopt, without -o
    data: str  # on which both engines answer
    preprocess: str
    look: typing.Callable = lambda f: None  # says what is wrong with a file
    suffix: str = ".onnx"
    integer: bool = False  # whether answers may differ by a step
    quick: bool = False  # whether it is repeated often, for the check of bytes

    def make(self, tmp):
        """Runs the command and looks whether its file is valid ONNX."""
        path = plain = pathlib.Path(tmp, self.name.replace(" ", "_").replace(":", "_") + self.suffix)
        result = tfsopt(*self.command, "-o", path)
        if self.suffix.endswith(".xz"):
            plain = path.with_suffix("")
            plain.write_bytes(lzma.decompress(path.read_bytes()))
        elif self.suffix.endswith(".zst"):
            plain = path.with_suffix("")
            plain.write_bytes(zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes()))
        return File(path, plain, result, *valid(plain))


def unfolded(t):
    """The dense form of a sparse initializer."""
    w = np.zeros(math.prod(t.dims), helper.tensor_dtype_to_np_dtype(t.values.data_type))
    at = numpy_helper.to_array(t.indices)
    w[at if at.ndim == 1 else np.ravel_multi_index(at.T, tuple(t.dims))] = numpy_helper.to_array(t.values)
    return w.reshape(tuple(t.dims))


def valid(path):
    """Raises what onnx says against a file; gives the model, in which no initializer is sparse any more.

    Types are inferred with dense initializers: no operator's schema knows sparse ones, so onnx's own inference refuses
    any model that has them, and ONNX Runtime unfolds them too. The names of those that were sparse come second.
    """
    model = onnx.load(path)
    onnx.checker.check_model(model)
    sparse = list(model.graph.sparse_initializer)
    model.graph.initializer.extend(numpy_helper.from_array(unfolded(t), t.values.name) for t in sparse)
    del model.graph.sparse_initializer[:]
    onnx.checker.check_model(model, full_check=True)
    return model, [t.values.name for t in sparse]


def weights(model):
    """The matrices and kernels of a model, by name."""
    found = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    return {name: w for name, w in found.items() if w.dtype == np.float32 and w.ndim in (2, 4)}


def zeros(share):
    """The case's weights must have this share of zeros, and the large ones be stored sparse."""

    def look(f):
        found = weights(f.model)
        got = sum((w == 0).sum() for w in found.values()) / sum(w.size for w in found.values())
        if abs(got - share) > 0.01:
            return f"{100 * got:.1f} % zeros"
        if not f.sparse:
            return "no sparse initializer"

    return look


def two_of_four(f):
    """At most two of four neighbouring input channels of a tap are not zero."""
    for name, w in weights(f.model).items():
        rows = np.moveaxis(w, 1, -1)  # a Gemm with transB is out, in; a kernel is out, in, taps
        if rows.shape[-1] % 4:
            continue
        if ((rows.reshape(-1, 4) != 0).sum(1) > 2).any():
            return f"{name} is not 2:4"


def lighter(share):
    """The case's model must do at most this share of the multiply-adds of the model in the command."""

    def look(f):
        before, after = (tfsopt("inspect", path)["flops"] for path in (f.result["input"]["path"], f.result["output"]["path"]))
        if not 0 < after <= share * before:
            return f"{after / before:.2f} of the work"
        if f.sparse:
            return "zeros are kept"

    return look


def shared(f):
    """Weights are codebooks with indices."""
    if not any(n.op_type == "Gather" for n in f.model.graph.node):
        return "no codebook"


def stepped(f):
    """Indices of nonzero weights lie beside the steps between them."""
    if not any(n.op_type == "ScatterElements" for n in f.model.graph.node):
        return "no weight by its nonzero elements"


def fused(f):
    """ONNX Runtime runs every convolution and product in integers."""
    _, counts = runtime.fused(f.plain)
    return ", ".join(sorted(runtime.FLOAT & set(counts))) and "not fused"


def four_bits(f):
    if not any(t.data_type in (onnx.TensorProto.INT4, onnx.TensorProto.UINT4) for t in f.model.graph.initializer):
        return "no weight of four bits"


def moved(f):
    """Training moved the normalizations' statistics from where the text form has them."""
    found = {t.name: numpy_helper.to_array(t) for t in f.model.graph.initializer}
    for n in f.model.graph.node:
        if n.op_type == "BatchNormalization" and ((found[n.input[3]] == 0).all() or (found[n.input[4]] == 1).all()):
            return f"{n.name} has its first statistics"


def on_fashion(tmp):
    """LeNet-5 and a small net with normalizations on the bundled images."""
    net, block = ROOT / "testdata/nets/fashion5.tfg", pathlib.Path(tmp, "block.tfg")
    block.write_text(BLOCK)
    read = ["--data", LENET.calibrate, "--preprocess", LENET.preprocess]
    fit = read + ["--epochs", 2, "--batch", 50, "--lr", 0.01, "--checkpoint", "none"]
    extra = ["--flip", "--crop", 2, "--mixup", 0.2, "--label-smoothing", 0.1, "--clip-norm", 5]
    qat = ["--qat", *fit, "--lr", 0.001]
    lenet = LENET.path
    pruned = pathlib.Path(tmp, "pruned.onnx")
    tfsopt("prune", lenet, "-o", pruned, "--sparsity", 0.9)
    quick, zst, xz, integer = {"quick": True}, {"suffix": ".onnx.zst"}, {"suffix": ".onnx.xz"}, {"integer": True}
    for name, command, look, more in [
        ("train", ["train", net, *fit, *extra], None, quick),
        ("train adamw", ["train", block, *fit, "--optimizer", "adamw", "--lr", 0.003], moved, quick),
        ("prune unstructured", ["prune", lenet, *fit, "--sparsity", 0.9], zeros(0.9), {}),
        ("prune reconstruct", ["prune", lenet, *read, "--sparsity", 0.8, "--reconstruct"], zeros(0.8), {}),
        ("prune 2:4", ["prune", lenet, *fit, "--pattern", "2:4", "--sparsity", 0.5], two_of_four, {}),
        ("prune channel", ["prune", lenet, *fit, "--pattern", "channel", "--sparsity", 0.5], lighter(0.5), quick),
        ("prune zst", ["prune", lenet, "--sparsity", 0.9], zeros(0.9), zst),
        ("prune xz", ["prune", lenet, "--sparsity", 0.9], zeros(0.9), xz),
        ("distill width", ["distill", "--teacher", lenet, "--width", 0.5, *fit, "--teacher-cache", "none"], None, quick),
        ("codebook", ["quantize", lenet, "--mode", "codebook"], shared, {}),
        ("codebook xz", ["quantize", lenet, "--mode", "codebook"], shared, xz),
        ("codebook pruned zst", ["quantize", pruned, "--mode", "codebook"], stepped, zst),
        ("qat int8", ["quantize", lenet, *qat], fused, {**integer, **quick}),
        ("qat int4", ["quantize", lenet, *qat, "--weights", "int4"], four_bits, integer),
    ]:
        more = more if look is None else {**more, "look": look}
        yield Case(f"lenet {name}", command, LENET.judge, LENET.preprocess, **more)


def on_shared():
    """Models of other programs, in NHWC behind Transposes or with squeezing blocks, on a few images of their own."""

    def run(m, images, data):
        fit = ["--data", images, "--preprocess", m.preprocess, "--label-offset", m.offset, "--epochs", 1, "--batch", 10]
        fit += ["--lr", 0.001, "--checkpoint", "none"]
        channels = ["--pattern", "channel", "--criterion", "taylor", "--sparsity", 0.1]
        yield Case(f"{m.name} train", ["train", m.path, *fit], data, m.preprocess)
        yield Case(f"{m.name} prune channel", ["prune", m.path, *channels, *fit], data, m.preprocess, lighter(0.91))
        yield Case(f"{m.name} prune unstructured", ["prune", m.path, "--sparsity", 0.8], data, m.preprocess, zeros(0.8))
        yield Case(f"{m.name} prune 2:4", ["prune", m.path, "--pattern", "2:4"], data, m.preprocess, two_of_four)
        qat = ["quantize", m.path, "--qat", *fit, "--lr", 0.0001]
        yield Case(f"{m.name} qat int8", qat, data, m.preprocess, fused, integer=True)

    if RESNET.present():
        images, data = f"{RESNET.judge}#1::20", f"{RESNET.judge}#::4"
        yield from run(RESNET, images, data)
        student = ["distill", "--teacher", RESNET.path, "--teacher-cache", "none", "--data", images, "--batch", 10]
        for part, share in (("width", 0.5), ("depth", 0.4)):  # it has one block to leave out
            command = [*student, f"--{part}", share, "--epochs", 3, "--lr", 0.0003, "--clip-norm", 10, "--checkpoint", "none"]
            yield Case(f"resnet8 distill {part}", command, data, RESNET.preprocess, lighter(0.8))
    for m in (MOBILENET, SQUEEZENET):
        if m.present():
            yield from run(m, f"{IMAGENET}#::50", f"{IMAGENET}#1::25")
