"""Trains the decoder of the f8 autoencoder on PCA latents; the encoder is the PCA, written out.

AutoencoderKL's encoder can hold a linear map of 8x8 patches exactly (see write_pca_into), so it
needs no training: its round trip starts at the PCA's and the decoder does the rest. The decoder
sees crops, mostly on objects, with a little noise on the latents, and whole pictures at the end.
"""

import numpy as np
import torch
import torch.nn.functional as F

import common
import models
import pca

CROP = 64


@torch.no_grad()
def write_pca_into(vae, basis):
    """Makes the encoder compute basis.encode.

    Channels carry the pixels of 2x2, then 4x4 cells (12, then 48 numbers: they fit), and the last
    strided convolution the k coefficients. Residual branches add nothing (their last layers are
    zero). The final GroupNorm would divide by the data's deviation: constant channels of +-A hold
    that nearly fixed. SiLU is undone by pairs: silu(x) - silu(-x) = x.
    """
    e = vae.encoder
    zero = lambda m: (m.weight.zero_(), m.bias.zero_())
    for name, module in e.named_modules():
        if name.endswith(("conv2", "to_out.0", "conv_shortcut")):
            zero(module)
    shortcuts = [r.conv_shortcut for b in e.down_blocks for r in b.resnets
                 if r.conv_shortcut is not None]
    for s in shortcuts:
        n = s.weight.shape[1]
        s.weight[:n, :, 0, 0] = torch.eye(n)
    zero(e.conv_in)
    e.conv_in.weight[:3, :, 1, 1] = torch.eye(3)
    for block, channels in ((0, 3), (1, 12)):  # cell to four times the channels
        down = e.down_blocks[block].downsamplers[0].conv
        zero(down)
        for y in range(2):  # diffusers pads on the right and below: the window starts at its cell
            for x in range(2):
                at = (2 * y + x) * channels
                down.weight[at:at + channels, :channels, y, x] = torch.eye(channels)
    down = e.down_blocks[2].downsamplers[0].conv
    zero(down)
    k, groups, width = vae.config.latent_channels, vae.config.norm_num_groups, down.weight.shape[0]
    for y in range(8):
        for x in range(8):
            inner = (2 * (y // 2 % 2) + x // 2 % 2) * 12 + (2 * (y % 2) + x % 2) * 3
            down.weight[:k, inner:inner + 3, y // 4, x // 4] = basis.forward_weight[:, :, y, x]
    down.bias[:k] = basis.forward_bias
    # The last shortcut places each coefficient twice, with both signs, k / groups of them a group.
    last, norm, out = shortcuts[-1], e.conv_norm_out, e.conv_out
    zero(last)
    zero(out)
    size, big = norm.weight.shape[0] // groups, 64.0
    pairs = -(-k // groups)
    deviation = big * ((size - 2 * pairs) / size) ** 0.5
    norm.weight.fill_(deviation)
    norm.bias.zero_()
    for g in range(groups):
        for i in range(pairs):
            c, at = g * pairs + i, g * size + 2 * i
            if c < k:
                last.weight[at, c], last.weight[at + 1, c] = 1.0, -1.0
                out.weight[c, at, 1, 1], out.weight[c, at + 1, 1, 1] = 1.0, -1.0
        for i in range(2 * pairs, size):
            last.bias[g * size + i] = big if i % 2 else -big
    identity = torch.eye(k).view(k, k, 1, 1)
    zero(vae.quant_conv)
    vae.quant_conv.weight[:k, :k] = identity
    vae.quant_conv.bias[k:] = -20.0  # log variance: the posterior is a point
    zero(vae.post_quant_conv)
    vae.post_quant_conv.weight.copy_(identity)
    assert width >= k and size >= 2 * pairs


def crops(scenes, latents, count, size, rng):
    """Aligned crops, 80 % of them around a pixel of an object.  (b, 3, s, s), (b, k, s/8, s/8)"""
    pictures, codes = [], []
    for i in rng.integers(len(scenes), size=count):
        height = scenes.images.shape[1]
        y, x = rng.integers(0, (height - size) // 8 + 1, 2)
        if size < height and rng.random() < 0.8:
            ys, xs = np.nonzero(np.array(scenes.masks[i]))
            if len(ys):
                j = rng.integers(len(ys))
                y, x = (np.clip((v - rng.integers(size)) // 8, 0, (height - size) // 8)
                        for v in (ys[j], xs[j]))
        pictures.append(np.array(scenes.images[i, 8 * y:8 * y + size, 8 * x:8 * x + size]))
        codes.append(latents[i][:, y:y + size // 8, x:x + size // 8].astype(np.float32))
    pictures = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return pictures, torch.from_numpy(np.stack(codes))


def picture_loss(predicted, wanted):
    """L1 and squares for the level, L1 of differences at three scales for edges."""
    d = predicted - wanted
    total = d.abs().mean() + 0.5 * d.square().mean()
    for _ in range(3):
        total = total + d.diff(dim=2).abs().mean() + d.diff(dim=3).abs().mean()
        d = F.avg_pool2d(d, 2)
    return total


def decode(vae, z):
    return vae.decoder(vae.post_quant_conv(z))


def load(path, basis_path):
    """The autoencoder with averaged decoder weights."""
    vae = models.vae()
    write_pca_into(vae, pca.Basis(basis_path))
    state = common.load(path)
    if state:
        vae.decoder.load_state_dict(state["average"])
    return vae.eval()


def main():
    parser = common.add_options(common.new_parser(__doc__), 9000, 1.5e-3, 8, decay=0.5)
    parser.add_argument("--data", required=True, help="folder of scene sets")
    parser.add_argument("--sets", nargs="+", default=["full"])
    parser.add_argument("--noise", type=float, default=0.05, help="largest noise on latents")
    parser.add_argument("--whole", type=float, default=0.15, help="last part: whole pictures")
    parser.add_argument("--ema", type=float, default=0.998)
    args = common.parse(parser)
    vae = models.vae()
    write_pca_into(vae, pca.Basis(f"{args.out}/pca.npz"))
    vae.to(args.device, memory_format=torch.channels_last)
    decoder = vae.decoder
    average = common.Average(decoder, args.ema)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=args.lr, betas=(0.9, 0.99),
                                  weight_decay=0.01, fused=True)
    step, spent, path = 0, 0.0, f"{args.out}/vae.pt"
    state = common.load(path)
    if state:
        decoder.load_state_dict(state["model"])
        average.values = {k: v.to(args.device) for k, v in state["average"].items()}
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["seconds"]
        torch.manual_seed(step)
    rng = np.random.default_rng(step)
    sets = [(common.SceneSet(f"{args.data}/{n}"),
             np.load(f"{args.out}/latents_{n}.npy", mmap_mode="r")) for n in args.sets]
    print(f"{models.parameters(vae) / 1e6:.2f} M, decoder {models.parameters(decoder) / 1e6:.2f} M, "
          f"from step {step}", flush=True)
    log = common.Log(f"{args.logs}/vae.csv",
                     ["step", "samples", "seconds", "loss", "psnr", "lr"], step)
    part, losses, squares = common.Slice(args, spent), [], []

    def keep():
        common.save(path, {"model": decoder.state_dict(), "average": average.values,
                           "optimizer": optimizer.state_dict(), "step": step,
                           "seconds": part.seconds()})

    while step < args.steps and not part.over():
        scenes, latents = sets[rng.integers(len(sets))]
        whole = step > args.steps * (1 - args.whole)
        height = scenes.images.shape[1]
        count = max(1, args.batch * CROP * CROP // height ** 2) if whole else args.batch
        wanted, z = crops(scenes, latents, count, height if whole else CROP, rng)
        wanted, z = (v.to(args.device, memory_format=torch.channels_last) for v in (wanted, z))
        z = z + torch.randn_like(z) * torch.rand(len(z), 1, 1, 1, device=z.device) * args.noise
        common.set_rate(optimizer, common.rate(step, args))
        with common.bf16(args.device):
            predicted = decoder(z)
        loss = picture_loss(predicted.float(), wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        average.update(decoder, step)
        losses.append(loss.detach())
        squares.append((predicted.detach().float() - wanted).square().mean())
        step += 1
        if step % 100 == 0:
            psnr = 10 * np.log10(4 / float(torch.stack(squares).mean()))
            log.row(step=step, samples=step * args.batch, seconds=part.seconds(),
                    loss=float(torch.stack(losses).mean()), psnr=psnr, lr=common.rate(step, args))
            losses, squares = [], []
        if part.due():
            keep()
    keep()


if __name__ == "__main__":
    main()
