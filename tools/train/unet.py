"""Trains the denoiser, and the text encoder along with it, on PCA latents.

v-prediction, zero terminal SNR, uniform timesteps: layout and colour are decided at high noise.
Small batches, because shapes need optimiser steps; the loss weighs objects more, because they are
a small part of a picture, and coarse components more, as pixels do. While training, a head also
names what each cell of the clean picture shows: that teaches the cross-attention where each word
belongs long before the loss on latents would. The text encoder starts from text.py's and keeps
naming the objects in its last states; pointing.py ties these to the cells. Start with sets of
single objects and resume with more kinds: --sets and --shares may change between slices.
"""

import time

import numpy as np
import torch
import torch.nn.functional as F

import common
import models
import pointing
import tokenizer as bpe
from scene_labels import CLASSES
from slots import Slots


class Latents:
    """The cached latents, object shares and captions of one set, resident in memory."""

    def __init__(self, data, out, name):
        self.latents = torch.from_numpy(np.load(f"{out}/latents_{name}.npy"))  # (n, k, 16, 16) f16
        self.inside = torch.from_numpy(np.load(f"{out}/inside_{name}.npy"))    # (n, 16, 16) f16
        self.labels = torch.from_numpy(np.load(f"{out}/labels_{name}.npy"))    # (n, 4, 16, 16) u8
        self.captions = [s["captions"] for s in common.SceneSet(f"{data}/{name}").scenes]
        self.order, self.next = None, 0

    def draw(self, count, rng):
        """Without replacement until the set is used up."""
        if self.order is None or self.next + count > len(self.order):
            self.order, self.next = rng.permutation(len(self.captions)), 0
        picked = self.order[self.next:self.next + count]
        self.next += count
        captions = [self.captions[i][rng.integers(len(self.captions[i]))] for i in picked]
        return (self.latents[picked].float(), self.inside[picked].float(),
                self.labels[picked].long(), captions)


class Painter(torch.nn.Module):
    """Both trained parts under one roof, so one optimiser and one average serve them."""

    def __init__(self, tokens):
        super().__init__()
        self.text_encoder = models.text_encoder(tokens)
        self.slots = Slots(models.WIDTH)
        self.unet = models.unet()
        self.heads = torch.nn.Conv2d(self.unet.config.block_out_channels[0], sum(CLASSES), 1)
        self.unet.up_blocks[-1].register_forward_hook(self._keep)

    def _keep(self, module, inputs, output):
        self.features = output  # (b, 64, 16, 16)

    def forward(self, noisy, t, ids):
        """The velocity, class scores of each cell and of each object of the text."""
        context = self.text_encoder(ids).last_hidden_state  # (b, 32, 128)
        v = self.unet(noisy, t, context).sample
        return v, self.heads(self.features).split(CLASSES, 1), self.slots(context)


def draw_times(count, steps, early):
    """Uniform, but a share `early` of them in the noisiest 30 %, where the layout is decided."""
    first = torch.where(torch.rand(count) < early, 0.7 * steps, 0.0)
    return (first + torch.rand(count) * (steps - first)).long()


def batch_losses(painter, alphas, z, inside, labels, ids, said, args, channels, autocast):
    """On velocities, on what the cells show, on what the text says, and on where it points."""
    t = draw_times(len(z), len(alphas), args.early)
    a = alphas[t].view(-1, 1, 1, 1).to(z.device)
    noise = torch.randn(z.shape).to(z.device)
    noisy = (a.sqrt() * z + (1 - a).sqrt() * noise).contiguous(memory_format=torch.channels_last)
    v = a.sqrt() * noise - (1 - a).sqrt() * z
    with autocast:
        predicted, classes, objects = painter(noisy, t.to(z.device), ids)
    w = 1 + args.weight * inside
    w = w / w.mean((1, 2), keepdim=True)  # every picture counts the same
    velocity = (w[:, None] * channels * (predicted.float() - v).square()).mean()
    named = sum((w * F.cross_entropy(c.float(), labels[:, i], reduction="none")).mean()
                for i, c in enumerate(classes))
    pointed = pointing.loss(painter.unet.attn_processors.values(), labels, said)
    return velocity, named, painter.slots.loss(objects, said), pointed


def main():
    parser = common.add_options(common.new_parser(__doc__), 20000, 1e-3, 16, decay=0.25)
    parser.add_argument("--data", required=True, help="folder of scene sets")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--sets", nargs="+", default=["single"])
    parser.add_argument("--shares", nargs="+", type=float, help="of a batch, one for each set")
    parser.add_argument("--weight", type=float, default=2.0, help="extra loss weight on objects")
    parser.add_argument("--metric", type=float, default=0.75,
                        help="component k weighs (sd_k / sd_0)^this; 1 is the metric of pixels")
    parser.add_argument("--naming", type=float, default=0.1, help="weight of the cells' classes")
    parser.add_argument("--telling", type=float, default=0.02, help="weight of the text's objects")
    parser.add_argument("--pointing", type=float, default=0.2, help="weight of the attention's loss")
    parser.add_argument("--early", type=float, default=0.25, help="share of noisy timesteps")
    parser.add_argument("--ema", type=float, default=0.998)
    args = common.parse(parser)
    group = common.Group()
    encode = bpe.Encoder(args.tokenizer)
    painter = Painter(len(encode.tokenizer)).to(args.device)
    painter.unet.to(memory_format=torch.channels_last)
    # Plain attention; on a CPU, the backward pass of flash attention would be a third of a step.
    painter.unet.set_attn_processor(
        {name: pointing.PointingAttnProcessor() for name in painter.unet.attn_processors})
    if args.device == "cpu":
        painter.text_encoder.set_attn_implementation("eager")
    optimizer = torch.optim.AdamW(painter.parameters(), lr=args.lr, betas=(0.9, 0.98),
                                  weight_decay=0.01, fused=True)
    step, samples, spent = 0, 0, 0.0
    path = f"{args.out}/unet.pt"
    state = common.load(path)
    if not state:
        painter.load_state_dict(common.load(f"{args.out}/text.pt")["model"], strict=False)
        average = common.Average(painter, args.ema)
    else:
        painter.load_state_dict(state["model"])
        average = common.Average(painter, args.ema)
        average.values = {k: v.to(args.device) for k, v in state["average"].items()}
        optimizer.load_state_dict(state["optimizer"])
        step, samples, spent = state["step"], state["samples"], state["seconds"]
    rng = np.random.default_rng([step, group.rank])
    torch.manual_seed(1000 * step + group.rank)
    print(f"{models.parameters(painter.unet) / 1e6:.2f} M U-Net, "
          f"{models.parameters(painter.text_encoder) / 1e6:.2f} M text, from step {step}", flush=True)

    sets = [Latents(args.data, args.out, name) for name in args.sets]
    shares = np.array(args.shares or [1.0] * len(sets))
    alphas = models.scheduler().alphas_cumprod
    sd = np.load(f"{args.out}/pca.npz")["sd"]
    channels = torch.from_numpy((sd / sd[0]) ** args.metric).view(-1, 1, 1)
    channels = (channels / channels.mean()).to(args.device)
    log = None if group.rank else common.Log(
        f"{args.logs}/unet.csv",
        ["step", "samples", "seconds", "loss", "naming", "telling", "pointing", "lr",
         "sets"], step)
    part, losses, since = common.Slice(args, spent), [], time.monotonic()

    def seconds():  # of all processes
        return spent + (part.seconds() - spent) * group.size

    def keep():
        common.save(path, {"model": painter.state_dict(), "average": average.values,
                           "optimizer": optimizer.state_dict(), "step": step, "samples": samples,
                           "seconds": seconds()})

    stop = False
    while step < args.steps and not stop:
        counts = rng.multinomial(args.batch, shares / shares.sum())
        drawn = [s.draw(c, rng) for s, c in zip(sets, counts) if c]
        z = torch.cat([d[0] for d in drawn]).to(args.device)
        inside = torch.cat([d[1] for d in drawn]).to(args.device)
        labels = torch.cat([d[2] for d in drawn]).to(args.device)
        captions = ["" if rng.random() < 0.1 else c for d in drawn for c in d[3]]
        common.set_rate(optimizer, common.rate(step, args))
        loss, named, told, pointed = batch_losses(
            painter, alphas, z, inside, labels, encode(captions).to(args.device),
            painter.slots.targets(captions).to(args.device), args, channels,
            common.bf16(args.device))
        optimizer.zero_grad(set_to_none=True)
        (loss + args.naming * named + args.telling * told + args.pointing * pointed).backward()
        stop = group.average(painter.parameters(), part.over())
        torch.nn.utils.clip_grad_norm_(painter.parameters(), 1.0)
        optimizer.step()
        step, samples = step + 1, samples + args.batch * group.size
        if group.rank:  # the first process averages, logs and saves
            continue
        average.update(painter, step)
        losses.append(torch.stack([loss, named, told, pointed]).detach())
        if step % 100 == 0:
            velocity, names, objects, points = torch.stack(losses).mean(0).tolist()
            log.row(step=step, samples=samples, seconds=seconds(), loss=velocity,
                    naming=names, telling=objects, pointing=points,
                    lr=common.rate(step, args), sets="+".join(args.sets))
            pace = 100 * args.batch * group.size / (time.monotonic() - since)
            print(f"{pace:.1f} samples a second", flush=True)
            losses, since = [], time.monotonic()
        if part.due():
            keep()
    if group.rank == 0:
        keep()


if __name__ == "__main__":
    main()
