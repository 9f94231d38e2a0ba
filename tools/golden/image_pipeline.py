"""Makes tests/golden/image_pipeline: image to image and inpainting by diffusers.

  given.png, mask.png    what the runs are given: of odd sizes, and not of the same one
  unet_inpaint/          config.json and tensors.json of a U-Net of 9 channels; everything else is
                         the model of tests/golden/pipeline
  runs.json              per run: scheduler_config.json, settings
  runs.safetensors       RUN.latents

All in f32 on the CPU, with one generator a picture, as a user of diffusers runs it. A list of
pictures is given to the inpainting pipelines, because one picture for a batch would be encoded with
the first generator alone.
"""

import argparse
import json
import os

import torch
from diffusers import (AutoencoderKL, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline,
                       UNet2DConditionModel)
from diffusers import schedulers as scheduler_classes
from diffusers.utils import load_image
from PIL import Image, ImageDraw
from safetensors.torch import save_file

import image_pipeline_cases as cases
import pipeline
import pipeline_cases
import reference
from pictures import scene

PIPELINES = {"img2img": StableDiffusionImg2ImgPipeline, "inpaint4": StableDiffusionInpaintPipeline,
             "inpaint9": StableDiffusionInpaintPipeline}


def make_pictures(out):
    scene(85, 61, 3).save(os.path.join(out, "given.png"))
    mask = Image.new("L", (60, 90), 0)
    draw = ImageDraw.Draw(mask)
    draw.ellipse([12, 10, 47, 70], fill=255)
    draw.rectangle([0, 60, 20, 89], fill=190)
    mask.save(os.path.join(out, "mask.png"))


def make_inpainting_unet(out):
    unet = UNet2DConditionModel.from_config(dict(pipeline_cases.UNET, in_channels=9))
    pipeline.write_component(out, "unet_inpaint", json.loads(unet.to_json_string()),
                             reference.fill(unet))
    return unet


def tiled(vae, tile):
    """The same VAE as if it had been trained on tiles of so many pixels."""
    small = AutoencoderKL.from_config(dict(vae.config, sample_size=tile))
    small.load_state_dict(vae.state_dict())
    small.eval()
    small.enable_tiling()
    return small


def run(parts, inpainting_unet, scheduler_config, settings, image, mask):
    name = scheduler_config["_class_name"]
    config = {k: v for k, v in scheduler_config.items() if not k.startswith("_")}
    parts = dict(parts, scheduler=getattr(scheduler_classes, name).from_config(config))
    if settings["kind"] == "inpaint9":
        parts["unet"] = inpainting_unet
    if settings["tile"]:
        parts["vae"] = tiled(parts["vae"], settings["tile"])
    pipe = PIPELINES[settings["kind"]](
        **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    batch = settings["batch"]
    given = dict(
        prompt=settings["prompt"], negative_prompt=settings["negative"],
        num_inference_steps=settings["steps"], strength=settings["strength"],
        guidance_scale=settings["cfg"], eta=settings["eta"], num_images_per_prompt=batch,
        clip_skip=settings["clip_skip"] or None, output_type="latent",
        generator=[torch.Generator("cpu").manual_seed(settings["seed"] + i) for i in range(batch)])
    width, height = settings["size"] or (None, None)
    if settings["kind"] == "img2img":
        if width:
            image = image.resize((width, height), Image.LANCZOS)
        return pipe(image=image, **given).images
    return pipe(image=[image] * batch, mask_image=[mask] * batch, width=width, height=height,
                **given).images


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--out", default=os.path.join(here, "../../tests/golden/image_pipeline"))
    out = parser.parse_args().out
    os.makedirs(out, exist_ok=True)
    make_pictures(out)
    parts = pipeline.make_model(os.path.join(here, "../../tests/golden/pipeline/model"))
    unet = make_inpainting_unet(out)
    image, mask = (load_image(os.path.join(out, f)) for f in ("given.png", "mask.png"))
    tensors, runs = {}, []
    for name, (scheduler_config, changes) in cases.RUNS.items():
        settings = {**cases.DEFAULTS, **changes}
        latents = run(parts, unet, scheduler_config, settings, image, mask)
        print(name, "rms", float(latents.pow(2).mean().sqrt()), flush=True)
        tensors[f"{name}.latents"] = latents.contiguous()
        runs.append({"name": name, "scheduler": scheduler_config, "settings": settings})
    reference.write_json(os.path.join(out, "runs.json"),
                         {"versions": reference.versions(), "runs": runs})
    save_file(tensors, os.path.join(out, "runs.safetensors"))


if __name__ == "__main__":
    main()
