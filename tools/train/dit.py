"""Trains the SD3-like denoiser on the same latents, its text encoder the family's finished CLIP.

Flow matching, times shifted to the noise: layout and colour are decided there. The same help as the
U-Net's (unet.py): a head in the middle names what each cell shows, the last text states of an early
block describe an object each, and the later blocks' attention is told where these are. At the
noisiest times the target is the trained U-Net's prediction instead of one picture's velocity: the
mean over all pictures that fit, which a small batch would only learn from many samples.
"""

import os

import torch
import torch.nn.functional as F
from transformers import CLIPTextModelWithProjection

import common
import latents
import loop
import models
import pointing
import tokenizer as bpe
import unet
from scene_labels import CLASSES
from slots import Slots

TOLD, NAMED = 2, 4  # blocks behind which the text's objects, the cells' classes are read


class Text:
    """Captions to what the pipeline makes of them: both encoders are the family's CLIP."""

    def __init__(self, clip, tokenizer, device):
        self.encode = bpe.Encoder(tokenizer)
        self.model = CLIPTextModelWithProjection.from_pretrained(
            clip, dtype=torch.float32).eval().requires_grad_(False).to(device)

    @torch.no_grad()
    def __call__(self, captions):
        out = self.model(self.encode(captions).to(self.model.device), output_hidden_states=True)
        return tuple(torch.cat([x, x], -1) for x in (out.hidden_states[-2], out.text_embeds))


class Painter(torch.nn.Module):
    """The denoiser with the heads that only training needs."""

    def __init__(self):
        super().__init__()
        self.dit = models.dit()
        width, self.patch = self.dit.inner_dim, self.dit.config.patch_size
        self.slots = Slots(width)
        self.heads = torch.nn.Linear(width, self.patch ** 2 * sum(CLASSES))
        for name, layer in self.dit.named_modules():  # every block begins as the identity
            if name.endswith((".norm1.linear", ".norm1_context.linear")) or name in (
                    "norm_out.linear", "proj_out"):
                torch.nn.init.zeros_(layer.weight)
                torch.nn.init.zeros_(layer.bias)
        blocks = self.dit.transformer_blocks
        for block in blocks[NAMED:]:
            block.attn.set_processor(pointing.PointingJointAttnProcessor())
        blocks[TOLD].register_forward_hook(lambda m, i, out: self._keep("text", out[0]))
        blocks[NAMED].register_forward_hook(lambda m, i, out: self._keep("cells", out[1]))
        self.kept = {}

    def _keep(self, name, value):
        self.kept[name] = value

    def forward(self, noisy, t, states, pooled):
        """The velocity, class scores of each cell and of each object of the text."""
        v = self.dit(noisy, states, pooled, t).sample
        b, _, h, w = noisy.shape
        p = self.patch
        cells = self.heads(self.kept["cells"]).view(b, h // p, w // p, p, p, -1)
        cells = cells.permute(0, 5, 1, 3, 2, 4).reshape(b, -1, h, w)
        return v, cells.split(CLASSES, 1), self.slots(self.kept["text"])

    def processors(self):
        return [b.attn.processor for b in self.dit.transformer_blocks[NAMED:]]


class Teacher:
    """The trained U-Net: the expected velocity of a noisy latent."""

    def __init__(self, path, tokenizer, device):
        self.encode = bpe.Encoder(tokenizer)
        painter = unet.Painter(len(self.encode.tokenizer))
        painter.load_state_dict(common.load(path)["average"])
        self.painter = painter.eval().requires_grad_(False).to(device)
        self.painter.unet.to(memory_format=torch.channels_last)
        self.alphas = models.scheduler().alphas_cumprod

    @torch.no_grad()
    def velocity(self, noisy, sigma, captions):
        """Of the flow (1 - sigma) z + sigma noise; sigma (b,)"""
        signal = 1 / (1 + (sigma / (1 - sigma)).square())  # its alphas_cumprod
        t = (self.alphas[None].to(signal) - signal[:, None]).abs().argmin(1)
        a, s = (x.view(-1, 1, 1, 1) for x in (self.alphas.to(signal)[t], sigma))
        same = noisy / ((1 - s).square() + s.square()).sqrt()
        ids = self.encode(captions).to(noisy.device)
        context = self.painter.text_encoder(ids).last_hidden_state
        v = self.painter.unet(same.contiguous(memory_format=torch.channels_last), t,
                              context).sample.float()
        clean = a.sqrt() * same - (1 - a).sqrt() * v
        return (noisy - clean) / s


def batch_losses(painter, text, teacher, channels, args):

    def losses(z, shares, labels, captions):
        said = painter.slots.targets(captions).to(z.device)
        u = torch.rand(len(z))
        sigma = (args.shift * u / (1 + (args.shift - 1) * u)).to(z.device)
        s = sigma.view(-1, 1, 1, 1)
        noise = torch.randn(z.shape).to(z.device)
        noisy = (1 - s) * z + s * noise
        v = noise - z
        with common.bf16(args.device):
            taught = (sigma > args.taught).nonzero().flatten()
            if teacher and len(taught):
                v[taught] = teacher.velocity(noisy[taught], sigma[taught].clamp(max=0.9999),
                                             [captions[i] for i in taught.tolist()])
            predicted, classes, objects = painter(noisy, 1000 * sigma, *text(captions))
        w = latents.cell_weights(shares, args.weight, args.outline)
        return {
            "loss": (w[:, None] * channels * (predicted.float() - v).square()).mean(),
            "naming": sum((w * F.cross_entropy(c.float(), labels[:, i], reduction="none")).mean()
                          for i, c in enumerate(classes)),
            "telling": painter.slots.loss(objects, said),
            "pointing": pointing.loss(painter.processors(), labels, said)}

    return losses


def main():
    parser = common.add_options(common.new_parser(__doc__), 30000, 1e-3, 16, warmup=300)
    loop.add_options(parser)
    parser.add_argument("--clip", required=True, help="folder of the trained text encoder")
    parser.add_argument("--shift", type=float, default=4.0, help="of the flow's times")
    parser.add_argument("--taught", type=float, default=0.5,
                        help="the U-Net gives the target at noisier times; 1: never")
    args = common.parse(parser)
    painter = Painter().to(args.device)
    text = Text(args.clip, args.tokenizer, args.device)
    teacher = None
    if args.taught < 1:
        if not os.path.exists(f"{args.out}/unet.pt"):
            raise SystemExit("the U-Net is the teacher: train unet.py first, or --taught 1")
        teacher = Teacher(f"{args.out}/unet.pt", args.tokenizer, args.device)
    print(f"{models.parameters(painter.dit) / 1e6:.2f} M", flush=True)
    channels = latents.channel_weights(args.out, args.metric).to(args.device)
    loop.run(args, "dit", painter, batch_losses(painter, text, teacher, channels, args))


if __name__ == "__main__":
    main()
