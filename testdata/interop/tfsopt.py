"""The program under test and where things are."""

import json
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SHARED = pathlib.Path(os.environ.get("TFSOPT_SHARED", ROOT.parent / "shared"))
BIN = ROOT / "bin" / ("tfsopt.exe" if os.name == "nt" else "tfsopt")


class Failed(Exception):
    """A command that did not end as it should."""


def tfsopt(*args, env=None, codes=(0,)):
    """Runs `tfsopt ARGS --json` and gives the object that it prints; the exit code must be one of codes."""
    command = [str(BIN), *map(str, args), "--json", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **(env or {})})
    if done.returncode not in codes:
        raise Failed(f"exit code {done.returncode}: {' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def answers(model, data, preprocess, out):
    """Runs this engine over a data set; see answers/main.go."""
    command = [str(ROOT / "bin" / "answers"), "-model", model, "-data", data, "-preprocess", preprocess, "-o", out]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stderr)


def pairs(model, data, preprocess):
    """How many pairs of a model's 8-bit products can saturate, and what samples make of them; see pairs/main.go."""
    command = [str(ROOT / "bin" / "pairs"), "-data", data, "-preprocess", preprocess, model]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stderr)
    return json.loads(done.stdout)


def peak(pid):
    """The largest resident memory of a process so far, in bytes: VmHWM, which unlike getrusage starts anew with exec."""
    try:
        with open(f"/proc/{pid}/status") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
