"""Writes tests/golden/noise/torch.json: numbers of torch.Generator("cpu") for the C++ tests.

Usage: python tools/golden/noise.py

A case is a seed and a sequence of calls, "u" for torch.rand and "n" for torch.randn, each with a
size; its values are the bits of the f32 results, the first and the last 20 of each call.
"""
import json
import pathlib

import numpy as np
import torch

KEPT = 20
SEEDS = (0, 1, 42, 2**32, 2**32 + 42, 2**63, 2**64 - 1)
MIXED = ["n3", "u5", "n1", "n16", "n1", "n15", "n17", "u1", "n40", "n2", "n7", "n31", "u40", "n4"]


def calls_of(seed, calls):
    generator = torch.Generator("cpu").manual_seed(seed)
    values = []
    for call in calls:
        draw = torch.rand if call[0] == "u" else torch.randn
        bits = draw(int(call[1:]), generator=generator).numpy().view(np.uint32).tolist()
        values.append(bits if len(bits) <= 2 * KEPT else bits[:KEPT] + bits[-KEPT:])
    return {"seed": seed, "calls": calls, "bits": values}


def main():
    cases = [calls_of(seed, MIXED) for seed in SEEDS]
    cases.append(calls_of(7, [f"n{size}" for size in range(1, 41)]))
    cases.append(calls_of(1234, [f"n{4 * 64 * 64}", "n1", f"n{4 * 64 * 64}", "n1021", "u1000"]))
    out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/noise/torch.json"
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    out.write_text(f'{{"made_with":"torch {torch.__version__}","cases":[\n{lines}\n]}}\n')
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
