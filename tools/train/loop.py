"""The training loop of the denoisers: batches of several sets, resumable, averaged over processes."""

import time

import numpy as np
import torch

import common
from latents import Buckets, Latents


def add_options(parser):
    parser.add_argument("--data", required=True, help="folder of scene sets")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--sets", nargs="+", default=["single"])
    parser.add_argument("--shares", nargs="+", type=float,
                        help="of the pictures drawn, one for each set (by default, its pictures)")
    parser.add_argument("--weight", type=float, default=2.0, help="extra loss weight on objects")
    parser.add_argument("--outline", type=float, default=0.0, help="extra loss weight on outlines")
    parser.add_argument("--metric", type=float, default=0.75,
                        help="component k weighs (sd_k / sd_0)^this; 1 is the metric of pixels")
    parser.add_argument("--naming", type=float, default=0.1, help="weight of the cells' classes")
    parser.add_argument("--telling", type=float, default=0.02, help="weight of the text's objects")
    parser.add_argument("--pointing", type=float, default=0.2, help="weight of the attention's loss")
    parser.add_argument("--ema", type=float, default=0.998)


def run(args, name, model, losses, start=None):
    """Trains model, its checkpoint OUT/NAME.pt, until the slice or the run ends.

    losses(z, shares, labels, captions) -> {"loss": tensor, ...}, of which all but the first are
    weighed by the option of their name. start: weights to begin with, by name.
    """
    group = common.Group()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=args.lr,
                                  betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step, samples, spent = 0, 0, 0.0
    path = f"{args.out}/{name}.pt"
    state = common.load(path)
    if not state:
        if start:
            model.load_state_dict(start, strict=False)
        average = common.Average(model, args.ema)
    else:
        model.load_state_dict(state["model"])
        average = common.Average(model, args.ema)
        average.values = {k: v.to(args.device) for k, v in state["average"].items()}
        if "optimizer" in state:  # restore.py knows none
            optimizer.load_state_dict(state["optimizer"])
        step, samples, spent = state["step"], state["samples"], state["seconds"]
    rng = np.random.default_rng([step, group.rank])
    torch.manual_seed(1000 * step + group.rank)
    print(f"from step {step}", flush=True)

    sets = [Latents(args.data, args.out, s) for s in args.sets]
    buckets = Buckets(sets, args.shares or [len(s.captions) for s in sets])
    log, names = None, []
    part, kept, since, drawn_since = common.Slice(args, spent), [], time.monotonic(), 0

    def seconds():  # of all processes
        return spent + (part.seconds() - spent) * group.size

    def keep():
        common.save(path, {"model": model.state_dict(), "average": average.values,
                           "optimizer": optimizer.state_dict(), "step": step, "samples": samples,
                           "seconds": seconds()})

    stop = False
    while step < args.steps and not stop:
        *drawn, captions = buckets.draw(args.batch, rng)
        z, shares, labels = (x.to(args.device) for x in drawn)
        captions = ["" if rng.random() < 0.1 else c for c in captions]
        common.set_rate(optimizer, common.rate(step, args))
        parts = losses(z, shares, labels, captions)
        total = sum(v if k == "loss" else getattr(args, k) * v for k, v in parts.items())
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        stop = group.average(model.parameters(), part.over())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, samples, drawn_since = step + 1, samples + len(z) * group.size, drawn_since + len(z)
        if group.rank:  # the first process averages, logs and saves
            continue
        average.update(model, step)
        kept.append(torch.stack(list(parts.values())).detach())
        if not log:
            names = list(parts)
            log = common.Log(f"{args.logs}/{name}.csv",
                             ["step", "samples", "seconds", *names, "lr", "sets"], step - 1)
        if step % 100 == 0:
            means = dict(zip(names, torch.stack(kept).mean(0).tolist()))
            log.row(step=step, samples=samples, seconds=seconds(), **means,
                    lr=common.rate(step, args), sets="+".join(args.sets))
            pace = drawn_since * group.size / (time.monotonic() - since)
            print(f"{pace:.1f} samples a second", flush=True)
            kept, since, drawn_since = [], time.monotonic(), 0
        if part.due():
            keep()
    if group.rank == 0:
        keep()
