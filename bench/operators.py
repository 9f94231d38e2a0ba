"""What attention operators cost and change on a diffusion transformer, against dense.

    python3 bench/operators.py --fovea build/bin/fovea --model DIR|NAME --sizes 512x512,1024x512
        [--plans "clear(r=8);gna(window=24,stride=8)"] [--pictures OUT [--prompts FILE] [--steps N]]
        [--flags "--dtype bf16"] [--json FILE] [--rounds N]

Each plan and size: the median time of a pass over dense's, all timed in turns, beside the ratio of
their multiplications (the prediction). With --pictures, every prompt is painted with every plan and
compared with the dense picture of the same seed: mean PSNR and SSIM. Plans are separated by
semicolons outside of brackets. Needs numpy and Pillow for pictures alone.
"""

import argparse
import json
import os
import re
import statistics
import subprocess

PLANS = "clear(r=8);gna(window=16,stride=8);window(grid=2x2);radial(model=2d);agent(agents=7x7)"


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {result.stderr.strip()[-2000:]}")
    return result.stdout


def sides(size):
    width, height = size.split("x")
    return ["-W", width, "-H", height]


def bench(args, size, plan):
    command = [args.fovea, "bench", "model", "-m", args.model, *sides(size), "--repeat", "1",
               "--json", *args.flags.split()]
    if args.component:
        command += ["--component", args.component]
    if plan != "dense":
        command += ["--attention", plan]
    return json.loads(run(command))


def times(args, plans):
    """One row a size and plan: seconds, time over dense's, multiplications over dense's."""
    seconds, gflop = {}, {}
    for _ in range(args.rounds):
        for size in args.sizes:
            for plan in plans:
                figures = bench(args, size, plan)
                seconds.setdefault((size, plan), []).append(figures["seconds"])
                gflop[size, plan] = figures["gflop"]
    for size in args.sizes:
        dense = statistics.median(seconds[size, "dense"])
        for plan in plans:
            median = statistics.median(seconds[size, plan])
            yield {"size": size, "plan": plan, "seconds": median, "time": median / dense,
                   "predicted": gflop[size, plan] / gflop[size, "dense"]}


def pictures(args, plans):
    import picture_quality as quality
    with open(args.prompts, encoding="utf-8") as f:
        prompts = f.read().splitlines()[:args.count]
    for size in args.sizes:
        for plan in plans:
            folder = os.path.join(args.pictures, f"{size}-{re.sub('[^a-z0-9]+', '-', plan).strip('-')}")
            os.makedirs(folder, exist_ok=True)
            for i, prompt in enumerate(prompts):
                path = os.path.join(folder, f"{i:03d}.png")
                if not os.path.exists(path):
                    run([args.fovea, "generate", "-m", args.model, "-p", prompt, "-s", str(i),
                         *sides(size), "-o", path, *args.flags.split(),
                         *(["--steps", str(args.steps)] if args.steps else []),
                         *(["--attention", plan] if plan != "dense" else [])])
            if plan == "dense":
                dense = folder
                continue
            pairs = [[quality.read(os.path.join(f, f"{i:03d}.png")) for f in (dense, folder)]
                     for i in range(len(prompts))]
            yield {"size": size, "plan": plan,
                   "psnr": statistics.mean(quality.psnr(*p) for p in pairs),
                   "ssim": statistics.mean(quality.ssim(*p) for p in pairs)}


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fovea", default="build/bin/fovea")
    parser.add_argument("--model", required=True)
    parser.add_argument("--component", default="transformer", help="'' where the model is one")
    parser.add_argument("--sizes", type=lambda s: s.split(","), required=True,
                        help="WxH,...")
    parser.add_argument("--plans", default=PLANS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--pictures", help="folder for the pictures")
    parser.add_argument("--prompts", default=f"{here}/../tools/evaluate/prompts/single.txt")
    parser.add_argument("--count", type=int, default=8, help="of prompts")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--flags", default="")
    parser.add_argument("--json")
    args = parser.parse_args()
    plans = ["dense"] + re.split(r";(?![^(]*\))", args.plans)
    rows = list(times(args, plans) if args.rounds else [])
    if args.pictures:
        for row in pictures(args, plans):
            same = [r for r in rows if (r["size"], r["plan"]) == (row["size"], row["plan"])]
            same[0].update(row) if same else rows.append(row)
    print("| size | plan | seconds | time / dense | predicted | PSNR dB | SSIM |\n|" + "---|" * 7)
    for r in rows:
        cells = [f"{r[k]:{f}}" if k in r else "" for k, f in
                 (("seconds", ".3f"), ("time", ".2f"), ("predicted", ".2f"), ("psnr", ".1f"),
                  ("ssim", ".3f"))]
        print(f"| {r['size']} | `{r['plan']}` | " + " | ".join(cells) + " |")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(rows, f, indent=1)


if __name__ == "__main__":
    main()
