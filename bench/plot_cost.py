"""Plots the time of one U-Net pass over the picture's size, with the prediction of the dry run.

    python3 bench/plot_cost.py --fovea build/bin/fovea --model DIR --out docs/cost.png
        [--sizes 256,384,512,768,1024,1536] [--dtype bf16]

The prediction is FLOPs over two rates measured at 512 x 512, attention's and that of all else, since
attention grows with the square of the pixels: nothing else is fitted. Needs matplotlib.
"""

import argparse
import json
import subprocess

BASE = 512


def measure(args, side):
    command = [args.fovea, "bench", "model", "-m", args.model, "--component", "unet", "--dtype",
               args.dtype, "-W", str(side), "-H", str(side), "--repeat", str(args.repeat), "--json"]
    if side == BASE:
        command += ["--layers", "kinds"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(text)
    print(f"{side}: {figures['seconds']:.3f} s, {figures['gflop']:.0f} GFLOP, "
          f"{figures['peak_memory_mb']:.0f} MB", flush=True)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fovea", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--sizes", default="256,384,512,768,1024,1536")
    parser.add_argument("--dtype", default="bf16")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json", help="keep the figures here; measured sizes are not measured again")
    args = parser.parse_args()
    known = {}
    if args.json:
        try:
            known = {int(side): figures for side, figures in json.load(open(args.json)).items()}
        except FileNotFoundError:
            pass
    sides = [int(side) for side in args.sizes.split(",")]
    for side in sides:
        if side not in known:
            known[side] = measure(args, side)
            if args.json:
                json.dump(known, open(args.json, "w"), indent=1)
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    base = known[BASE]
    attention = [each for each in base["layers"] if each["layer"].startswith("attention")]
    attention_gflop = sum(each["gflop"] for each in attention)
    share = sum(each["seconds"] for each in attention) / sum(each["seconds"]
                                                             for each in base["layers"])
    attention_rate = attention_gflop / (share * base["seconds"])
    rest_rate = (base["gflop"] - attention_gflop) / ((1 - share) * base["seconds"])

    def predicted(side):
        rest = (base["gflop"] - attention_gflop) * (side / BASE) ** 2
        return rest / rest_rate + (known[side]["gflop"] - rest) / attention_rate

    pixels = [side * side / 1e6 for side in sides]
    figure, axes = plt.subplots(figsize=(6.4, 4.2), dpi=120)
    axes.loglog(pixels, [predicted(side) for side in sides], "--", color="#888888",
                label="predicted: FLOPs at the rates of 512 x 512")
    axes.loglog(pixels, [known[side]["seconds"] for side in sides], "o-", color="#1f6fb4",
                label="measured")
    for side, x in zip(sides, pixels):
        axes.annotate(f"{side}²", (x, known[side]["seconds"]), textcoords="offset points",
                      xytext=(6, -10), fontsize=8)
    axes.set_xlabel("picture, megapixels")
    axes.set_ylabel("seconds of one U-Net pass")
    axes.set_title(f"Stable Diffusion 1.5 U-Net, {args.dtype}, {known[512]['threads']} threads",
                   fontsize=10)
    axes.grid(True, which="both", linewidth=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(args.out)


if __name__ == "__main__":
    main()
