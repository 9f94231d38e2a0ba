"""Do word maps show the objects? The pointing game on scenes whose masks are exact.

    python3 tools/evaluate/word_maps.py SCENES [--fovea build/bin/fovea] [--model NAME]
        [--count 100] [--strength 0.6] [--out DIR]

SCENES is a folder of fovea-scenes that the model was not trained on. Each picture is noised and
denoised with its caption (image to image, so the picture is the scene and its masks stay true), and
the maps of each object's words and of the text state that describes it (tools/train/slots.py) are
scored against that object's mask: is the largest value on it (pointing), what share of the weight
lies on it (mass), and the intersection over union of the mask and the map cut at its mean. Beside
them a random map, the picture's middle and its edges, and the mean over all tokens of the prompt.
Means and 1.96 standard errors. Needs numpy and Pillow.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

SLOTS = ["<-3>", "<-2>", "<-1>"]  # of the first, second, third object mentioned
NOUNS = r"(?:small |large )?(?:shiny )?(\w+) (?:metal |matte )?(sphere|cube|cylinder|cone|torus)\b"


def mentioned(caption, objects):
    """(index in the scene, colour, shape) of every object in the caption's order, or None where two
    fit one description."""
    found = []
    for color, shape in re.findall(NOUNS, caption):
        fits = [i for i, o in enumerate(objects) if (o["color"], o["shape"]) == (color, shape)]
        if len(fits) != 1:
            return None
        found.append((fits[0], color, shape))
    return found


def score(values, mask):
    """values and mask (share of a cell) of the same cells -> pointing, mass, iou"""
    values = np.maximum(values, 0)
    cut, on = values > values.mean(), mask > 0.5
    return (float(mask.flat[values.argmax()] > 0.5), float((values * mask).sum() / values.sum()),
            float((cut & on).sum() / max(1, (cut | on).sum())))


def baselines(picture, shape, rng):
    """picture (h, w, 3)"""
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in shape)
    gray = picture @ [0.299, 0.587, 0.114]
    steep = np.hypot(*np.gradient(gray))
    edges = steep.reshape(shape[0], steep.shape[0] // shape[0], shape[1], -1).mean((1, 3))
    middle = np.exp(-8 * ((rows[:, None] / shape[0]) ** 2 + (columns[None] / shape[1]) ** 2))
    return {"random": rng.random(shape), "centre": middle, "edges": edges}


def inspect(args, flags, folder):
    """The maps that fovea inspect writes into folder, by (kind, word)."""
    command = [args.fovea, "inspect", *flags, *(["-m", args.model] if args.model else []),
               "-o", folder]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {result.stderr.strip()}")
    with open(f"{folder}/manifest.json", encoding="utf-8") as f:
        files = json.load(f)["files"]
    return {(e["kind"], e["word"]): np.load(os.path.join(folder, e["npy"])) for e in files
            if e.get("npy")}


def new_parser(doc):
    parser = argparse.ArgumentParser(description=doc,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes")
    parser.add_argument("--fovea", default="build/bin/fovea")
    parser.add_argument("--model")
    parser.add_argument("--count", type=int, default=100, help="scenes")
    return parser


def load_scenes(folder):
    """Pictures, masks, descriptions."""
    with open(f"{folder}/scenes.jsonl", encoding="utf-8") as f:
        scenes = [json.loads(line) for line in f]
    return (np.load(f"{folder}/images.npy", mmap_mode="r"),
            np.load(f"{folder}/masks.npy", mmap_mode="r"), scenes)


def main():
    parser = new_parser(__doc__)
    parser.add_argument("--strength", type=float, default=0.6)
    parser.add_argument("--out", help="keep what inspect writes here")
    args = parser.parse_args()
    images, masks, scenes = load_scenes(args.scenes)
    rng, scores, used = np.random.default_rng(0), {}, 0
    keep = args.out or tempfile.mkdtemp()
    for i, scene in enumerate(scenes):
        caption = max(scene["captions"], key=len)
        found = mentioned(caption, scene["objects"])
        if not found or len(found) != len(scene["objects"]):
            continue
        folder = f"{keep}/{i:04d}"
        os.makedirs(folder, exist_ok=True)
        Image.fromarray(np.asarray(images[i])).save(f"{folder}/scene.png")
        words = sorted({w for _, color, shape in found for w in (color, shape)})
        words += SLOTS[:len(found)]
        made = inspect(args, ["-p", caption, "--image", f"{folder}/scene.png", "--strength",
                              str(args.strength), "-s", "1", "--words", ",".join(words)], folder)
        got = {word: made["words", word] for word in words}
        for k, (index, color, shape) in enumerate(found):
            rows = {"the object's text state": got[SLOTS[k]], "its colour": got[color],
                    "its shape": got[shape],
                    "another object's text state":
                        got[SLOTS[(k + 1) % len(found)]] if len(found) > 1 else None}
            grid = got[color].shape
            cell = masks[i].shape[0] // grid[0]
            mask = (np.asarray(masks[i]) == index + 1).astype(float)
            if cell > 0:
                mask = mask.reshape(grid[0], cell, grid[1], cell).mean((1, 3))
            for name, values in {**rows, **baselines(np.asarray(images[i], float), grid, rng)}.items():
                if values is not None:
                    scores.setdefault(name, []).append(score(values, mask))
        used += 1
        if used == args.count:
            break
    print(f"{used} scenes, {len(scores['random'])} objects\n")
    print("| map | objects | pointing | weight on the mask | IoU |\n|---|---|---|---|---|")
    for name, rows in scores.items():
        rows = np.array(rows)
        error = 1.96 * rows.std(0) / np.sqrt(len(rows))
        print(f"| {name} | {len(rows)} | " +
              " | ".join(f"{m:.2f} ± {e:.2f}" for m, e in zip(rows.mean(0), error)) + " |")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
