"""A small network that says which objects a picture shows; it judges what the U-Net paints.

It labels each 4x4 cell with a colour and a shape (trained on renderings with known masks, blurred
and noisy ones too), and objects are connected cells of one colour. It is a tool of the training
only and ships with nothing.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import common
from scene_labels import COLORS, SHAPES, cell_labels

CELL, LEAST = 4, 8  # pixels; cells of the smallest object


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        conv = lambda i, o, stride=1, dilation=1: nn.Sequential(
            nn.Conv2d(i, o, 3, stride, dilation, dilation, bias=False), nn.BatchNorm2d(o), nn.ReLU())
        self.fine = nn.Sequential(conv(3, 24, 2), conv(24, 48, 2), conv(48, 48))
        self.coarse = nn.Sequential(conv(48, 96, 2), conv(96, 96, 1, 2), conv(96, 96, 1, 4), conv(96, 96))
        self.join = nn.Sequential(conv(144, 64), nn.Conv2d(64, 2 + len(COLORS) + len(SHAPES), 1))

    def forward(self, x):
        fine = self.fine(x)  # (b, 48, 32, 32)
        coarse = F.interpolate(self.coarse(fine), scale_factor=2.0)
        return self.join(torch.cat([fine, coarse], 1)).split([1 + len(COLORS), 1 + len(SHAPES)], 1)


def disturb(pictures, rng):
    """What generated pictures suffer from: softness and noise."""
    size = pictures.shape[-1]
    if rng.random() < 0.5:
        small = F.avg_pool2d(pictures, int(rng.choice([2, 2, 4])))
        pictures = F.interpolate(small, size=(size, size), mode="bilinear")
    return pictures + torch.randn_like(pictures) * 0.1 * rng.random()


def train(sets, steps, path, batch=32):
    model, rng = Judge(), np.random.default_rng(0)
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for step in range(steps):
        scenes = sets[rng.integers(len(sets))]
        picked = rng.integers(len(scenes), size=batch)
        x = disturb(scenes.pictures(picked), rng).contiguous(memory_format=torch.channels_last)
        y = torch.from_numpy(np.stack([cell_labels(scenes.masks[i], scenes.scenes[i]["objects"], CELL, 0.5)
                                       for i in picked])).long()
        color, shape = model(x)
        loss = F.cross_entropy(color, y[:, 0]) + F.cross_entropy(shape, y[:, 1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 49:
            print(f"step {step + 1} loss {float(loss.detach()):.4f}", flush=True)
    common.save(path, model.state_dict())


def load(path):
    model = Judge()
    model.load_state_dict(common.load(path))
    return model.eval()


def components(same):
    """Connected cells (4 neighbours) of a boolean map, as lists of (row, column)."""
    todo, found = {tuple(p) for p in np.argwhere(same)}, []
    while todo:
        stack, part = [todo.pop()], []
        while stack:
            y, x = stack.pop()
            part.append((y, x))
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if near in todo:
                    todo.remove(near)
                    stack.append(near)
        found.append(part)
    return found


@torch.no_grad()
def objects(model, pictures):
    """For each picture a list of {color, shape, x, y, bottom, cells}."""
    color, shape = model(pictures)
    kinds = color.argmax(1).numpy()
    shape = shape.log_softmax(1).numpy()
    found = []
    for i, kind in enumerate(kinds):
        here = []
        for c, name in enumerate(COLORS):
            for part in components(kind == c + 1):
                if len(part) < LEAST:
                    continue
                ys, xs = np.array(part).T
                votes = shape[i][1:, ys, xs].sum(1)
                here.append({"color": name, "shape": SHAPES[int(votes.argmax())], "x": xs.mean(),
                             "y": ys.mean(), "bottom": ys.max(), "cells": len(part)})
        found.append(here)
    return found


def main():
    parser = common.new_parser(__doc__)
    parser.add_argument("--data", nargs="+", required=True, help="scene sets")
    parser.add_argument("--check", required=True, help="an unseen set of single objects")
    parser.add_argument("--out", required=True)
    parser.add_argument("--steps", type=int, default=500)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    path = f"{args.out}/judge.pt"
    if not common.load(path):
        train([common.SceneSet(d) for d in args.data], args.steps, path)
    scenes, right = common.SceneSet(args.check), 0
    count = min(300, len(scenes))
    for i in range(0, count, 50):
        for j, found in enumerate(objects(load(path), scenes.pictures(range(i, i + 50)))):
            o = scenes.scenes[i + j]["objects"][0]
            right += [(f["color"], f["shape"]) for f in found] == [(o["color"], o["shape"])]
    print(f"exactly the right object in {right} of {count} unseen renderings")


if __name__ == "__main__":
    main()
