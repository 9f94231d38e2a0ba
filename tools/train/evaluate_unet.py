"""Paints prompts that training never saw and judges colour, shape and relation.

Half of the prompts ask for single objects, half for two in a relation. Writes a row of results and
a sheet of the pictures; a caption's frame is green where the picture is right.
"""

import numpy as np
import torch
from PIL import Image, ImageDraw

import common
import judge
import models
import pca
import tokenizer as bpe
import unet
import vae

FORWARD = {"left": ("x", -1), "right": ("x", 1), "front": ("bottom", 1), "behind": ("bottom", -1)}


def prompts(unseen, trained, count, objects, seed=1):
    """(caption, scene) of unseen scenes, in words that no training caption has."""
    known = {c for s in trained for scene in s.scenes for c in scene["captions"]}
    rng, chosen, texts = np.random.default_rng(seed), [], set()
    for i in rng.permutation(len(unseen)):
        scene = unseen.scenes[i]
        if len(scene["objects"]) != objects or (objects == 2 and not scene["relation"]):
            continue
        for caption in scene["captions"]:
            related = objects == 1 or any(f" {w} " in f" {caption} " for w in FORWARD)
            if caption not in known and caption not in texts and related:
                chosen.append((caption, scene))
                texts.add(caption)
                break
        if len(chosen) == count:
            break
    return chosen


def right_single(found, wanted):
    """(colour, shape, both and nothing else)"""
    if not found:
        return False, False, False
    main = max(found, key=lambda f: f["cells"])
    color, shape = main["color"] == wanted["color"], main["shape"] == wanted["shape"]
    return color, shape, color and shape and len(found) == 1


def right_pair(found, scene):
    """(both objects are there, and stand as asked)"""
    pick = []
    for o in scene["objects"]:
        fits = [f for f in found if (f["color"], f["shape"]) == (o["color"], o["shape"])]
        if not fits:
            return False, False
        pick.append(max(fits, key=lambda f: f["cells"]))
    axis, sign = FORWARD[scene["relation"]]
    return True, bool(sign * (pick[0][axis] - pick[1][axis]) > 0)


def paint(painter, encode, captions, decode, seed, steps=25, guidance=3.0, batch=16):
    empty = painter.text_encoder(encode([""])).last_hidden_state
    pictures = []
    for i in range(0, len(captions), batch):
        context = painter.text_encoder(encode(captions[i:i + batch])).last_hidden_state
        z = models.sample(painter.unet, context, empty, steps, guidance, seed=seed + i)
        pictures.append(decode(z.contiguous()).clamp(-1, 1))
    return torch.cat(pictures)


def sheet(pictures, captions, good, path, columns=8):
    cell, text = 128, 26
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * cell, rows * (cell + text)), "white")
    draw = ImageDraw.Draw(page)
    for i, picture in enumerate(pictures):
        x, y = i % columns * cell, i // columns * (cell + text)
        array = ((picture.permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
        page.paste(Image.fromarray(array), (x, y))
        words, lines = captions[i].split(), [""]
        for word in words:
            if len(lines[-1]) + len(word) > 24:
                lines.append("")
            lines[-1] += word + " "
        draw.text((x + 2, y + cell), "\n".join(lines[:2]), fill="green" if good[i] else "red",
                  font_size=9)
    page.save(path)


@torch.no_grad()
def main():
    parser = common.new_parser(__doc__)
    parser.add_argument("--data", required=True, help="folder of scene sets")
    parser.add_argument("--sets", nargs="+", required=True, help="sets of the training")
    parser.add_argument("--single", required=True, help="unseen set of single objects")
    parser.add_argument("--pairs", required=True, help="unseen set with pairs")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True, help="folder of checkpoints")
    parser.add_argument("--logs", required=True)
    parser.add_argument("--sheet", required=True, help="picture to write")
    parser.add_argument("--count", type=int, default=64, help="prompts, half of them single objects")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--linear", action="store_true", help="decode by PCA, not by the VAE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    trained = [common.SceneSet(f"{args.data}/{n}") for n in args.sets]
    half = args.count // 2
    single = prompts(common.SceneSet(f"{args.data}/{args.single}"), trained, half, 1)
    pairs = prompts(common.SceneSet(f"{args.data}/{args.pairs}"), trained, half, 2)
    encode = bpe.Encoder(args.tokenizer)
    painter = unet.Painter(len(encode.tokenizer)).eval()
    state = common.load(f"{args.out}/unet.pt")
    painter.load_state_dict(state["average"])
    basis = pca.Basis(f"{args.out}/pca.npz")
    decoder = vae.load(f"{args.out}/vae.pt", f"{args.out}/pca.npz")
    decode = basis.decode if args.linear else lambda z: vae.decode(decoder, z)
    captions = [c for c, _ in single + pairs]
    pictures = paint(painter, encode, captions, decode, args.seed, guidance=args.guidance)
    found = judge.objects(judge.load(f"{args.out}/judge.pt"), pictures)
    ones = np.array([right_single(f, s["objects"][0]) for f, (_, s) in zip(found, single)])
    twos = np.array([right_pair(f, s) for f, (_, s) in zip(found[len(single):], pairs)])
    good = [*ones[:, 0] & ones[:, 1], *twos[:, 1]] if len(twos) else [*ones[:, 0] & ones[:, 1]]
    log = common.Log(f"{args.logs}/unet_evaluation.csv",
                     ["step", "samples", "seconds", "prompts", "guidance", "color", "shape", "single",
                      "only", "both", "related"])
    share = lambda v: float(np.mean(v)) if len(v) else 0.0
    log.row(step=state["step"], samples=state["samples"], seconds=state["seconds"],
            prompts=len(captions), guidance=args.guidance, color=share(ones[:, 0]),
            shape=share(ones[:, 1]), single=share(ones[:, 0] & ones[:, 1]), only=share(ones[:, 2]),
            both=share(twos[:, 0]) if len(twos) else 0.0,
            related=share(twos[:, 1]) if len(twos) else 0.0)
    sheet(pictures, captions, good, args.sheet)


if __name__ == "__main__":
    main()
