"""The scene sets as the denoisers read them: latents, object shares, cell labels and captions."""

import numpy as np
import torch

import common


class Latents:
    """One set, resident in memory."""

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


def channel_weights(out, metric):
    """Component k weighs (sd_k / sd_0)^metric, 1 on average: with 1, the metric of pixels."""
    sd = np.load(f"{out}/pca.npz")["sd"]
    weights = torch.from_numpy((sd / sd[0]) ** metric).view(-1, 1, 1)
    return weights / weights.mean()


def cell_weights(inside, weight):
    """1 + weight where objects are, but every picture counts the same.  (b, h, w)"""
    w = 1 + weight * inside
    return w / w.mean((1, 2), keepdim=True)
