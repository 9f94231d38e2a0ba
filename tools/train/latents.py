"""The scene sets as the denoisers read them: latents, object shares, cell labels and captions."""

import numpy as np
import torch

import common


class Latents:
    """One set, resident in memory."""

    def __init__(self, data, out, name):
        self.latents = torch.from_numpy(np.load(f"{out}/latents_{name}.npy"))  # (n, k, h, w) f16
        self.shares = torch.from_numpy(np.load(f"{out}/shares_{name}.npy"))    # (n, 2, h, w) f16
        self.labels = torch.from_numpy(np.load(f"{out}/labels_{name}.npy"))    # (n, 4, h, w) u8
        self.captions = [s["captions"] for s in common.SceneSet(f"{data}/{name}").scenes]
        self.order, self.next = None, 0

    def draw(self, count, rng):
        """Without replacement until the set is used up."""
        if self.order is None or self.next + count > len(self.order):
            self.order, self.next = rng.permutation(len(self.captions)), 0
        picked = self.order[self.next:self.next + count]
        self.next += count
        captions = [self.captions[i][rng.integers(len(self.captions[i]))] for i in picked]
        return (self.latents[picked].float(), self.shares[picked].float(),
                self.labels[picked].long(), captions)


def channel_weights(out, metric):
    """Component k weighs (sd_k / sd_0)^metric, 1 on average: with 1, the metric of pixels."""
    sd = np.load(f"{out}/pca.npz")["sd"]
    weights = torch.from_numpy((sd / sd[0]) ** metric).view(-1, 1, 1)
    return weights / weights.mean()


def cell_weights(shares, inside, outline):
    """1 + inside where objects are + outline where one ends, but every picture counts the same.

    shares (b, 2, h, w) as scene_labels.cell_shares -> (b, h, w)
    """
    w = 1 + inside * shares[:, 0] + outline * shares[:, 1]
    return w / w.mean((1, 2), keepdim=True)


class Buckets:
    """Sets of several sizes; every batch has one size, and about as many cells as any other."""

    def __init__(self, sets, shares):
        """shares: of the pictures drawn, one for each set."""
        self.groups = {}
        for s, share in zip(sets, shares):
            self.groups.setdefault(tuple(s.latents.shape[-2:]), []).append((s, share))
        # A bucket of large pictures has small batches, so it is drawn more often.
        often = np.array([sum(share for _, share in g) * h * w for (h, w), g in self.groups.items()])
        self.often = often / often.sum()

    def draw(self, batch, rng):
        """batch counts pictures of 16x16 cells -> latents, shares, labels, captions"""
        (h, w), group = list(self.groups.items())[rng.choice(len(self.groups), p=self.often)]
        share = np.array([share for _, share in group])
        counts = rng.multinomial(max(1, round(batch * 256 / (h * w))), share / share.sum())
        drawn = [s.draw(c, rng) for (s, _), c in zip(group, counts) if c]
        return (*(torch.cat([d[i] for d in drawn]) for i in range(3)), [c for d in drawn for c in d[3]])
