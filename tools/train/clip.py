"""Trains CLIP's two towers on rendered scenes and their captions.

Contrastive, with two additions that save most of the samples. Captions that describe the same
objects count as right, too (a batch of single objects holds many). And the masks are known, so
while training each image patch also names the colour, shape and material of what it shows; the
heads for that are thrown away. Every caption also brings a wrong one that differs in one word.
"""

import numpy as np
import torch
import torch.nn.functional as F

import common
import models
import tokenizer as bpe
from scene_labels import CLASSES, COLORS, MATERIALS, SHAPES, SIZES, cell_labels

PLURALS = [s + "s" for s in SHAPES[:-1]] + ["tori"]
KINDS = [COLORS, SHAPES, PLURALS, SIZES, MATERIALS, ["left", "right"]]  # exchangeable words


def spoil(caption, rng):
    """The caption with one telling word exchanged; None if there is none."""
    words = caption.split()
    places = [(i, kind) for i, w in enumerate(words) for kind in KINDS if w in kind]
    if not places:
        return None
    i, kind = places[rng.integers(len(places))]
    words[i] = rng.choice([w for w in kind if w != words[i]])
    if i and words[i - 1] in ("a", "an"):
        words[i - 1] = "an" if words[i] == "orange" else "a"
    return " ".join(words)


def same_scene(scene):
    """Scenes with equal keys are described by the same full caption."""
    return scene["captions"][0]


class Towers(torch.nn.Module):
    def __init__(self, tokens):
        super().__init__()
        self.text = models.clip_text(tokens)
        self.vision = models.clip_vision()
        self.scale = torch.nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))
        self.heads = torch.nn.Linear(models.WIDTH, sum(CLASSES))

    def forward(self, pictures, ids):
        seen = self.vision(pictures)
        text = F.normalize(self.text(ids).text_embeds, dim=-1)       # (t, 128)
        image = F.normalize(seen.image_embeds, dim=-1)               # (b, 128)
        patches = self.heads(seen.last_hidden_state[:, 1:])          # (b, 64, classes)
        return image, text, patches.split(CLASSES, -1)


def losses(image, text, patches, labels, positive, scale):
    """text: a right caption for each picture, then the spoilt ones."""
    b = len(image)
    logits = scale.exp().clamp(max=100) * image.float() @ text.float().T   # (b, t)
    wanted = positive.float()
    extra = torch.zeros(b, text.shape[0] - b, device=wanted.device)
    rows = torch.cat([wanted / wanted.sum(1, keepdim=True), extra], 1)
    contrast = F.cross_entropy(logits, rows) + F.cross_entropy(
        logits[:, :b].T, wanted.T / wanted.sum(0)[:, None])
    own = logits[:, :b].diagonal()
    pairs = F.softplus(logits[:, b:].diagonal() - own)  # each picture's own spoilt caption
    dense = sum(F.cross_entropy(p.float().flatten(0, 1), labels[:, i].flatten())
                for i, p in enumerate(patches))
    return contrast, pairs.mean(), dense


def draw(sets, shares, count, rng):
    pictures, captions, spoilt, labels, keys = [], [], [], [], []
    for s in rng.choice(len(sets), size=count, p=shares):
        scenes = sets[s]
        i = rng.integers(len(scenes))
        scene = scenes.scenes[i]
        caption = scene["captions"][rng.integers(len(scene["captions"]))]
        pictures.append(scenes.images[i])
        captions.append(caption)
        spoilt.append(spoil(caption, rng) or caption)
        labels.append(cell_labels(scenes.masks[i], scene["objects"], 16))
        keys.append(same_scene(scene))
    pictures = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    names = {k: n for n, k in enumerate(keys)}
    number = torch.tensor([names[k] for k in keys])
    return (pictures / 127.5 - 1, captions + spoilt, torch.from_numpy(np.stack(labels)).long(),
            number[:, None] == number[None])


def main():
    parser = common.add_options(common.new_parser(__doc__), 600, 1e-3, 128, warmup=40, decay=0.4)
    parser.add_argument("--data", required=True, help="folder of scene sets")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--sets", nargs="+", default=["single", "full"])
    parser.add_argument("--shares", nargs="+", type=float, help="one for each set")
    parser.add_argument("--ema", type=float, default=0.99)
    args = common.parse(parser)
    encode = bpe.Encoder(args.tokenizer)
    towers = Towers(len(encode.tokenizer)).to(args.device)
    if args.device == "cpu":  # see unet.py
        for tower in (towers.text, towers.vision):
            tower.set_attn_implementation("eager")
    average = common.Average(towers, args.ema)
    optimizer = torch.optim.AdamW(towers.parameters(), lr=args.lr, betas=(0.9, 0.98),
                                  weight_decay=0.05, fused=True)
    step, spent, path = 0, 0.0, f"{args.out}/clip.pt"
    state = common.load(path)
    if state:
        towers.load_state_dict(state["model"])
        average.values = {k: v.to(args.device) for k, v in state["average"].items()}
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["seconds"]
        torch.manual_seed(step)
    rng = np.random.default_rng(step)
    sets = [common.SceneSet(f"{args.data}/{n}") for n in args.sets]
    shares = np.array(args.shares or [1.0] * len(sets))
    print(f"{models.parameters(towers.text) / 1e6:.2f} M text, "
          f"{models.parameters(towers.vision) / 1e6:.2f} M vision, from step {step}", flush=True)
    log = common.Log(f"{args.logs}/clip.csv", ["step", "samples", "seconds", "contrast", "pairs",
                                               "dense", "top1", "scale", "lr"], step)
    part, seen = common.Slice(args, spent), []

    def keep():
        common.save(path, {"model": towers.state_dict(), "average": average.values,
                           "optimizer": optimizer.state_dict(), "step": step,
                           "seconds": part.seconds()})

    while step < args.steps and not part.over():
        pictures, captions, labels, positive = draw(sets, shares / shares.sum(), args.batch, rng)
        common.set_rate(optimizer, common.rate(step, args))
        with common.bf16(args.device):
            image, text, patches = towers(pictures.to(args.device),
                                          encode(captions).to(args.device))
        positive = positive.to(args.device)
        contrast, pairs, dense = losses(image, text, patches, labels.to(args.device), positive,
                                        towers.scale)
        optimizer.zero_grad(set_to_none=True)
        (contrast + 0.5 * pairs + 0.5 * dense).backward()
        torch.nn.utils.clip_grad_norm_(towers.parameters(), 1.0)
        optimizer.step()
        average.update(towers, step)
        best = (image @ text[:args.batch].T).argmax(1)
        hit = positive[torch.arange(args.batch), best].float().mean()
        seen.append(torch.stack([contrast, pairs, dense, hit]).detach().tolist())
        step += 1
        if step % 10 == 0:
            c, p, d, h = np.mean(seen, 0)
            log.row(step=step, samples=step * args.batch, seconds=part.seconds(), contrast=c,
                    pairs=p, dense=d, top1=h, scale=float(towers.scale.exp()),
                    lr=common.rate(step, args))
            seen = []
        if part.due():
            keep()
    keep()


if __name__ == "__main__":
    main()
