"""Makes tests/golden/attention_maps: what map extractors make of the models of tests/golden/forward.

Vision Transformers: transformers' own attention probabilities (output_attentions), the class token's
row, and rollout as vit-explain computes it (heads fused by mean or max, the smallest weights zeroed,
half identity, rows normalised), with rows divided by their own sums. U-Nets: DAAM over one forward
pass, from probabilities that a processor computes plainly: bicubic to the finest grid, cut off below
0, mean over layers, heads and a word's tokens. All in f64, stored in f32.
"""

import argparse
import json
import os

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

import forward
import forward_cases
import reference
import vit

VITS = ["vit_plain", "vit_deit_distilled", "vit_dinov2_registers", "vit_clip_projection"]
UNETS = ["unet_sd15", "unet_depths", "unet_smallest"]
WORDS = [[1], [0, 2]]  # positions of two words; cut to the text's length


def rollout(attentions, fuse, discard):
    result = torch.eye(attentions[0].shape[-1], dtype=torch.float64)
    for attention in attentions:
        heads = attention[0]
        fused = heads.mean(0) if fuse == "mean" else heads.max(0).values
        flat = fused.flatten().clone()
        lowest = flat.topk(int(flat.numel() * discard), largest=False).indices
        flat[lowest[lowest != 0]] = 0
        a = (flat.view_as(fused) + torch.eye(len(fused), dtype=torch.float64)) / 2
        result = (a / a.sum(-1, keepdim=True)) @ result
    return result[0]


@torch.no_grad()
def maps_of_vit(name, tensors):
    for r, _, output, grid in vit.eager_runs(ROOT, name):
        attentions = output.attentions
        singles = attentions[0].shape[-1] - grid[0] * grid[1]

        def keep(kind, row):
            tensors[f"{name}.{r}.{kind}"] = row[singles:].reshape(grid).float().contiguous()

        for head in range(attentions[-1].shape[1]):
            keep(f"cls.{head}", attentions[-1][0, head, 0])
        keep("rollout.mean", rollout(attentions, "mean", 0))
        keep("rollout.max,0.9", rollout(attentions, "max", 0.9))


class Probabilities:
    """Plain attention that keeps the probabilities of cross-attention."""

    def __init__(self, kept):
        self.kept = kept

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **_):
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = attn.to_q(hidden_states), attn.to_k(text), attn.to_v(text)
        q, k, v = (x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for x in (q, k, v))
        p = (q @ k.transpose(-1, -2) * attn.scale).softmax(-1)
        if encoder_hidden_states is not None:
            self.kept.append(p)
        out = (p @ v).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](out))


def grids(height, width, levels):
    sizes = [(height, width)]
    for _ in range(levels - 1):
        height, width = (height + 1) // 2, (width + 1) // 2
        sizes.append((height, width))
    return {h * w: (h, w) for h, w in sizes}


def maps_of_unet(name, tensors):
    _, dtype, _, config, runs = next(c for c in forward_cases.UNETS if c[0] == name)
    model = UNet2DConditionModel.from_config(config)
    reference.fill(model, dtype)
    model = model.double()
    kept = []
    model.set_attn_processor(Probabilities(kept))
    inputs = load_file(os.path.join(ROOT, "forward", name, "io.safetensors"))
    for r in range(len(runs)):
        given = {k.split(".in.")[1]: v for k, v in inputs.items() if k.startswith(f"{r}.in.")}
        kept.clear()
        with torch.no_grad():
            forward.unet_forward(model, reference.as_f64(given))
        height, width = given["sample"].shape[2:]
        sizes = grids(height, width, len(model.config.block_out_channels))
        finest = max((sizes[p.shape[2]] for p in kept), key=lambda s: s[0] * s[1])
        for w, positions in enumerate(WORDS):
            positions = [i for i in positions if i < kept[0].shape[3]]
            if not positions:
                continue
            maps = []
            for p in kept:
                of_heads = p[-1][:, :, positions].transpose(1, 2)  # (heads, positions, queries)
                of_heads = of_heads.reshape(1, -1, *sizes[p.shape[2]])
                maps.append(F.interpolate(of_heads, finest, mode="bicubic",
                                          align_corners=False).clamp(min=0)[0])
            tensors[f"{name}.{r}.words.{w}"] = torch.cat(maps).mean(0).float().contiguous()


def main():
    global ROOT
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--out", default=os.path.join(here, "../../tests/golden"))
    args = parser.parse_args()
    ROOT = args.out
    folder = reference.fresh_folder(os.path.join(args.out, "attention_maps"))
    tensors = {}
    for name in VITS:
        maps_of_vit(name, tensors)
    for name in UNETS:
        maps_of_unet(name, tensors)
    save_file(tensors, os.path.join(folder, "maps.safetensors"),
              metadata={"versions": json.dumps(reference.versions())})
    print(f"{len(tensors)} maps")


if __name__ == "__main__":
    main()
