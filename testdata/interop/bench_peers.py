#!/usr/bin/env python3
"""Times this engine and ONNX Runtime on one thread each, in turns, on models that ../shared/bench writes.

    bench_peers.py [--model NAME]... [--slices 12] [--seconds 1] [--json]

A slice is --seconds of ONNX Runtime, then as long of `tfsopt bench`. The ratio is ONNX Runtime's time over ours: 1 is equal,
2 is twice as fast. `median` is that of the slices' ratios of medians, `min` compares the best run of either side. Peak
memory is that of a process that loads the model and runs it; from ONNX Runtime's we take off what Python and numpy need
before the library is there, from ours nothing.
"""

import argparse
import ast
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import runtime
from tfsopt import BIN, SHARED, peak, tfsopt

GENERATED = ["mobilenetv2_fp32", "mobilenetv2_int8", "resnet50_fp32", "resnet50_int8"]
SQUEEZENET = SHARED / "models/squeezenet/squeezenet1.1_fp32.onnx"

MEMORY = """
import json, sys
import numpy as np
from tfsopt import peak
before = peak("self")
import runtime
s = runtime.session(sys.argv[1])
feeds = runtime.random_feeds(s, {"N": 1, "batch": 1}, np.random.default_rng(0))
for _ in range(5):
    s.run(None, feeds)
print(json.dumps(peak("self") - before))
"""


def peak_of(path):
    """Our own peak: VmHWM of a process that loads the model and runs it, read while it runs; Linux only, else 0."""
    p = subprocess.Popen(
        [str(BIN), "bench", str(path), "--threads", "1", "--duration", "2s", "--quiet"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    most = 0
    while p.poll() is None:
        most = max(most, peak(p.pid))
        time.sleep(0.02)
    return most


def generate(folder):
    """Runs the functions of gen_models.py that make convolutional nets, without its loops over all models."""
    source = ast.parse((SHARED / "bench" / "gen_models.py").read_text())
    source.body = [n for n in source.body if not isinstance(n, ast.For)]
    scope = {}
    exec(compile(source, "gen_models.py", "exec"), scope)
    here = os.getcwd()
    os.chdir(folder)
    try:
        for quantized in (False, True):
            scope["mobilenetv2"](quantized)
            scope["resnet50"](quantized)
    finally:
        os.chdir(here)


def slice_of_peer(s, feeds, seconds):
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        s.run(None, feeds)
        times.append(1000 * (time.perf_counter() - start))
    return min(times), statistics.median(times)


def compare(name, path, slices, seconds):
    s = runtime.session(path)
    feeds = runtime.random_feeds(s, {"N": 1, "batch": 1}, np.random.default_rng(0))
    slice_of_peer(s, feeds, 0)  # the first runs allocate
    theirs, ours = [], []
    for _ in range(slices):
        theirs.append(slice_of_peer(s, feeds, seconds))
        b = tfsopt("bench", path, "--threads", 1, "--batch", 1, "--duration", f"{seconds}s")
        ours.append((b["min_ms"], b["median_ms"]))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, path], capture_output=True, text=True, check=True,
        cwd=pathlib.Path(__file__).parent,
    )
    ratios = [t[1] / o[1] for t, o in zip(theirs, ours)]
    return {
        "model": name, "cpu": b["cpu"], "slices": slices,
        "min_ms": min(o[0] for o in ours), "peer_min_ms": min(t[0] for t in theirs),
        "median_ms": statistics.median(o[1] for o in ours), "peer_median_ms": statistics.median(t[1] for t in theirs),
        "ratio": statistics.median(ratios), "ratio_low": min(ratios), "ratio_high": max(ratios),
        "ratio_of_min": min(t[0] for t in theirs) / min(o[0] for o in ours),
        "peak_mb": peak_of(path) / 1e6, "peer_peak_mb": json.loads(done.stdout) / 1e6,
    }


def quantized_squeezenet(folder):
    out = pathlib.Path(folder, "squeezenet_int8.onnx")
    images = SHARED / "data/imagenet-500"
    tfsopt("quantize", SQUEEZENET, "-o", out, "--data", f"{images}#::5", "--preprocess", "caffe:crop=224")
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = GENERATED + ["squeezenet_fp32", "squeezenet_int8"]
    p.add_argument("--model", action="append", choices=names)
    p.add_argument("--slices", type=int, default=12)
    p.add_argument("--seconds", type=float, default=1)
    p.add_argument("--json", action="store_true")
    a = p.parse_args()
    if not SHARED.exists():
        sys.exit(f"{SHARED} is absent; bench-peers needs its bench/gen_models.py and models/")
    wanted, rows = a.model or names, []
    with tempfile.TemporaryDirectory() as tmp:
        if any(n in GENERATED for n in wanted):
            with contextlib.redirect_stdout(sys.stderr):
                generate(tmp)
        head = f"{'model':18} {'ours ms':>9} {'peer ms':>9} {'ratio: min':>11} {'median':>7} {'range':>11} {'MB':>6} {'peer MB':>8}"
        print("" if a.json else head, flush=True)
        for name in wanted:
            path = pathlib.Path(tmp, name + ".onnx")
            if name == "squeezenet_fp32":
                path = SQUEEZENET
            elif name == "squeezenet_int8":
                path = quantized_squeezenet(tmp)
            r = compare(name, path, a.slices, a.seconds)
            rows.append(r)
            if not a.json:
                print(
                    f"{name:18} {r['median_ms']:9.2f} {r['peer_median_ms']:9.2f} {r['ratio_of_min']:11.2f} {r['ratio']:7.2f} "
                    f"{r['ratio_low']:5.2f}-{r['ratio_high']:<5.2f} {r['peak_mb']:6.0f} {r['peer_peak_mb']:8.0f}",
                    flush=True,
                )
    if a.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
