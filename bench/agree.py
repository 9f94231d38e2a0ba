"""Says how far pictures in bf16 are from those in f32: PSNR in dB, one line a prompt.

    python3 bench/agree.py --fovea build/bin/fovea --model DIR [--steps 4] [--prompt TEXT]...
        [--limit 40] [-- FLAGS OF fovea generate]

Exits with 1 if one is below the limit. Needs numpy and Pillow.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fovea", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--steps", default="4")
    parser.add_argument("--prompt", action="append", default=[])
    parser.add_argument("--limit", type=float, default=40)
    args, more = parser.parse_known_args()
    worst = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        for prompt in args.prompt or ["a red cube"]:
            pictures = []
            for dtype in ("f32", "bf16"):
                path = os.path.join(folder, dtype + ".png")
                subprocess.run([args.fovea, "generate", "-m", args.model, "-p", prompt, "-s", "1",
                                "--steps", args.steps, "--dtype", dtype, "-o", path,
                                *[flag for flag in more if flag != "--"]],
                               check=True, stdout=subprocess.DEVNULL)
                pictures.append(np.asarray(Image.open(path), dtype=np.float64))
            error = np.mean((pictures[0] - pictures[1]) ** 2)
            psnr = float("inf") if error == 0 else 10 * np.log10(255 ** 2 / error)
            print(f"{psnr:.1f} dB  {prompt}", flush=True)
            worst = min(worst, psnr)
    sys.exit(0 if worst >= args.limit else 1)


if __name__ == "__main__":
    main()
