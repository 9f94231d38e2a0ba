"""Weights by formula: every value is a function of the tensor's name, its shape and the flat index.

Golden files then need no weights. Written twice: here, and in tests/support/formula_weights.cc; a
test compares the two bit by bit. To be read literally:

    h    = FNV-1a, 64 bit, of the name in UTF-8
    z    = SplitMix64's output for the state h + (i + 1) * 0x9E3779B97F4A7C15   (i: row-major index)
    u    = (z >> 40) / 2^23 - 1                                      24 bits, in [-1, 1), exact in f32
    w    = f32(scale * u) or f32(1 + scale * u), the product in f64

    rank 1, name ends in "weight" (norms)            1 + 0.25 u
    rank 1 otherwise (biases)                            0.25 u
    name ends in "embedding.weight" (tables), or is
        "pos_embed.pos_embed" (SD3's positions)          0.5 u
    any other (matrices, convolutions)                   sqrt(3 / fan_in) u, fan_in = product of shape[1:]

The last has the variance 1 / fan_in, so activations stay near 1 through any depth. Files in f16 and
bf16 hold w rounded once more, to nearest, ties to even.
"""

import math

import numpy as np

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def fnv1a(text):
    h = 0xCBF29CE484222325
    for byte in text.encode("utf-8"):
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def uniform(name, count):
    """u for i = 0 .. count-1, as float64."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(name)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1.0


def scale(name, shape):
    if len(shape) == 1:
        return 0.25
    if name.endswith("embedding.weight") or name == "pos_embed.pos_embed":
        return 0.5
    return math.sqrt(3.0 / math.prod(shape[1:]))


def rounded(w, dtype):
    """f32 values rounded to "F32", "F16" or "BF16", still held as f32."""
    if dtype == "F16":
        return w.astype(np.float16).astype(np.float32)
    if dtype == "BF16":
        bits = w.view(np.uint32)
        bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        return (bits & np.uint32(0xFFFF0000)).view(np.float32)
    assert dtype == "F32", dtype
    return w


def weight(name, shape, dtype="F32"):
    """The tensor called `name` as an f32 array of values that `dtype` holds exactly."""
    w = scale(name, shape) * uniform(name, math.prod(shape))
    if len(shape) == 1 and name.endswith("weight"):
        w = 1.0 + w
    return rounded(w.astype(np.float32).reshape(shape), dtype)
