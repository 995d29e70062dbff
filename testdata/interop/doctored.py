"""int8 files of ONNX Runtime's own quantizer, which saturate on CPUs without VNNI, before and after `tfsopt doctor`."""

import pathlib
import tempfile

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from tfsopt import answers


class Samples(CalibrationDataReader):
    """What our own preprocessing makes of a data set, sample by sample."""

    def __init__(self, m, most):
        with tempfile.TemporaryDirectory() as out:
            answers(m.path, m.calibrate + ("" if "#" in m.calibrate else f"#0:{most}"), m.preprocess, out)
            files = sorted(pathlib.Path(out).glob("in_*.npy"), key=lambda p: int(p.stem[3:]))
            rows = np.concatenate([np.load(f) for f in files])[:most]
        self.name, self.rows = None, iter(rows)

    def get_next(self):
        row = next(self.rows, None)
        return None if row is None else {self.name: row[None]}


def quantized(m, input_name, path, most=64):
    """Writes m as onnxruntime.quantization quantizes it: QDQ, uint8 activations, int8 weights by channel."""
    prepared = pathlib.Path(path).with_suffix(".prepared.onnx")
    quant_pre_process(str(m.path), str(prepared), skip_symbolic_shape=True)
    samples = Samples(m, most)
    samples.name = input_name
    quantize_static(
        str(prepared), str(path), samples, quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )
