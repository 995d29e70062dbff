#!/usr/bin/env python3
"""Times training steps of this engine and of PyTorch in turns: forward, cross entropy, backward, SGD with momentum.

    bench_train.py [--net NAME]... [--threads N]... [--slices 6] [--seconds 1] [--json]

Networks are defined here, as PyTorch's modules; ours is their text form. Both sides start from the same batch and
parameters, and their first losses must agree, so that both are known to do the same work. PyTorch runs as it comes
(oneDNN), with torch.set_num_threads. A slice is --seconds of PyTorch, then as long of this engine. The ratio is PyTorch's
time over ours: `median` is that of the slices' ratios of medians, `min` compares the best step of either side. Memory is
the peak of a process that trains; from PyTorch's we take off what it needs once imported, from ours nothing.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from tfsopt import ROOT, Failed, peak

STEPS = ROOT / "bin" / "steps"
FIRST, LEAST = 4, 3  # as in steps/main.go
RATE, MOMENTUM = 0.001, 0.9
SAME_LOSS = 1e-3  # share by which the first losses may differ


def nets():
    """The networks: batch, shape of a sample, module. Only here is PyTorch needed."""
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, body, skip):
            super().__init__()
            self.body, self.skip, self.relu = body, skip, nn.ReLU()

        def forward(self, x):
            return self.relu(self.body(x) + self.skip(x))

    def cnn():
        return nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
        )

    def resnet8():
        """That of MLPerf Tiny, normalizations folded into the convolutions."""
        layers, c = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()], 16
        for width, stride in (16, 1), (32, 2), (64, 2):
            body = nn.Sequential(
                nn.Conv2d(c, width, 3, stride, 1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1),
            )
            layers.append(Residual(body, nn.Identity() if stride == 1 else nn.Conv2d(c, width, 1, stride)))
            c = width
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))

    def lenet5():
        return nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
        )

    def mobilenet():
        """MobileNetV1 (arXiv 1704.04861) of width 0.25, normalizations folded into the convolutions."""
        layers, c = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU()], 8
        for width, stride in [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]:
            layers += [nn.Conv2d(c, c, 3, stride, 1, groups=c), nn.ReLU(), nn.Conv2d(c, width, 1), nn.ReLU()]
            c = width
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))

    return {
        "cnn": (64, (1, 28, 28), cnn),
        "resnet8": (64, (3, 32, 32), resnet8),
        "lenet5": (128, (1, 28, 28), lenet5),
        "mobilenet": (32, (3, 96, 96), mobilenet),
    }


NAMES = ["cnn", "resnet8", "lenet5", "mobilenet"]


class Text:
    """The text form of a module, and its parameters in that order."""

    def __init__(self, name, sample, module):
        self.parameters, self.count = [], 0
        size = ",".join(map(str, sample))
        self.lines = [f'graph "{name}" {{', '  opset "" 17', f"  input x: float32[batch,{size}]"]
        self.lines += [f"  output {self.module('x', module)}", "}"]

    def node(self, op, inputs, attributes="", module=None):
        """Adds a node, with the weight and the bias of a module as further inputs."""
        self.count += 1
        for p in module.parameters() if module else []:
            name, size = f"p{len(self.parameters)}", ",".join(map(str, p.shape))
            self.lines.append(f"  const {name}: float32[{size}] init={'he' if p.dim() > 1 else 'zero'}")
            self.parameters.append(p)
            inputs = [*inputs, name]
        self.lines.append(f"  v{self.count} = {op}({', '.join(inputs)}) {{{attributes}}}")
        return f"v{self.count}"

    def module(self, v, m):
        """Adds what a module makes of the value v, and names it."""
        kind = type(m).__name__
        if kind == "Sequential":
            for part in m:
                v = self.module(v, part)
            return v
        if kind == "Residual":
            return self.node("Relu", [self.node("Add", [self.module(v, m.body), self.module(v, m.skip)])])
        if kind == "Conv2d":
            (sy, sx), (py, px) = m.stride, m.padding
            return self.node("Conv", [v], f"strides=[{sy},{sx}] pads=[{py},{px},{py},{px}] group={m.groups}", m)
        if kind == "MaxPool2d":
            k = m.kernel_size
            return self.node("MaxPool", [v], f"kernel_shape=[{k},{k}] strides=[{k},{k}]")
        if kind == "Linear":
            return self.node("Gemm", [v], "transB=1", m)
        plain = {"ReLU": "Relu", "Flatten": "Flatten", "AdaptiveAvgPool2d": "GlobalAveragePool", "Identity": "Identity"}
        return self.node(plain[kind], [v])


def peer(name, threads, folder):
    """PyTorch's side: says the same as bin/steps does."""
    import numpy as np
    import torch

    imported = peak("self")
    torch.set_num_threads(threads)
    _, sample, build = nets()[name]
    net = build()
    with torch.no_grad():
        for i, p in enumerate(Text(name, sample, net).parameters):
            p.copy_(torch.from_numpy(np.load(pathlib.Path(folder, f"p_{i}.npy"))))
    x, y = (torch.from_numpy(np.load(pathlib.Path(folder, f"{n}.npy"))) for n in "xy")
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)
    judge = torch.nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad()
        loss = judge(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    print(json.dumps([step().item() for _ in range(FIRST)]), flush=True)
    for line in sys.stdin:
        if line == "memory\n":
            print(json.dumps(peak("self") - imported), flush=True)
            continue
        times, end = [], time.perf_counter() + float(line)
        while time.perf_counter() < end or len(times) < LEAST:
            start = time.perf_counter()
            step()
            times.append(1000 * (time.perf_counter() - start))
        print(json.dumps(times), flush=True)


class Side:
    """A process that trains when it is told to."""

    def __init__(self, *command):
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.losses = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"{self.process.args[:2]} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def compare(name, threads, slices, seconds):
    batch, sample, build = nets()[name]
    with tempfile.TemporaryDirectory() as tmp:
        text = pathlib.Path(tmp, name + ".tfg")
        text.write_text("\n".join(Text(name, sample, build()).lines) + "\n")
        us = Side(STEPS, "-model", text, "-o", tmp, "-batch", batch, "-threads", threads)
        with us, Side(sys.executable, __file__, "--peer", tmp, "--net", name, "--threads", threads) as them:
            for a, b in zip(us.losses, them.losses):
                if abs(a - b) > SAME_LOSS * abs(b):
                    raise Failed(f"{name}: not the same step: losses {us.losses}, PyTorch's {them.losses}")
            theirs, ours = [], []
            for _ in range(slices):
                theirs.append(them.ask(seconds))
                ours.append(us.ask(seconds))
            memory = peak(us.process.pid), them.ask("memory")
    ratios = [statistics.median(t) / statistics.median(o) for t, o in zip(theirs, ours)]
    result = {"net": name, "batch": batch, "threads": threads, "slices": slices}
    for key, slice_times, most in ("", ours, memory[0]), ("peer_", theirs, memory[1]):
        every = [t for s in slice_times for t in s]
        result[key + "min_ms"], result[key + "median_ms"] = min(every), statistics.median(every)
        result[key + "peak_mb"] = most / 1e6
    result["ratio_of_min"] = result["peer_min_ms"] / result["min_ms"]
    result["ratio"], result["ratio_low"], result["ratio_high"] = statistics.median(ratios), min(ratios), max(ratios)
    return result


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--net", action="append", choices=NAMES)
    p.add_argument("--threads", action="append", type=int, help="default: 1 and 2")
    p.add_argument("--slices", type=int, default=6)
    p.add_argument("--seconds", type=float, default=1)
    p.add_argument("--json", action="store_true")
    p.add_argument("--peer", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.peer:
        return peer(a.net[0], a.threads[0], a.peer)
    subprocess.run(["go", "build", "-o", STEPS, "./testdata/interop/steps"], cwd=ROOT, check=True)
    rows = []
    if not a.json:
        print(
            f"{'training step':13} {'batch':>5} {'threads':>7} {'ours ms: min':>12} {'median':>7} {'torch: min':>10} "
            f"{'median':>7} {'ratio: min':>10} {'median':>7} {'range':>9} {'MB':>5} {'torch MB':>8}",
            flush=True,
        )
    for name in a.net or NAMES:
        for threads in a.threads or [1, 2]:
            r = compare(name, threads, a.slices, a.seconds)
            rows.append(r)
            if not a.json:
                print(
                    f"{name:13} {r['batch']:5} {threads:7} {r['min_ms']:12.2f} {r['median_ms']:7.2f} "
                    f"{r['peer_min_ms']:10.2f} {r['peer_median_ms']:7.2f} {r['ratio_of_min']:10.2f} {r['ratio']:7.2f} "
                    f"{r['ratio_low']:4.2f}-{r['ratio_high']:4.2f} {r['peak_mb']:5.0f} {r['peer_peak_mb']:8.0f}",
                    flush=True,
                )
    if a.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
