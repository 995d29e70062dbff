"""The models that are judged, and what they must reach."""

import dataclasses

from tfsopt import ROOT, SHARED

FASHION = ROOT / "testdata" / "data"
IMAGENET = SHARED / "data" / "imagenet-500"
KWS = f"{SHARED}/data/kws/x_int8.npy,labels.npy"


@dataclasses.dataclass(frozen=True)
class Model:
    name: str
    path: object
    preprocess: str
    data: str  # everything that has a label
    top1: float  # what ONNX Runtime scores with the float model on data, in percent
    calibrate: str = ""  # samples that are not in judge; "" where the model is only scored as float
    judge: str = ""
    samples: int = 0  # of calibrate; 0: all
    offset: int = 0  # --label-offset
    drop: float = 0.0  # int8 may lose this many points of top-1 ...
    agreement: float = 0.0  # ... and must give the same class for this many percent
    size: float = 1.0  # int8 bytes over float bytes

    def present(self):
        return self.path.exists()

    def quantize(self, samples=0):
        """The arguments of `tfsopt quantize` behind the model, but for -o."""
        args = ["--data", self.calibrate, "--preprocess", self.preprocess]
        n = samples or self.samples
        return args + (["--samples", n] if n else [])



# Of 400 images one is 0.25 points: a drop may pass its bound by one standard error, which check.py adds.
MODELS = [
    Model(
        "fashion", ROOT / "testdata/models/fashion_lenet5.onnx", "unit",
        f"{FASHION}/fashion-test-images.gz,fashion-test-labels.gz", 91.35,
        calibrate=f"{FASHION}/fashion-train-images.gz,fashion-train-labels.gz",
        judge=f"{FASHION}/fashion-test-images.gz,fashion-test-labels.gz",
        drop=0.3, agreement=98.5, size=0.30,
    ),
    Model(
        "kws", SHARED / "models/kws_dscnn/dscnn_kws_fp32.onnx", "none:mean=83,std=1.7102703", KWS, 90.6,
        calibrate=KWS + "#::5", judge=KWS + "#!::5", drop=0.3, agreement=98.5,
    ),
    Model(
        "resnet8", SHARED / "models/resnet8_cifar10/resnet8_cifar10_fp32.onnx", "none",
        f"{SHARED}/data/cifar10-test", 75.85,
        calibrate=f"{SHARED}/data/cifar10-train.tar.gz", judge=f"{SHARED}/data/cifar10-test", samples=256,
        drop=0.2, agreement=97,
    ),
    Model(
        "squeezenet", SHARED / "models/squeezenet/squeezenet1.1_fp32.onnx", "caffe:crop=224", f"{IMAGENET}", 58.6,
        calibrate=f"{IMAGENET}#::5", judge=f"{IMAGENET}#!::5", drop=0.5, agreement=94.5, size=0.27,
    ),
    Model(
        "efficientnet", SHARED / "models/efficientnet_lite0/efficientnet_lite0.onnx", "none:crop=224,mean=127,std=128",
        f"{IMAGENET}#100:", 87.5,
        calibrate=f"{IMAGENET}#::5", judge=f"{IMAGENET}#!::5", drop=0.5, agreement=97.5, size=0.27,
    ),
    Model(
        "mobilenetv1", SHARED / "models/mobilenet_v1_025/mobilenet_v1_0.25_224_fp32.onnx", "tf:crop=224",
        f"{IMAGENET}", 55.2, offset=1,
        calibrate=f"{IMAGENET}#::5", judge=f"{IMAGENET}#!::5", drop=0.5, agreement=89.5, size=0.29,
    ),
    Model(
        "mnist", SHARED / "models/mnist/mnist.onnx", "none",
        f"{SHARED}/data/mnist/t10k-images-idx3-ubyte.gz,t10k-labels-idx1-ubyte.gz", 98.91,
    ),
    Model(
        "squeezenet-fp16", SHARED / "models/squeezenet/squeezenet1.1_fp16.onnx", "caffe:crop=224", f"{IMAGENET}", 58.6,
    ),
]
