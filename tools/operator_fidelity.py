"""How near operators stay to dense attention in a pretrained Vision Transformer, as a table.

    scripts/real-vit DIR
    python3 tools/operator_fidelity.py --fovea build/bin/fovea --model DIR/dinov2-small [--plan PLAN ...]

Four photographs of scikit-image at 336x336 (24x24 patches and a class token), every layer under the
plan; the share of query-key pairs that were seen, and the mean cosine of the last hidden states with
dense attention's. Needs numpy, Pillow and scikit-image.
"""

import argparse
import json
import os
import subprocess
import tempfile

import numpy as np
import skimage.data
from PIL import Image

PLANS = [
    "random(keep=0.3)", "sparsed(select=0.3)", "probe(keep=0.3)", "sparge(keep=0.3)", "draft(keep=0.3)",
    "longheads(keep=0.3)", "hip(keep=0.3)", "xattn(threshold=0.6)", "svg2(p=0.5)",
    "flexprefill(gamma=0.4,tau=1)", "sale(tau=0.3,ring=0)", "tokenselect(keep=0.3,ring=0)",
    "anchor(theta=1,ring=0)", "s2(ring=0,stride=4)", "power(window=0)",
    "random(keep=0.3,rest=mean)", "sparsed(select=0.3,rest=mean)", "probe(keep=0.3,rest=mean)",
    "draft(keep=0.3,rest=mean)", "sale(tau=0.3,ring=0,rest=mean)", "combiner(ring=1)", "razor(ring=1)",
    "gna(window=13)",
]


def pictures():
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    rows = []
    for name in ("astronaut", "cat", "coffee", "rocket"):
        picture = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
        side = min(picture.size)
        left, top = ((length - side) // 2 for length in picture.size)
        picture = picture.crop((left, top, left + side, top + side)).resize((336, 336), Image.BICUBIC)
        rows.append(((np.asarray(picture, np.float32) / 255 - mean) / std).transpose(2, 0, 1))
    return np.ascontiguousarray(np.stack(rows))


def write_tensor(path, name, values):
    header = {name: {"dtype": "F32", "shape": values.shape, "data_offsets": [0, values.nbytes]}}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + values.tobytes())


def read_tensor(path, name):
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(size))[name]
        begin, end = entry["data_offsets"]
        file.seek(8 + size + begin)
        return np.frombuffer(file.read(end - begin), np.float32).reshape(entry["shape"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fovea", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--plan", action="append", help="an operator instead of the usual ones")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        given, out = os.path.join(folder, "in.safetensors"), os.path.join(folder, "out.safetensors")
        write_tensor(given, "pixel_values", pictures())

        def states(plan):
            command = [args.fovea, "forward", "-m", args.model, "--in", given, "--out", out,
                       "--dtype", "f32", "--json", "--attention", f"*: {plan}"]
            report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            shares = [layer["visited"] for layer in report["attention"]["ran"]]
            return read_tensor(out, "last_hidden_state").astype(np.float64), np.mean(shares)

        dense, _ = states("dense")
        print("| operator | pairs | cosine, patches | class token |\n|---|---|---|---|")
        for plan in args.plan or PLANS:
            got, share = states(plan)
            cosine = (got * dense).sum(-1) / np.linalg.norm(got, axis=-1) / np.linalg.norm(dense, axis=-1)
            print(f"| `{plan}` | {share:.2f} | {cosine[:, 1:].mean():.3f} | {cosine[:, 0].mean():.3f} |", flush=True)


main()
