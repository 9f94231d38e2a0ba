"""Writes the trained family as diffusers and transformers folders in f16, and loads it back.

still-life-unet owns the VAE, its text encoder and the tokenizer, still-life-clip the encoders of
text and pictures; what else needs one of them links to it, so every weight is stored once.
"""

import json
import os
import shutil

import torch
from diffusers import StableDiffusion3Pipeline, StableDiffusionPipeline
from transformers import (CLIPImageProcessor, CLIPTextModelWithProjection,
                          CLIPVisionModelWithProjection)

import clip
import common
import dit
import models
import tokenizer as bpe
import unet
import vae

DEFAULTS = {"width": models.SIZE, "height": models.SIZE, "steps": 25, "cfg": 3.0,
            "cfg_rescale": 0.7, "sampler": "ddim",
            "prompt": "a red metal sphere to the left of a small blue cube"}
# No T5: not even the zeros that stand for one.
DIT_DEFAULTS = {"width": models.SIZE, "height": models.SIZE, "steps": 25, "cfg": 4.0,
                "max_sequence_length": 0, "prompt": DEFAULTS["prompt"]}


def tidy(tokenizer_folder, source):
    """The files that every reader knows, exactly as learned; libraries add others over time."""
    shutil.rmtree(tokenizer_folder, ignore_errors=True)
    os.makedirs(tokenizer_folder)
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copyfile(f"{source}/{name}", f"{tokenizer_folder}/{name}")


def settle_configs(folder):
    """Drops library versions, which would only make the files differ between machines, and has
    transformers widen the f16 weights, as diffusers does: mixed pipelines do not run."""
    for root, _, names in os.walk(folder):
        for name in names:
            if not name.endswith(".json") or name == "vocab.json":
                continue
            path = os.path.join(root, name)
            with open(path, encoding="utf-8") as f:
                value = json.load(f)
            for key in ("_name_or_path", "transformers_version"):
                value.pop(key, None)
            if "dtype" in value:
                value["dtype"] = "float32"
            with open(path, "w", encoding="utf-8") as f:
                json.dump(value, f, indent=2)
                f.write("\n")


def write_defaults(folder, defaults):
    with open(f"{folder}/fovea.json", "w", encoding="utf-8") as f:
        json.dump(defaults, f, indent=2)
        f.write("\n")


def link_to(target, link):
    if not os.path.islink(link):
        os.symlink(target, link)
    return link


def export_unet(args, tokens):
    folder = f"{args.assets}/still-life-unet"
    painter = unet.Painter(tokens)
    painter.load_state_dict(common.load(f"{args.out}/unet.pt")["average"])
    autoencoder = vae.load(f"{args.out}/vae.pt", f"{args.out}/pca.npz")
    pipe = StableDiffusionPipeline(
        unet=painter.unet.half(), vae=autoencoder.half(), text_encoder=painter.text_encoder.half(),
        tokenizer=bpe.load(args.tokenizer), scheduler=models.scheduler(), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False)
    pipe.save_pretrained(folder, safe_serialization=True)
    tidy(f"{folder}/tokenizer", args.tokenizer)
    settle_configs(folder)
    write_defaults(folder, DEFAULTS)
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    picture = pipe(DEFAULTS["prompt"], width=models.SIZE, height=models.SIZE,
                   num_inference_steps=DEFAULTS["steps"], guidance_scale=DEFAULTS["cfg"],
                   guidance_rescale=DEFAULTS["cfg_rescale"],
                   generator=torch.Generator().manual_seed(0)).images[0]
    picture.save(f"{args.out}/sample.png")


def export_clip(args, tokens):
    folder = f"{args.assets}/still-life-clip"
    towers = clip.Towers(tokens)
    towers.load_state_dict(common.load(f"{args.out}/clip.pt")["average"])
    towers.text.half().save_pretrained(f"{folder}/text_encoder")
    towers.vision.half().save_pretrained(f"{folder}/image_encoder")
    # Pictures enter as [-1, 1], whole, without CLIP's usual colour statistics.
    size = {"height": models.SIZE, "width": models.SIZE}
    CLIPImageProcessor(do_resize=True, size=size, do_center_crop=False, crop_size=size,
                       image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(folder)
    link = link_to("../still-life-unet/tokenizer", f"{folder}/tokenizer")
    settle_configs(folder)
    text = CLIPTextModelWithProjection.from_pretrained(f"{folder}/text_encoder")
    image = CLIPVisionModelWithProjection.from_pretrained(f"{folder}/image_encoder")
    ids = bpe.Encoder(link)(["a red cube", "a red cube on a table"])
    assert text(ids).text_embeds.shape == (2, models.WIDTH)
    assert image(torch.zeros(1, 3, 128, 128)).image_embeds.shape == (1, models.WIDTH)


def export_dit(args):
    """Both text encoders of the SD3 layout are the family's one CLIP."""
    folder = f"{args.assets}/still-life-dit"
    painter = dit.Painter()
    painter.load_state_dict(common.load(f"{args.out}/dit.pt")["average"])
    painter.dit.half().save_pretrained(f"{folder}/transformer")
    models.flow_scheduler().save_pretrained(f"{folder}/scheduler")
    clip_folder = "../still-life-clip"
    for part, target in {"vae": "../still-life-unet/vae", "text_encoder": f"{clip_folder}/text_encoder",
                         "text_encoder_2": f"{clip_folder}/text_encoder",
                         "tokenizer": f"{clip_folder}/tokenizer",
                         "tokenizer_2": f"{clip_folder}/tokenizer"}.items():
        link_to(target, f"{folder}/{part}")
    clip_text = ["transformers", "CLIPTextModelWithProjection"]
    words = ["transformers", "CLIPTokenizer"]
    index = {"_class_name": "StableDiffusion3Pipeline", "feature_extractor": [None, None],
             "image_encoder": [None, None], "scheduler":
             ["diffusers", "FlowMatchEulerDiscreteScheduler"], "text_encoder": clip_text,
             "text_encoder_2": clip_text, "text_encoder_3": [None, None], "tokenizer": words,
             "tokenizer_2": words, "tokenizer_3": [None, None], "transformer":
             ["diffusers", "SD3Transformer2DModel"], "vae": ["diffusers", "AutoencoderKL"]}
    with open(f"{folder}/model_index.json", "w", encoding="utf-8") as f:
        json.dump(index, f, indent=2)
        f.write("\n")
    settle_configs(f"{folder}/transformer")
    settle_configs(f"{folder}/scheduler")
    write_defaults(folder, DIT_DEFAULTS)
    pipe = StableDiffusion3Pipeline.from_pretrained(folder, text_encoder_3=None, tokenizer_3=None,
                                                    torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    picture = pipe(DIT_DEFAULTS["prompt"], width=models.SIZE, height=models.SIZE,
                   num_inference_steps=DIT_DEFAULTS["steps"], max_sequence_length=0,
                   guidance_scale=DIT_DEFAULTS["cfg"],
                   generator=torch.Generator().manual_seed(0)).images[0]
    picture.save(f"{args.out}/sample_dit.png")


def main():
    parser = common.new_parser(__doc__)
    parser.add_argument("--out", required=True, help="folder of checkpoints")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--assets", required=True, help="folder of the models, to write")
    parser.add_argument("--parts", nargs="+", default=["unet", "clip", "dit"],
                        choices=["unet", "clip", "dit"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    tokens = len(bpe.load(args.tokenizer))
    if "unet" in args.parts:
        export_unet(args, tokens)
    if "clip" in args.parts:
        export_clip(args, tokens)
    if "dit" in args.parts:
        export_dit(args)
    total = sum(os.path.getsize(os.path.join(r, n)) for r, _, names in os.walk(args.assets)
                for n in names if not os.path.islink(os.path.join(r, n)))
    print(f"{total / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
