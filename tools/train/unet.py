"""Trains the denoiser, and the text encoder along with it, on PCA latents.

v-prediction, zero terminal SNR, uniform timesteps: layout and colour are decided at high noise.
Small batches, because shapes need optimiser steps; the loss weighs objects more, because they are
a small part of a picture. Start with sets of single objects and resume with more kinds:
--sets and --shares may change between slices.
"""

import time

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor

import common
import models
import tokenizer as bpe


class Latents:
    """The cached latents, object shares and captions of one set, resident in memory."""

    def __init__(self, data, out, name):
        self.latents = torch.from_numpy(np.load(f"{out}/latents_{name}.npy"))  # (n, k, 16, 16) f16
        self.inside = torch.from_numpy(np.load(f"{out}/inside_{name}.npy"))    # (n, 16, 16) f16
        self.captions = [s["captions"] for s in common.SceneSet(f"{data}/{name}").scenes]
        self.order, self.next = None, 0

    def draw(self, count, rng):
        """Without replacement until the set is used up."""
        if self.order is None or self.next + count > len(self.order):
            self.order, self.next = rng.permutation(len(self.captions)), 0
        picked = self.order[self.next:self.next + count]
        self.next += count
        captions = [self.captions[i][rng.integers(len(self.captions[i]))] for i in picked]
        return self.latents[picked].float(), self.inside[picked].float(), captions


class Painter(torch.nn.Module):
    """Both trained parts under one roof, so one optimiser and one average serve them."""

    def __init__(self, tokens):
        super().__init__()
        self.text_encoder = models.text_encoder(tokens)
        self.unet = models.unet()

    def forward(self, noisy, t, ids):
        context = self.text_encoder(ids).last_hidden_state  # (b, 32, 128)
        return self.unet(noisy, t, context).sample


def batch_loss(painter, alphas, z, inside, ids, weight, autocast):
    t = torch.randint(0, len(alphas), (len(z),))
    a = alphas[t].view(-1, 1, 1, 1).to(z.device)
    noise = torch.randn(z.shape).to(z.device)
    noisy = (a.sqrt() * z + (1 - a).sqrt() * noise).contiguous(memory_format=torch.channels_last)
    v = a.sqrt() * noise - (1 - a).sqrt() * z
    with autocast:
        predicted = painter(noisy, t.to(z.device), ids)
    w = 1 + weight * inside[:, None]
    w = w / w.mean((1, 2, 3), keepdim=True)  # every picture counts the same
    return (w * (predicted.float() - v).square()).mean()


def main():
    parser = common.add_options(common.new_parser(__doc__), 20000, 1e-3, 16, decay=0.25)
    parser.add_argument("--data", required=True, help="folder of scene sets")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--sets", nargs="+", default=["single"])
    parser.add_argument("--shares", nargs="+", type=float, help="of a batch, one for each set")
    parser.add_argument("--weight", type=float, default=2.0, help="extra loss weight on objects")
    parser.add_argument("--ema", type=float, default=0.998)
    args = common.parse(parser)
    encode = bpe.Encoder(args.tokenizer)
    painter = Painter(len(encode.tokenizer)).to(args.device)
    painter.unet.to(memory_format=torch.channels_last)
    if args.device == "cpu":  # the backward pass of CPU flash attention is a third of a step
        painter.unet.set_attn_processor(AttnProcessor())
        painter.text_encoder.set_attn_implementation("eager")
    average = common.Average(painter, args.ema)
    optimizer = torch.optim.AdamW(painter.parameters(), lr=args.lr, betas=(0.9, 0.98),
                                  weight_decay=0.01, fused=True)
    rng, step, samples, spent = np.random.default_rng(0), 0, 0, 0.0
    path = f"{args.out}/unet.pt"
    state = common.load(path)
    if state:
        painter.load_state_dict(state["model"])
        average.values = {k: v.to(args.device) for k, v in state["average"].items()}
        optimizer.load_state_dict(state["optimizer"])
        step, samples, spent = state["step"], state["samples"], state["seconds"]
        rng = np.random.default_rng(step)
        torch.manual_seed(step)
    print(f"{models.parameters(painter.unet) / 1e6:.2f} M U-Net, "
          f"{models.parameters(painter.text_encoder) / 1e6:.2f} M text, from step {step}", flush=True)

    sets = [Latents(args.data, args.out, name) for name in args.sets]
    shares = np.array(args.shares or [1.0] * len(sets))
    alphas = models.scheduler().alphas_cumprod
    forward = torch.compile(painter) if args.compile else painter
    log = common.Log(f"{args.logs}/unet.csv", ["step", "samples", "seconds", "loss", "lr", "sets"])
    part, losses, since = common.Slice(args, spent), [], time.monotonic()

    def keep():
        common.save(path, {"model": painter.state_dict(), "average": average.values,
                           "optimizer": optimizer.state_dict(), "step": step, "samples": samples,
                           "seconds": part.seconds()})

    while step < args.steps and not part.over():
        counts = rng.multinomial(args.batch, shares / shares.sum())
        drawn = [s.draw(c, rng) for s, c in zip(sets, counts) if c]
        z = torch.cat([d[0] for d in drawn]).to(args.device)
        inside = torch.cat([d[1] for d in drawn]).to(args.device)
        captions = ["" if rng.random() < 0.1 else c for d in drawn for c in d[2]]
        common.set_rate(optimizer, common.rate(step, args))
        loss = batch_loss(forward, alphas, z, inside, encode(captions).to(args.device),
                          args.weight, common.bf16(args.device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(painter.parameters(), 1.0)
        optimizer.step()
        average.update(painter, step)
        losses.append(loss.detach())
        step, samples = step + 1, samples + args.batch
        if step % 100 == 0:
            log.row(step=step, samples=samples, seconds=part.seconds(),
                    loss=float(torch.stack(losses).mean()), lr=common.rate(step, args),
                    sets="+".join(args.sets))
            print(f"{100 * args.batch / (time.monotonic() - since):.1f} samples a second", flush=True)
            losses, since = [], time.monotonic()
        if part.due():
            keep()
    keep()


if __name__ == "__main__":
    main()
