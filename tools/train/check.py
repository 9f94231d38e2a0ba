"""Says whether a stage of run.sh left what the next ones need; for runs of ten steps.

Raises on the first thing that is missing, of the wrong shape, not finite, or not trained at all.
"""

import csv
import json
import os

import numpy as np
import torch

import common
import pca
import tokenizer as bpe

SIZES = ["128x128", "192x128", "128x192", "192x192", "256x256", "96x96", "160x160", "256x128", "128x256",
         "256x192", "192x256"]


def scene_set(work, name, width, height):
    scenes = common.SceneSet(f"{work}/{name}")
    assert len(scenes) > 0 and scenes.images.shape[1:] == (height, width, 3), scenes.images.shape
    assert scenes.masks.shape == scenes.images.shape[:3]
    for mask, scene in zip(scenes.masks, scenes.scenes):
        assert np.unique(mask).tolist() == list(range(len(scene["objects"]) + 1)), "objects are hidden"


def latents(work, name):
    scenes, basis = common.SceneSet(f"{work}/{name}"), pca.Basis(f"{work}/ckpt/pca.npz")
    z = np.load(f"{work}/ckpt/latents_{name}.npy")
    shares = np.load(f"{work}/ckpt/shares_{name}.npy").astype(np.float32)
    grid = tuple(s // pca.PATCH for s in scenes.images.shape[1:3])
    assert z.shape == (len(scenes), len(basis.sd), *grid) and shares.shape == (len(scenes), 2, *grid)
    wanted = basis.encode(scenes.pictures([0]))
    assert (torch.from_numpy(z[:1]).float() - wanted).abs().max() < 0.01
    covered = (np.asarray(scenes.masks) > 0).mean((1, 2))
    assert np.abs(shares[:, 0].mean((1, 2)) - covered).max() < 1e-3
    # A closed outline crosses cells that hold both object and background, and no others but these.
    assert (shares[:, 1][(shares[:, 0] > 0.02) & (shares[:, 0] < 0.98)] > 0).mean() > 0.95


def checkpoint(work, name, steps):
    state = common.load(f"{work}/ckpt/{name}.pt")
    assert state["step"] == steps, state["step"]
    for part in ("model", "average") if "average" in state else ("model",):
        for key, value in state[part].items():
            assert not value.is_floating_point() or bool(value.isfinite().all()), f"{part}: {key}"
    moments = state["optimizer"]["state"].values()
    assert any(float(m["exp_avg"].abs().sum()) > 0 for m in moments), "the optimiser never stepped"
    assert all(int(m["step"]) <= steps for m in moments), "the optimiser counts other steps"
    assert max(int(m["step"]) for m in moments) == steps, "the second slice began anew"


def exported(folder, parts):
    for part in parts:
        assert os.path.getsize(f"{folder}/{part}") > 1000, part


def rows(path, finite):
    with open(path, encoding="utf-8") as f:
        last = list(csv.DictReader(f))[-1]
    assert all(np.isfinite(float(last[key])) for key in finite), last


def check(stage, work, assets):
    if stage == "scenes":
        for name in ("full", "single", "pair", "unseen", "unseen_single"):
            scene_set(work, name, 128, 128)
    elif stage == "sized":
        for size in SIZES:
            scene_set(work, size, *map(int, size.split("x")))
    elif stage == "tokenizer":
        ids = bpe.Encoder(f"{work}/ckpt/tokenizer")(["a red cube"])
        assert len(set(ids[0, :5].tolist())) == 5 and ids.shape == (1, bpe.LENGTH)
    elif stage == "pca":
        for name in ("full", "single", "pair", *SIZES):
            latents(work, name)
    elif stage in ("vae", "clip", "text", "unet", "dit"):
        checkpoint(work, stage, 10)
    elif stage == "restore":
        assert all(os.path.exists(f"{work}/ckpt/{n}.pt") for n in ("vae", "unet", "dit"))
    elif stage == "judge":
        assert all(bool(v.isfinite().all()) for v in common.load(f"{work}/ckpt/judge.pt").values()
                   if v.is_floating_point())
    elif stage == "export_clip":
        exported(f"{assets}/still-life-clip", ["text_encoder/model.safetensors",
                                               "image_encoder/model.safetensors"])
    elif stage == "export":
        exported(f"{assets}/still-life-unet", ["unet/diffusion_pytorch_model.safetensors",
                                               "vae/diffusion_pytorch_model.safetensors"])
        exported(f"{assets}/still-life-dit", ["transformer/diffusion_pytorch_model.safetensors",
                                              "text_encoder/model.safetensors"])
    elif stage == "evaluate":
        rows(f"{work}/logs/vae_evaluation.csv", ["psnr", "worst"])
        rows(f"{work}/logs/clip_evaluation.csv", ["top1", "color"])
        rows(f"{work}/logs/unet_evaluation.csv", ["color", "related"])
        with open(f"{work}/logs/sharpness.jsonl", encoding="utf-8") as f:
            figures = {row["what"]: row["sharpness"] for row in map(json.loads, f)}
        assert 0 < figures["linear round trip"] < figures["renderings"] < 1.5, figures
    else:
        raise ValueError(f"no check of {stage}")
    print(f"{stage}: well")


def main():
    parser = common.new_parser(__doc__)
    parser.add_argument("stage")
    parser.add_argument("--work", required=True)
    parser.add_argument("--assets", required=True)
    args = parser.parse_args()
    check(args.stage, args.work, args.assets)


if __name__ == "__main__":
    main()
