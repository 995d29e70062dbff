#!/usr/bin/env python3
"""Checks this project's files and scores against ONNX Runtime; models whose files are absent are left out, and named.

    check.py [--only NAME]... [--model NAME]... [--all]

NAME of a check: float, int8, runtime, saturation, doctor, roundtrip, valid, sparse, learned, bytes. --all lets `bytes` take every model.
"""

import argparse
import contextlib
import dataclasses
import itertools
import math
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx

import doctored
import learned
import runtime
import saturation
import smaller
import valid
from models import MODELS
from tfsopt import ROOT, SHARED, pairs, tfsopt

FLOAT_POINTS = 0.4  # float top-1 may be this far from ONNX Runtime's on Pillow's decoding
SAME_TOP1 = 99.5  # percent of samples on which ONNX Runtime and this engine give the same class for an integer model
MENDED = 95.0  # percent of samples whose class `doctor` leaves as our engine, which adds exactly, gave it before
FLOAT_ERROR = 1e-4  # of the largest answer: a float model's answers may be this far apart
SETS = {"avx2": "avx2", "avx512": "avx512f", "vnni": "avx512_vnni"}  # kernel set -> the CPU flag that it needs


class Report:
    """Rows of one check; a row is fine or says what is wrong."""

    def __init__(self, title, columns):
        self.rows, self.wrong, self.start = [columns + ["seconds", "result"]], 0, time.time()
        print(f"\n{title}", flush=True)

    def row(self, *cells, wrong=None):
        seconds, self.start = time.time() - self.start, time.time()
        self.wrong += bool(wrong)
        self.rows.append([str(c) for c in cells] + [f"{seconds:.1f}", f"WRONG: {wrong}" if wrong else "ok"])

    @contextlib.contextmanager
    def trying(self, name):
        """What cannot even be computed is wrong, and the next model gets its turn."""
        try:
            yield
        except Exception as e:  # ours (Failed) or any of ONNX Runtime's
            self.row(name, *[""] * (len(self.rows[0]) - 3), wrong=f"{type(e).__name__}: {e}".strip())

    def print(self):
        width = [max(map(len, column)) for column in zip(*self.rows)]
        for r in self.rows:
            print("  " + "  ".join(c.ljust(w) for c, w in zip(r, width)).rstrip(), flush=True)


def standard_error(e):
    """Of a paired drop in points: the samples that only one of both gets right differ by chance."""
    n, b, c = e["samples"], e["only_reference_right"], e["only_model_right"]
    return 100 * math.sqrt(max(b + c - (b - c) ** 2 / n, 0)) / n


class Checks:
    def __init__(self, models, tmp, every):
        self.models, self.tmp, self.every = models, pathlib.Path(tmp), every
        self.quantized = {}

    def int8_file(self, m):
        """Quantizes a model with the defaults, once."""
        if m.name not in self.quantized:
            path = self.tmp / f"{m.name}_int8.onnx"
            self.quantized[m.name] = path, tfsopt("quantize", m.path, "-o", path, *m.quantize())
        return self.quantized[m.name]

    def float(self):
        r = Report("float top-1 through our own preprocessing", ["model", "top-1", "ONNX Runtime", "samples"])
        for m in self.models:
            with r.trying(m.name):
                e = tfsopt("evaluate", m.path, "--data", m.data, "--preprocess", m.preprocess, "--label-offset", m.offset)
                top1 = e["model"]["top1"]
                far = abs(top1 - m.top1) > FLOAT_POINTS + 1e-6
                r.row(m.name, f"{top1:.2f}", f"{m.top1:.2f}", e["samples"], wrong=far and f"more than {FLOAT_POINTS} points away")
        return r

    def int8(self):
        columns = ["model", "float", "int8", "drop", "at most", "agreement", "at least", "SQNR", "size", "at most", "quantize s"]
        r = Report("int8 with the defaults against float", columns)
        for m in filter(lambda m: m.calibrate, self.models):
            with r.trying(m.name):
                path, q = self.int8_file(m)
                e = tfsopt(
                    "evaluate", path, "--reference", m.path, "--data", m.judge, "--preprocess", m.preprocess,
                    "--label-offset", m.offset,
                )
                size, error, wrong = q["output"]["bytes"] / q["input"]["bytes"], standard_error(e), []
                if e["drop"] > m.drop + error + 1e-9:
                    wrong.append("drop")
                if e["agreement"] < m.agreement - 1e-9:
                    wrong.append("agreement")
                if size > m.size:
                    wrong.append("size")
                r.row(
                    m.name, f"{e['reference']['top1']:.2f}", f"{e['model']['top1']:.2f}", f"{e['drop']:.2f}",
                    f"{m.drop} + {error:.2f}", f"{e['agreement']:.2f}", m.agreement, f"{e['sqnr_db']:.1f}", f"{size:.3f}",
                    m.size, f"{q['seconds']:.1f}", wrong=", ".join(wrong),
                )
        return r

    def runtime(self):
        r = Report("int8 files in ONNX Runtime", ["model", "same top-1", "samples", "float operators left"])
        for m in filter(lambda m: m.calibrate, self.models):
            with r.trying(m.name):
                path, _ = self.int8_file(m)
                s, counts = runtime.fused(path)
                left = {op: n for op, n in counts.items() if op in runtime.FLOAT}
                same, total, _ = runtime.compare(s, path, m.judge, m.preprocess)
                wrong = []
                if left:
                    wrong.append("not fused")
                if 100 * same < SAME_TOP1 * total:
                    wrong.append("another class")
                r.row(m.name, f"{100 * same / total:.2f}", total, left or "none", wrong=", ".join(wrong))
        return r

    def saturation(self):
        """No pair of products in the files of any mode can saturate; where it is allowed, activations do it."""
        kind = "without VNNI: sums saturate" if saturation.sums_saturate() else "with VNNI: sums are exact"
        r = Report(f"pairs of 8-bit products (this machine is {kind})", ["model", "mode", "pairs", "unsafe", "largest sum", "clamped"])
        wrong = saturation.differences()
        r.row("record of sums", "", "", "", "", "", wrong="; ".join(wrong))
        qat = ["--qat", "--epochs", 1, "--batch", 16, "--lr", 0.0001, "--checkpoint", "none"]
        modes = [
            ("avoid", []), ("qoperator", ["--style", "qoperator"]), ("dynamic", ["--mode", "dynamic"]),
            ("weight-only", ["--mode", "weight-only"]), ("codebook", ["--mode", "codebook"]), ("qat", qat),
            ("allow", ["--saturation", "allow"]),
        ]
        for m in filter(lambda m: m.name in ("fashion", "kws", "resnet8"), self.models):
            if m.name == "resnet8":
                m = dataclasses.replace(m, calibrate=m.calibrate + "#::200")  # of 50,000
            for mode, args in modes:
                with r.trying(m.name):
                    path = self.tmp / f"{m.name}_{mode}.onnx"
                    tfsopt("quantize", m.path, "-o", path, *m.quantize(64), *args)
                    p = pairs(path, m.judge, m.preprocess)
                    wrong = p["unsafe"] > 0 if mode != "allow" else p["unsafe"] == 0
                    r.row(m.name, mode, p["pairs"], p["unsafe"], p["largest"], p["clamped"], wrong=wrong and "saturation")
        return r

    def doctor(self):
        """Files of ONNX Runtime's quantizer saturate; mended ones do not, and ONNX Runtime gives our answers for them."""
        r = Report("files of onnxruntime.quantization, mended by doctor", ["model", "unsafe before", "after", "same top-1", "unchanged"])
        for m in filter(lambda m: m.name in ("kws", "resnet8"), self.models):
            with r.trying(m.name):
                theirs, mended = self.tmp / f"{m.name}_theirs.onnx", self.tmp / f"{m.name}_mended.onnx"
                doctored.quantized(m, runtime.session(m.path).get_inputs()[0].name, theirs)
                data = ["--data", m.calibrate, "--preprocess", m.preprocess, "--samples", 64]
                tfsopt("doctor", theirs, "-o", mended, *data, codes=(0, 3))
                before, after = (pairs(p, m.judge, m.preprocess)["unsafe"] for p in (theirs, mended))
                same, total, _ = runtime.compare(runtime.session(mended), mended, m.judge, m.preprocess)
                e = tfsopt("evaluate", mended, "--reference", theirs, "--data", m.judge, "--preprocess", m.preprocess, "--no-latency")
                wrong = []
                if not before or after:
                    wrong.append("pairs that can saturate")
                if 100 * same < SAME_TOP1 * total:
                    wrong.append("another class")
                if e["agreement"] < MENDED:
                    wrong.append("other answers than before")
                r.row(m.name, before, after, f"{100 * same / total:.2f}", f"{e['agreement']:.2f}", wrong=", ".join(wrong))
        return r

    def roundtrip(self):
        r = Report("loaded and saved again, in ONNX Runtime", ["model", "outputs"])
        files = sorted((ROOT / "testdata/models").glob("*.onnx")) + sorted((SHARED / "models").rglob("*.onnx"))
        sizes = {"p2o.DynamicDimension.1": 48, "p2o.DynamicDimension.2": 192, "sequence": 512, "height": 160, "width": 160}
        for path in files:
            with r.trying(path.name):
                if path.name == "skeleton.onnx":  # its weights come from elsewhere
                    continue
                copy = self.tmp / "copy.onnx"
                tfsopt("convert", path, "-o", copy)
                a, b = runtime.session(path), runtime.session(copy)
                wrong, outputs = None, [o.name for o in a.get_outputs()]
                if outputs != [o.name for o in b.get_outputs()]:
                    wrong = "other names of outputs"
                else:
                    feeds = runtime.random_feeds(a, sizes, np.random.default_rng(0))
                    for name, x, y in zip(outputs, a.run(None, feeds), b.run(None, feeds)):
                        if not runtime.same(x, y):
                            wrong = f"{name} differs"
                r.row(path.name, len(outputs), wrong=wrong)
        return r

    def valid(self):
        """What quantize writes of a network of any opset passes ONNX's checker and gives our answer in ONNX Runtime."""
        r = Report("written for every opset, style and mode", ["opset", "written as"])
        data = self.tmp / "valid.npy"
        np.save(data, np.random.default_rng(1).normal(size=(8, 3, 16, 16)).astype(np.float32))
        x = np.load(data)[:1]
        np.save(self.tmp / "x.npy", x)
        for opset in valid.OPSETS:
            with r.trying(str(opset)):
                net, out, written, wrong = self.tmp / "net.onnx", self.tmp / "out.onnx", set(), []
                valid.network(net, opset)
                for name, args in valid.ARGS.items():
                    calibrate = [] if name in ("dynamic", "weight-only") else ["--data", data]
                    tfsopt("quantize", net, "-o", out, *calibrate, *args)
                    model = onnx.load(out)
                    written.add(model.opset_import[0].version)
                    try:
                        onnx.checker.check_model(model, full_check=True)
                        want = runtime.session(out).run(None, {"x": x})[0]
                    except Exception as e:
                        wrong.append(f"{name}: {e}")
                        continue
                    tfsopt("run", out, "--input", self.tmp / "x.npy", "-o", self.tmp)
                    got = np.load(next(self.tmp.glob("Gemm*.npy")))
                    if not np.allclose(got, want, atol=0.05 * np.abs(want).max()):
                        wrong.append(f"{name}: another answer")
                r.row(opset, " ".join(map(str, sorted(written))), wrong="; ".join(wrong))
        for path in self.small():
            with r.trying(path.name):
                out, written, wrong = self.tmp / "out.onnx", set(), []
                for name, args in valid.ARGS.items():
                    data = [] if name in ("dynamic", "weight-only") else ["--data", "random", "--samples", 4]
                    c = tfsopt("quantize", path, "-o", out, *data, *args, codes=(0, 1))
                    if "error" in c:  # nothing to quantize, sizes that random data cannot know
                        continue
                    try:
                        model = onnx.load(out)
                        sparse = len(model.graph.sparse_initializer) > 0  # ONNX's inference knows none; ONNX Runtime does
                        onnx.checker.check_model(model, full_check=not sparse)
                        runtime.session(out)
                        written.add(model.opset_import[0].version)
                    except Exception as e:
                        wrong.append(f"{name}: {e}")
                r.row(path.name, " ".join(map(str, sorted(written))), wrong="; ".join(wrong))
        return r

    def small(self):
        """Models of up to 1 MB, without scalar inputs, of which there are no samples."""
        for path in sorted((SHARED / "models").rglob("*.onnx")) + sorted((SHARED / "cases").rglob("*.onnx")):
            if path.stat().st_size < 1 << 20 and path.name != "skeleton.onnx":
                if all(i.type.tensor_type.shape.dim for i in onnx.load(path).graph.input):
                    yield path

    def sparse(self):
        """What is mostly zeros is written sparse, compressed as well, and is the same model to ONNX Runtime."""
        r = Report("models that are mostly zeros, in ONNX Runtime", ["kept", "sparse", "size"])
        for kept, want in [(0.5, []), (0.2, ["conv.w", "matmul.w"]), (0.08, ["conv.w", "matmul.w"])]:
            with r.trying(f"{kept}"):
                dense, packed, out = (self.tmp / n for n in ("dense.onnx", "sparse.onnx.zst", "sparse.onnx"))
                smaller.mostly_zeros(dense, kept)
                tfsopt("convert", dense, "-o", packed)
                c = tfsopt("convert", packed, "-o", out)
                names, wrong = smaller.sparse_names(out), []
                if names != want:
                    wrong.append("not what should be sparse")
                if want and out.stat().st_size >= 0.9 * dense.stat().st_size:
                    wrong.append("size")
                a, b = runtime.session(dense), runtime.session(out)
                feeds = runtime.random_feeds(a, {}, np.random.default_rng(0))
                if a.run(None, feeds)[0].tobytes() != b.run(None, feeds)[0].tobytes():
                    wrong.append("another answer")
                size = c["output"]["bytes"] / dense.stat().st_size
                r.row(kept, " ".join(names) or "none", f"{size:.3f}", wrong=", ".join(wrong))
        return r

    def learned(self):
        """What was trained, pruned and distilled gives the same answers in ONNX Runtime."""
        r = Report("files of train, prune, distill and their like, in ONNX Runtime", ["run", "size", "same top-1", "samples", "error"])
        for case in itertools.chain(learned.on_fashion(self.tmp), learned.on_shared()):
            with r.trying(case.name):
                f = case.make(self.tmp)
                same, total, error = runtime.compare(runtime.session(f.plain), f.path, case.data, case.preprocess)
                wrong = [case.look(f)]
                if 100 * same < (SAME_TOP1 if case.integer else 100) * total:
                    wrong.append("another class")
                if error > FLOAT_ERROR and not case.integer:
                    wrong.append("another answer")
                size = f.result["output"]["bytes"] / f.result["input"]["bytes"]
                r.row(
                    case.name, f"{size:.3f}", f"{100 * same / total:.2f}", total, f"{error:.1e}",
                    wrong=", ".join(filter(None, wrong)),
                )
        return r

    def bytes(self):
        """The same command gives the same file with every kernel set that this machine has and with 1 and 2 threads."""
        flags = pathlib.Path("/proc/cpuinfo")
        has = flags.read_text() if flags.exists() else ""
        amd64 = platform.machine().lower() in ("x86_64", "amd64")
        sets = ["generic"] + [name for name, flag in SETS.items() if amd64 and flag in has]
        r = Report(f"bytes of files with 1 and 2 threads and {', '.join(sets)}", ["run", "files", "different"])
        out = self.tmp / "same.onnx"
        for name, command in self.runs():
            with r.trying(name):
                sums = {}
                for cpu, threads in itertools.product(sets, (1, 2)):
                    done = tfsopt(*command, "-o", out, "--threads", threads, env={"TFSOPT_CPU": cpu})
                    sums[cpu, threads] = done["output"]["sha256"]
                first = next(iter(sums.values()))
                other = [f"{cpu} with {n}" for (cpu, n), s in sums.items() if s != first]
                r.row(name, len(sums), ", ".join(other) or "none", wrong=other and "not the same bytes")
        return r

    def runs(self):
        """Commands, without -o, whose files must be the same: quick ones, or all."""
        for m in filter(lambda m: m.calibrate, self.models):
            small = m.name in ("fashion", "kws", "resnet8")
            if small or self.every:
                yield f"{m.name} int8", ["quantize", m.path, *m.quantize(32 if small else 8)]
        for case in itertools.chain(learned.on_fashion(self.tmp), learned.on_shared()):
            if case.quick or self.every:  # four steps are enough, and the Go kernels slow
                yield case.name, [f"{a}#::5" if a == learned.LENET.calibrate else a for a in case.command]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["float", "int8", "runtime", "saturation", "doctor", "roundtrip", "valid", "sparse", "learned", "bytes"]
    p.add_argument("--only", action="append", choices=names, help="a check; may be repeated")
    p.add_argument("--model", action="append", choices=[m.name for m in MODELS], help="a model; may be repeated")
    p.add_argument("--all", action="store_true", help="bytes: all models")
    a = p.parse_args()
    models = [m for m in MODELS if m.present() and (not a.model or m.name in a.model)]
    absent = [m.name for m in MODELS if not m.present()]
    if absent:
        print(f"{SHARED} lacks: {', '.join(absent)}; not checked")
    for tool in ("answers", "pairs"):
        subprocess.run(["go", "build", "-o", ROOT / "bin" / tool, f"./testdata/interop/{tool}"], cwd=ROOT, check=True)
    wrong = 0
    with tempfile.TemporaryDirectory() as tmp:
        checks = Checks(models, tmp, a.all)
        for name in a.only or names:
            report = getattr(checks, name)()
            report.print()
            wrong += report.wrong
    print(f"\n{wrong} wrong" if wrong else "\nall right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
