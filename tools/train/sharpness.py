"""Which part blurs: the outlines of real scenes after the autoencoder, the denoiser, the sampler.

Sharpness is that of tools/evaluate/sharpness.h (the steepest step across an outline, as a share of
the difference between its sides; the median of a picture, the mean of all), but along the true masks
of unseen scenes. The autoencoder encodes and decodes them. The denoiser predicts the clean latents
in one step from noise of several levels, and the sampler walks down from these levels with its
guidance, in few and in many steps: where the sampler alone blurred, many steps would be sharper.
The share of each component's deviation that is left tells which details the denoiser drops.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F

import common
import models
import pca
import tokenizer as bpe
import unet
import vae

NEAR, FAR, STEPS = 3, 6, 2  # pixels of a picture of 128 pixels; samples a pixel
LEAST = 0.15                # contrast of colours in [0, 1]


def profiles(picture, mask):
    """Colours met on the normals of one object's outline.  (3, h, w), (h, w) bool -> (n, s, 3)"""
    h, w = mask.shape
    scale = min(h, w) / 128
    inside = mask.float()[None, None]
    radius = int(np.ceil(4.5 * scale))
    x = torch.arange(-radius, radius + 1)
    blur = torch.exp(-0.5 * (x / (1.5 * scale)) ** 2)
    blur = blur / blur.sum()
    soft = F.conv2d(F.conv2d(inside, blur.view(1, 1, 1, -1), padding=(0, radius)),
                    blur.view(1, 1, -1, 1), padding=(radius, 0))[0, 0]
    dy, dx = torch.gradient(soft)
    edge = torch.zeros(h, w, dtype=torch.bool)
    edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    edge[1:] |= mask[1:] != mask[:-1]
    ys, xs = (edge & (torch.hypot(dx, dy) > 1e-3)).nonzero().T
    normal = torch.stack([dx[ys, xs], dy[ys, xs]], 1)
    normal = normal / normal.norm(dim=1, keepdim=True)
    reach = int(np.ceil(FAR * scale * STEPS))
    way = torch.arange(-reach, reach + 1) / STEPS
    at = torch.stack([xs, ys], 1)[:, None].float() + normal[:, None] * way[None, :, None]  # (n, s, 2)
    size = torch.tensor([w, h])
    whole = ((at >= 0) & (at <= size - 1)).all(2).all(1)
    at = at[whole]
    grid = (2 * at + 1) / size - 1
    colors = F.grid_sample(picture[None], grid[None], align_corners=False)[0]  # (3, n, s)
    return colors.permute(1, 2, 0), way, scale


def sharpness(picture, masks):
    """picture (3, h, w) in [-1, 1], masks (h, w) of object numbers -> the median, or None"""
    steps = []
    for k in range(1, int(masks.max()) + 1):
        colors, way, scale = profiles(picture / 2 + 0.5, masks == k)
        if not len(colors):
            continue
        far = (way.abs() >= NEAR * scale) & (way.abs() <= FAR * scale)
        across = colors[:, far & (way > 0)].mean(1) - colors[:, far & (way < 0)].mean(1)
        contrast = across.norm(dim=1)
        slopes = (colors[:, STEPS:] - colors[:, :-STEPS]) @ (across / contrast[:, None]**2)[:, :, None]
        steps.append(slopes[contrast > LEAST, :, 0].amax(1))
    steps = torch.cat(steps) if steps else torch.zeros(0)
    return float(steps.median()) if len(steps) else None


@torch.no_grad()
def main():
    parser = common.new_parser(__doc__)
    parser.add_argument("--unseen", required=True, help="scene set")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True, help="folder of checkpoints")
    parser.add_argument("--unet", default="unet.pt", help="checkpoint of the denoiser, in --out")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--levels", nargs="+", type=int, default=[199, 519, 799],
                        help="timesteps that walks of all these lengths visit")
    parser.add_argument("--steps", nargs="+", type=int, default=[25, 100], help="of a whole walk")
    parser.add_argument("--guidance", nargs="+", type=float, default=[3.0])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    scenes = common.SceneSet(args.unseen)
    wanted = scenes.pictures(range(min(args.count, len(scenes))))
    masks = torch.from_numpy(np.array(scenes.masks[:len(wanted)]))
    basis = pca.Basis(f"{args.out}/pca.npz")
    decoder = vae.load(f"{args.out}/vae.pt", f"{args.out}/pca.npz")
    encode = bpe.Encoder(args.tokenizer)
    painter = unet.Painter(len(encode.tokenizer)).eval()
    painter.load_state_dict(common.load(f"{args.out}/{args.unet}")["average"])
    context = painter.text_encoder(encode([s["captions"][0] for s in scenes.scenes[:len(wanted)]]))
    context = context.last_hidden_state
    empty = painter.text_encoder(encode([""])).last_hidden_state
    z = basis.encode(wanted)
    inside = F.avg_pool2d((masks > 0).float()[:, None], pca.PATCH) > 0.2

    def report(name, pictures, latents=None):
        found = [s for s in map(sharpness, pictures.clamp(-1, 1), masks) if s is not None]
        row = {"what": name, "sharpness": round(float(np.mean(found)), 4)}
        if latents is not None:  # 1: as lively as the real ones where objects are
            cells = inside[:, 0]
            of = lambda x: x.permute(0, 2, 3, 1)[cells].std(0)
            ratio = of(latents) / of(z)
            row["deviation"] = [round(float(v), 2) for v in ratio]
        print(json.dumps(row), flush=True)

    report("renderings", wanted)
    report("linear round trip", basis.decode(z))
    report("autoencoder", vae.decode(decoder, z))
    alphas = models.scheduler().alphas_cumprod
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    for level in args.levels:
        a = alphas[level]
        noisy = a.sqrt() * z + (1 - a).sqrt() * noise
        v = painter.unet(noisy, torch.tensor(level), context).sample
        clean = a.sqrt() * noisy - (1 - a).sqrt() * v
        report(f"one step from {level}", vae.decode(decoder, clean), clean)
        for steps in args.steps:
            for guidance in args.guidance:
                end = models.walk(painter.unet, noisy, context, empty, level, steps, guidance)
                report(f"{steps} steps, guidance {guidance:g}, from {level}",
                       vae.decode(decoder, end), end)


if __name__ == "__main__":
    main()
