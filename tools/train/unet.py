"""Trains the denoiser, and the text encoder along with it, on PCA latents.

v-prediction, zero terminal SNR, uniform timesteps: layout and colour are decided at high noise.
Small batches, because shapes need optimiser steps; the loss weighs objects more, because they are
a small part of a picture, and coarse components more, as pixels do. While training, a head also
names what each cell of the clean picture shows: that teaches the cross-attention where each word
belongs long before the loss on latents would. The text encoder starts from text.py's and keeps
naming the objects in its last states; pointing.py ties these to the cells. Start with sets of
single objects and resume with more kinds: --sets and --shares may change between slices.
"""

import torch
import torch.nn.functional as F

import common
import latents
import loop
import models
import pointing
import tokenizer as bpe
from scene_labels import CLASSES
from slots import Slots


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


def batch_losses(painter, encode, alphas, channels, args):
    """Losses on velocities, on what the cells show, what the text says, and where it points."""

    def losses(z, shares, labels, captions):
        ids = encode(captions).to(z.device)
        said = painter.slots.targets(captions).to(z.device)
        t = draw_times(len(z), len(alphas), args.early)
        a = alphas[t].view(-1, 1, 1, 1).to(z.device)
        noise = torch.randn(z.shape).to(z.device)
        noisy = (a.sqrt() * z + (1 - a).sqrt() * noise).contiguous(
            memory_format=torch.channels_last)
        v = a.sqrt() * noise - (1 - a).sqrt() * z
        with common.bf16(args.device):
            predicted, classes, objects = painter(noisy, t.to(z.device), ids)
        w = latents.cell_weights(shares, args.weight, args.outline)
        return {
            "loss": (w[:, None] * channels * (predicted.float() - v).square()).mean(),
            "naming": sum((w * F.cross_entropy(c.float(), labels[:, i], reduction="none")).mean()
                          for i, c in enumerate(classes)),
            "telling": painter.slots.loss(objects, said),
            "pointing": pointing.loss(painter.unet.attn_processors.values(), labels, said)}

    return losses


def main():
    parser = common.add_options(common.new_parser(__doc__), 20000, 1e-3, 16, decay=0.25)
    loop.add_options(parser)
    parser.add_argument("--early", type=float, default=0.25, help="share of noisy timesteps")
    args = common.parse(parser)
    encode = bpe.Encoder(args.tokenizer)
    painter = Painter(len(encode.tokenizer)).to(args.device)
    painter.unet.to(memory_format=torch.channels_last)
    # Plain attention; on a CPU, the backward pass of flash attention would be a third of a step.
    painter.unet.set_attn_processor(
        {name: pointing.PointingAttnProcessor() for name in painter.unet.attn_processors})
    if args.device == "cpu":
        painter.text_encoder.set_attn_implementation("eager")
    print(f"{models.parameters(painter.unet) / 1e6:.2f} M U-Net, "
          f"{models.parameters(painter.text_encoder) / 1e6:.2f} M text", flush=True)
    channels = latents.channel_weights(args.out, args.metric).to(args.device)
    alphas = models.scheduler().alphas_cumprod
    loop.run(args, "unet", painter, batch_losses(painter, encode, alphas, channels, args),
             (common.load(f"{args.out}/text.pt") or {}).get("model"))


if __name__ == "__main__":
    main()
