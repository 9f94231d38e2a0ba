"""What every stage shares: scene sets, resumable checkpoints, averages, logs, the pause file."""

import argparse
import csv
import json
import os
import signal
import time

import numpy as np
import torch


class SceneSet:
    """One folder of rendered scenes: images.npy, masks.npy, scenes.jsonl."""

    def __init__(self, folder):
        self.folder = folder
        self.images = np.load(os.path.join(folder, "images.npy"), mmap_mode="r")  # (n, h, w, 3) u8
        self.masks = np.load(os.path.join(folder, "masks.npy"), mmap_mode="r")    # (n, h, w) u8
        with open(os.path.join(folder, "scenes.jsonl"), encoding="utf-8") as f:
            self.scenes = [json.loads(line) for line in f]
        if not len(self.images) == len(self.masks) == len(self.scenes):
            raise ValueError(f"{folder}: images, masks and scenes differ in number")

    def __len__(self):
        return len(self.scenes)

    def name(self):
        return os.path.basename(os.path.normpath(self.folder))

    def pictures(self, indices):
        """Pictures in [-1, 1].  (b, 3, h, w)"""
        batch = torch.from_numpy(np.stack([self.images[i] for i in indices]))
        return batch.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


class Average:
    """Exponential average of a model's parameters; it warms up, so early exports are usable."""

    def __init__(self, module, decay):
        self.decay = decay
        self.values = {k: v.detach().clone() for k, v in module.state_dict().items()}

    def update(self, module, step):
        decay = min(self.decay, (1 + step) / (10 + step))
        live = module.state_dict()
        names = [k for k, v in self.values.items() if v.dtype.is_floating_point]
        torch._foreach_lerp_([self.values[k] for k in names],
                             [live[k].detach() for k in names], 1.0 - decay)


class Log:
    """Appends rows to a CSV file that stays in the repository.

    A resumed stage drops the rows after its checkpoint, which it will write again.
    """

    def __init__(self, path, fields, step=None):
        self.path, self.fields = path, fields
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        rows = []
        if os.path.exists(path):
            with open(path, newline="", encoding="utf-8") as f:
                rows = [r for r in csv.DictReader(f) if step is None or int(r["step"]) <= step]
        with open(path, "w", newline="", encoding="utf-8") as f:
            table = csv.DictWriter(f, fields, restval="", extrasaction="ignore")
            table.writeheader()
            table.writerows(rows)

    def row(self, **values):
        with open(self.path, "a", newline="", encoding="utf-8") as f:
            csv.writer(f).writerow([_short(values.get(k, "")) for k in self.fields])
        print(" ".join(f"{k}={_short(v)}" for k, v in values.items()), flush=True)


def _short(value):
    return f"{value:.5g}" if isinstance(value, float) else value


def save(path, state):
    """Writes under another name first: a killed slice never leaves half a checkpoint."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)


def load(path):
    if not os.path.exists(path):
        return None
    return torch.load(path, map_location="cpu", weights_only=False)


class Slice:
    """Bounds one run: ends after --minutes, saves every --save-every seconds, waits while paused.

    Machine time is CPU seconds of this process on a CPU and wall seconds on a GPU; it accumulates
    over slices, so a log shows what the whole run cost.
    """

    def __init__(self, args, spent=0.0):
        self.args, self.spent = args, spent
        self.begin = time.monotonic()
        self.mark = self._clock()
        self.saved = self.begin
        self.stopped = False
        signal.signal(signal.SIGTERM, self._stop)  # ends the slice, so nothing is lost

    def _stop(self, *_):
        self.stopped = True

    def _clock(self):
        return time.monotonic() if self.args.device.startswith("cuda") else time.process_time()

    def seconds(self):
        return self.spent + self._clock() - self.mark

    def over(self):
        while not self.stopped and self.args.pause and os.path.exists(self.args.pause):
            time.sleep(2)
        minutes = self.args.minutes
        late = minutes > 0 and time.monotonic() - self.begin > 60 * minutes
        return self.stopped or late

    def due(self):
        if time.monotonic() - self.saved < self.args.save_every:
            return False
        self.saved = time.monotonic()
        return True


def rate(step, args):
    """Warm-up, a plateau, then a straight line to zero: the end may be moved when resuming."""
    warm = min(1.0, (step + 1) / args.warmup)
    start = args.steps * (1.0 - args.decay)
    return args.lr * warm * min(1.0, max(0.0, (args.steps - step) / max(1.0, args.steps - start)))


def set_rate(optimizer, value):
    for group in optimizer.param_groups:
        group["lr"] = value * group.get("scale", 1.0)


class Group:
    """Processes that train one model together (torchrun sets the environment); usually just one.

    Each draws its own part of a batch; gradients are averaged, so all keep the same weights. Two
    processes of one thread beat two threads where other programs keep the cores busy.
    """

    def __init__(self):
        self.rank, self.size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        if self.size > 1:
            torch.distributed.init_process_group("gloo")

    def average(self, parameters, stop):
        """Averages gradients in place; true if any process wants to stop."""
        if self.size == 1:
            return stop
        grads = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in grads] + [grads[0].new_tensor([float(stop)])])
        torch.distributed.all_reduce(flat)
        flat /= self.size
        for g, part in zip(grads, flat[:-1].split([g.numel() for g in grads])):
            g.copy_(part.view_as(g))
        return bool(flat[-1] > 0)


def add_options(parser, steps, lr, batch, warmup=100, decay=0.3):
    """Options that every training stage has."""
    parser.add_argument("--out", required=True, help="folder of checkpoints")
    parser.add_argument("--logs", required=True, help="folder of CSV logs")
    parser.add_argument("--steps", type=int, default=steps, help="optimiser steps in all")
    parser.add_argument("--lr", type=float, default=lr)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--warmup", type=int, default=warmup, help="steps")
    parser.add_argument("--decay", type=float, default=decay, help="last part of the run, to lr 0")
    parser.add_argument("--minutes", type=float, default=0, help="end this slice after (0: never)")
    parser.add_argument("--save-every", type=float, default=150, help="seconds between checkpoints")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pause", default="", help="wait while this file exists")
    return parser


def parse(parser):
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    return args


def new_parser(text):
    return argparse.ArgumentParser(description=text)


def bf16(device):
    return torch.autocast("cuda" if device.startswith("cuda") else "cpu", dtype=torch.bfloat16)
