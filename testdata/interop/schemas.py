#!/usr/bin/env python3
"""Writes formats/onnx/operands.txt: from which opset each operand of ONNX's operators takes each element type.

A line is an operator, an operand (i0 is input 0, o0 output 0, a + follows the last one if it repeats), and since=types,
with one letter for each type that this program knows.
"""

import collections
import pathlib

from onnx import defs

LETTERS = {
    "float": "f", "double": "d", "float16": "h", "bfloat16": "g", "int8": "b", "uint8": "B", "int16": "s", "uint16": "S",
    "int32": "i", "uint32": "I", "int64": "l", "uint64": "L", "bool": "?", "string": "c", "complex64": "x", "complex128": "X",
    "int4": "4", "uint4": "5", "int2": "2", "uint2": "3", "float4e2m1": "e", "float8e4m3fn": "n", "float8e4m3fnuz": "N",
    "float8e5m2": "m", "float8e5m2fnuz": "M", "float8e8m0": "E",
}  # fmt: skip


def letters(names):
    return "".join(sorted(LETTERS[n[7:-1]] for n in names if n.startswith("tensor(") and n[7:-1] in LETTERS))


def operands(schemas):
    """(kind, index) -> {type: first opset}, and which operands repeat."""
    since, repeats = collections.defaultdict(dict), set()
    for s in schemas:
        allowed = {c.type_param_str: c.allowed_type_strs for c in s.type_constraints}
        for kind, formal in (("i", s.inputs), ("o", s.outputs)):
            for i, p in enumerate(formal):
                for t in allowed.get(p.type_str, [p.type_str]):
                    since[kind, i].setdefault(t, s.since_version)
                if p.option == defs.OpSchema.FormalParameterOption.Variadic:
                    repeats.add((kind, i))
    return since, repeats


def main():
    history = collections.defaultdict(list)
    for s in defs.get_all_schemas_with_history():
        if s.domain == "" and not s.deprecated:
            history[s.name].append(s)
    lines = []
    for name in sorted(history):
        since, repeats = operands(sorted(history[name], key=lambda s: s.since_version))
        for kind, i in sorted(since):
            groups = collections.defaultdict(list)
            for t, v in since[kind, i].items():
                groups[v].append(t)
            sets = [f"{v}={letters(groups[v])}" for v in sorted(groups) if letters(groups[v])]
            if sets:
                lines.append(" ".join([name, f"{kind}{i}" + "+" * ((kind, i) in repeats)] + sets))
    out = pathlib.Path(__file__).resolve().parents[2] / "formats/onnx/operands.txt"
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
