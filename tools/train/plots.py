"""Draws one small picture for each CSV log of a training stage."""

import csv
import os

import matplotlib

import common

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402  (the backend comes first)

PANELS = {"unet": [("loss",), ("naming", "telling", "pointing")], "vae": [("loss",), ("psnr",)],
          "clip": [("contrast", "pairs", "dense"), ("top1",)],
          "dit": [("loss",), ("naming", "telling", "pointing")],
          "unet_evaluation": [("color", "shape", "single", "both", "related")],
          "dit_evaluation": [("color", "shape", "single", "both", "related")]}


def columns(path):
    with open(path, encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    number = lambda text: float(text) if text else float("nan")
    return {k: [number(r[k]) for r in rows] for k in rows[0] if k not in ("sets",)} if rows else {}


def draw(name, logs):
    table = columns(f"{logs}/{name}.csv")
    if not table:
        return
    panels = PANELS[name]
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4.2 * len(panels), 2.8), squeeze=False)
    for axis, keys in zip(axes[0], panels):
        for key in keys:
            axis.plot(table["seconds"], table[key], label=key, linewidth=1,
                      marker="o" if len(table[key]) < 20 else None, markersize=3)
        axis.set_xlabel("machine seconds")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
        if keys[0] == "loss":
            axis.set_yscale("log")
    figure.suptitle(name, fontsize=9)
    figure.tight_layout()
    figure.savefig(f"{logs}/{name}.png", dpi=80)
    pyplot.close(figure)


def main():
    parser = common.new_parser(__doc__)
    parser.add_argument("--logs", required=True)
    args = parser.parse_args()
    for name in PANELS:
        if os.path.exists(f"{args.logs}/{name}.csv"):
            draw(name, args.logs)


if __name__ == "__main__":
    main()
