"""PCA of 8x8x3 patches: the latent space of every stage, known before any training.

Component k is scaled by (sd_k / sd_0)^0.5 ("half whitened"): fully whitened, the fine components
are heavy-tailed; raw, they would vanish. Writes pca.npz and, for each set, latents (n, k, h, w) and
what each latent cell shows: the objects' share and the outline's (n, 2, h, w), and class numbers
(n, 4, h, w). A set may have any size that is a multiple of 8.
"""

import os

import numpy as np
import torch
import torch.nn.functional as F

import common
from scene_labels import cell_labels, cell_shares

PATCH = 8


class Basis:
    """Pictures to latents and, linearly, back."""

    def __init__(self, path):
        z = np.load(path)
        self.mean = torch.from_numpy(z["mean"])      # (192), of pictures in [-1, 1]
        self.vectors = torch.from_numpy(z["vectors"])  # (k, 192), orthonormal rows
        self.sd = torch.from_numpy(z["sd"])          # (k)
        scale = (self.sd * self.sd[0]).sqrt()        # latent = coefficient / scale
        k = len(self.sd)
        self.forward_weight = (self.vectors / scale[:, None]).view(k, 3, PATCH, PATCH)
        self.forward_bias = -(self.forward_weight.flatten(1) @ self.mean)
        self.inverse_weight = (self.vectors * scale[:, None]).view(k, 3, PATCH, PATCH)

    def encode(self, pictures):
        return F.conv2d(pictures, self.forward_weight, self.forward_bias, stride=PATCH)

    def decode(self, latents):
        pictures = F.conv_transpose2d(latents, self.inverse_weight, stride=PATCH)
        rows, columns = latents.shape[-2:]
        return pictures + self.mean.view(3, PATCH, PATCH).repeat(1, rows, columns)


def patches(pictures):
    return F.unfold(pictures, PATCH, stride=PATCH).transpose(1, 2).reshape(-1, 3 * PATCH * PATCH)


def fit(scenes, count, components, path):
    chosen = np.linspace(0, len(scenes) - 1, min(count, len(scenes))).astype(int)
    total, square, number = torch.zeros(192).double(), torch.zeros(192, 192).double(), 0
    for i in range(0, len(chosen), 100):
        p = patches(scenes.pictures(chosen[i:i + 100])).double()
        total += p.sum(0)
        square += p.T @ p
        number += len(p)
    mean = total / number
    values, vectors = torch.linalg.eigh(square / number - torch.outer(mean, mean))
    values, vectors = values.flip(0)[:components], vectors.flip(1)[:, :components].T
    vectors = vectors * torch.sign(vectors.sum(1, keepdim=True) + 1e-9)  # sign is arbitrary: fix it
    np.savez(path, mean=mean.float().numpy(), vectors=vectors.float().contiguous().numpy(),
             sd=values.sqrt().float().numpy())


def cache(scenes, basis, out):
    n, (rows, columns) = len(scenes), (s // PATCH for s in scenes.images.shape[1:3])
    latents = np.lib.format.open_memmap(f"{out}/latents_{scenes.name()}.npy.part", "w+", np.float16,
                                        (n, len(basis.sd), rows, columns))
    shares = np.zeros((n, 2, rows, columns), np.float16)
    error, largest = 0.0, 0.0
    for i in range(0, n, 200):
        indices = range(i, min(n, i + 200))
        pictures = scenes.pictures(indices)
        z = basis.encode(pictures)
        error += float((basis.decode(z).clamp(-1, 1) - pictures).square().mean()) * len(indices)
        largest = max(largest, float(z.abs().max()))
        latents[i:i + len(z)] = z.half().numpy()
        shares[i:i + len(z)] = cell_shares(np.array(scenes.masks[i:i + len(z)]), PATCH)
    latents.flush()
    np.save(f"{out}/shares_{scenes.name()}.npy", shares)
    np.save(f"{out}/labels_{scenes.name()}.npy", np.stack([
        cell_labels(scenes.masks[i], scenes.scenes[i]["objects"], PATCH) for i in range(n)]))
    os.replace(f"{out}/latents_{scenes.name()}.npy.part", f"{out}/latents_{scenes.name()}.npy")
    psnr = 10 * np.log10(4 / (error / n))
    print(f"{scenes.name()}: {n} scenes, linear round trip {psnr:.2f} dB, max |z| {largest:.2f}")


def main():
    parser = common.new_parser(__doc__)
    parser.add_argument("--data", nargs="+", required=True, help="scene sets; the first is fitted")
    parser.add_argument("--out", required=True)
    parser.add_argument("--components", type=int, default=16)
    parser.add_argument("--fit", type=int, default=2000, help="pictures to fit")
    args = parser.parse_args()
    torch.set_num_threads(1)
    os.makedirs(args.out, exist_ok=True)
    path = f"{args.out}/pca.npz"
    for i, folder in enumerate(args.data):
        scenes = common.SceneSet(folder)
        if i == 0 and not os.path.exists(path):
            fit(scenes, args.fit, args.components, path)
        if not os.path.exists(f"{args.out}/latents_{scenes.name()}.npy"):
            cache(scenes, Basis(path), args.out)
    print("sd", np.round(np.load(path)["sd"], 3))


if __name__ == "__main__":
    main()
