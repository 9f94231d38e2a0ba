"""Makes checkpoints of the exported family, so that training can go on from committed weights.

The encoder of the autoencoder is the PCA, so its weights tell the basis (vae.write_pca_into): the
latent is read off at probe pictures. What an export drops starts anew: the optimiser, the heads of
the cells' and the text's classes (linear, soon learned), and the half of each f32 that f16 loses.
Writes pca.npz, vae.pt, unet.pt, dit.pt and the tokenizer; a file that is there is kept.
"""

import os
import shutil

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file

import common
import dit
import models
import pca
import tokenizer as bpe
import unet


@torch.no_grad()
def restore_pca(encode, scenes, path):
    """encode: pictures (b, 3, 8, 8) -> latents (b, k), affine."""
    size = 3 * pca.PATCH**2
    bias = encode(torch.zeros(1, 3, pca.PATCH, pca.PATCH))
    weight = torch.cat([encode(p) for p in torch.eye(size).view(-1, 3, pca.PATCH, pca.PATCH).split(32)])
    weight = (weight - bias).T.double()          # (k, 192), rows of length 1 / scale
    scale = 1 / weight.norm(dim=1)               # sqrt(sd_k sd_0), so scale_0 = sd_0
    sd = scale.square() / scale[0]
    mean = pca.patches(scenes.pictures(range(min(500, len(scenes))))).mean(0).double()
    wanted = -bias[0].double()                   # weight @ mean
    mean = mean + torch.linalg.pinv(weight) @ (wanted - weight @ mean)
    np.savez(path, mean=mean.float().numpy(), vectors=(weight * scale[:, None]).float().numpy(),
             sd=sd.float().numpy())


def keep(path, module):
    values = module.state_dict()
    common.save(path, {"model": values, "average": values, "step": 0, "samples": 0, "seconds": 0.0})


def weights(folder):
    names = [n for n in os.listdir(folder) if n.endswith(".safetensors")]
    return {k: v.float() for k, v in load_file(f"{folder}/{names[0]}").items()}


def main():
    parser = common.new_parser(__doc__)
    parser.add_argument("--assets", required=True, help="folder of the exported models")
    parser.add_argument("--data", required=True, help="a scene set, for the mean of its patches")
    parser.add_argument("--out", required=True, help="folder of checkpoints")
    args = parser.parse_args()
    torch.manual_seed(0)
    os.makedirs(args.out, exist_ok=True)
    missing = lambda name: not os.path.exists(f"{args.out}/{name}")
    folder = f"{args.assets}/still-life-unet"
    if missing("tokenizer"):
        shutil.copytree(f"{folder}/tokenizer", f"{args.out}/tokenizer")
    tokens = len(bpe.load(f"{args.out}/tokenizer"))
    autoencoder = AutoencoderKL.from_pretrained(f"{folder}/vae", torch_dtype=torch.float32).eval()
    if missing("pca.npz"):
        # One cell in the middle of others: what lies around it must not matter.
        around = lambda p: torch.nn.functional.pad(p, [pca.PATCH] * 4)
        restore_pca(lambda p: autoencoder.encode(around(p)).latent_dist.mode()[:, :, 1, 1],
                    common.SceneSet(args.data), f"{args.out}/pca.npz")
    if missing("vae.pt"):
        keep(f"{args.out}/vae.pt", autoencoder.decoder)
    if missing("unet.pt"):
        painter = unet.Painter(tokens)
        painter.unet.load_state_dict(weights(f"{folder}/unet"))
        text = painter.text_encoder
        text.load_state_dict(weights(f"{folder}/text_encoder"))
        keep(f"{args.out}/unet.pt", painter)
    if missing("dit.pt") and os.path.isdir(f"{args.assets}/still-life-dit"):
        painter = dit.Painter()
        painter.dit.load_state_dict(weights(f"{args.assets}/still-life-dit/transformer"), strict=False)
        keep(f"{args.out}/dit.pt", painter)


if __name__ == "__main__":
    main()
