#!/usr/bin/env python3
"""Do the bytes of a picture depend on its batch, on threads or on both? Writes docs/determinism.md.

    tools/determinism_table.py build/bin [--out docs/determinism.md] [--batches 5] [--threads 4]

Runs `fovea generate` on the built-in models at each instruction set that this processor can do
(FOVEA_ISA), in f32 and bf16. Each run's final latents and pixels are compared with those of every
seed alone on one thread. Exits with 1 if any differ.
"""

import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

MODELS = ["still-life-unet", "still-life-dit"]
SEED, STEPS = 7, 2


def latents_of(path):
    """The bytes of each sample."""
    data = path.read_bytes()
    (header,) = struct.unpack("<Q", data[:8])
    count = json.loads(data[8:8 + header])["latents"]["shape"][0]
    values = data[8 + header:]
    size = len(values) // count
    return [values[i * size:(i + 1) * size] for i in range(count)]


def pixels_of(path):
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        at += 12 + length
    return zlib.decompress(packed)


def generate(fovea, isa, model, dtype, seed, batch, threads):
    """[(latents, pixels)] of each picture, or the program's refusal."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        result = subprocess.run(
            [fovea, "generate", "-m", model, "-s", str(seed), "-b", str(batch), "-t", str(threads),
             "--steps", str(STEPS), "--dtype", dtype, "--save-latents", folder / "latents",
             "-o", f"{folder}/out/"],
            env={**os.environ, "FOVEA_ISA": isa}, capture_output=True, text=True)
        if result.returncode:
            return result.stderr.strip()
        pictures = sorted((folder / "out").glob("*.png"), key=lambda p: int(p.name.split("-")[0]))
        return list(zip(latents_of(folder / "latents"), map(pixels_of, pictures), strict=True))


def compare(fovea, isa, model, dtype, batches, threads):
    """A cell of the table, and whether anything differed."""
    alone = []
    for i in range(batches):
        got = generate(fovea, isa, model, dtype, SEED + i, 1, 1)
        if isinstance(got, str):
            return got.removeprefix("fovea: "), False
        alone += got
    different = []
    for t in range(1, threads + 1):
        for b in range(1, batches + 1):
            if generate(fovea, isa, model, dtype, SEED, b, t) != alone[:b]:
                different.append(f"batch {b} on {t}")
    if different:
        return f"{len(different)} of {batches * threads} runs differ: " + ", ".join(different), True
    return f"all {batches * threads} runs alike", False


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/determinism.md"))
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--threads", type=int, default=4)
    args = parser.parse_args()
    sets = subprocess.run([args.bin / "instruction-sets"], capture_output=True, text=True,
                          check=True).stdout.split(";")[0].replace(":", "").split()
    rows, failed = [], False
    for isa in sets:
        limit = "" if isa == sets[0] else isa
        for model in MODELS:
            for dtype in ["f32", "bf16"]:
                cell, differs = compare(args.bin / "fovea", limit, model, dtype, args.batches,
                                        args.threads)
                print(f"{isa} {model} {dtype}: {cell}", flush=True)
                rows.append(f"| {isa} | {model} | {dtype} | {cell} |")
                failed |= differs
    args.out.write_text(f"""# Determinism

The bytes of a picture are a function of its settings, its seed and the instruction set: not of its
batch and not of the number of threads. `tools/determinism_table.py build/bin` makes this page. Each
line is {args.batches * args.threads} runs of `fovea generate`, {STEPS} steps, batches of 1 to {args.batches} pictures on 1 to {args.threads} threads;
latents and pixels of each picture are compared, byte by byte, with those of its seed alone on one
thread. Instruction sets below the processor's best are chosen by `FOVEA_ISA`.

| instruction set | model | dtype | result |
|---|---|---|---|
""" + "\n".join(rows) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
