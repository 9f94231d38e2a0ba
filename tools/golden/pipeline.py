"""Makes tests/golden/pipeline: whole runs of a tiny StableDiffusionPipeline by diffusers.

  model/            a pipeline folder without weights: config.json and tensors.json of each component
                    (values by formula.py), tokenizer/
  runs.json         per run: scheduler_config.json, settings, sensitivity
  runs.safetensors  RUN.init (unit noise, where given) and RUN.latents; and for one run its steps,
                    text states and picture

All in f32 on the CPU, as a user of diffusers runs it. Sensitivity is how much a relative change of
1e-6 of the first latents grows: a run that amplifies rounding could not be compared.
"""

import argparse
import json
import os
import tempfile

import numpy as np
import torch
from diffusers import (AutoencoderKL, DDIMScheduler, DPMSolverMultistepScheduler,
                       EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, PNDMScheduler,
                       StableDiffusionPipeline, UNet2DConditionModel)
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import pipeline_cases as cases
import reference

CLASSES = {c.__name__: c for c in (DDIMScheduler, DPMSolverMultistepScheduler, PNDMScheduler,
                                   EulerAncestralDiscreteScheduler, EulerDiscreteScheduler)}
SAMPLERS = {"ddim": DDIMScheduler, "pndm": PNDMScheduler, "euler": EulerDiscreteScheduler,
            "euler_a": EulerAncestralDiscreteScheduler, "dpmpp_2m": DPMSolverMultistepScheduler}


def byte_symbols():
    """The printable stand-ins for the 256 bytes that byte-level BPE uses, in CLIP's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]


def write_tokenizer(folder):
    os.makedirs(folder, exist_ok=True)
    merges = cases.MERGES
    symbols = byte_symbols()
    words = [*symbols, *[s + "</w>" for s in symbols], *["".join(m.split()) for m in merges],
             "<|startoftext|>", "<|endoftext|>"]
    reference.write_json(os.path.join(folder, "vocab.json"), {w: i for i, w in enumerate(words)})
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "".join(m + "\n" for m in merges))
    reference.write_json(os.path.join(folder, "tokenizer_config.json"), {
        "add_prefix_space": False, "bos_token": "<|startoftext|>", "do_lower_case": True,
        "eos_token": "<|endoftext|>", "errors": "replace", "model_max_length": 77,
        "pad_token": "<|endoftext|>", "tokenizer_class": "CLIPTokenizer",
        "unk_token": "<|endoftext|>"})
    return len(words)


def write_component(root, name, config, shapes):
    folder = os.path.join(root, name)
    os.makedirs(folder, exist_ok=True)
    reference.write_json(os.path.join(folder, "config.json"), config)
    reference.write_shapes(os.path.join(folder, "tensors.json"), shapes)


def make_model(root):
    os.makedirs(root, exist_ok=True)
    words = write_tokenizer(os.path.join(root, "tokenizer"))
    clip = dict(cases.CLIP, vocab_size=words, bos_token_id=words - 2, eos_token_id=words - 1,
                pad_token_id=words - 1, architectures=["CLIPTextModel"])
    unet = UNet2DConditionModel.from_config(cases.UNET)
    vae = AutoencoderKL.from_config(cases.VAE)
    text = CLIPTextModel(CLIPTextConfig(**clip))
    # For clip_skip the pipeline asks for text_model.final_layer_norm, as transformers 4 had it.
    object.__setattr__(text, "text_model", text)
    write_component(root, "unet", json.loads(unet.to_json_string()), reference.fill(unet))
    write_component(root, "vae", json.loads(vae.to_json_string()), reference.fill(vae))
    write_component(root, "text_encoder", json.loads(text.config.to_json_string()),
                    reference.fill(text, file_name=lambda n: "text_model." + n))
    reference.write_json(os.path.join(root, "model_index.json"), {
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.6.0",
        "feature_extractor": [None, None], "requires_safety_checker": False,
        "safety_checker": [None, None], "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]})
    return dict(unet=unet, vae=vae, text_encoder=text,
                tokenizer=CLIPTokenizer.from_pretrained(os.path.join(root, "tokenizer")))


def make_scheduler(config):
    with tempfile.TemporaryDirectory() as folder:
        reference.write_json(os.path.join(folder, "scheduler_config.json"), config)
        return CLASSES[config["_class_name"]].from_pretrained(folder)


def make_pipeline(parts, scheduler_config, sampler):
    pipe = StableDiffusionPipeline(
        **parts, scheduler=make_scheduler(scheduler_config), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False)
    if sampler:
        pipe.scheduler = SAMPLERS[sampler].from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def unit_noise(settings):
    factor = 8
    shape = (settings["batch"], 4, settings["height"] // factor, settings["width"] // factor)
    values = np.random.default_rng(settings["seed"]).standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32))


def run(parts, scheduler_config, settings, init, on_step=None, output="latent"):
    pipe = make_pipeline(parts, scheduler_config, settings["sampler"])
    generators = [torch.Generator("cpu").manual_seed(settings["seed"] + i)
                  for i in range(settings["batch"])]
    kept = dict(callback_on_step_end=on_step, callback_on_step_end_tensor_inputs=["latents"])
    if on_step:
        names = ["latents", "noise_pred", "prompt_embeds", "negative_prompt_embeds"]
        pipe._callback_tensor_inputs = names
        kept["callback_on_step_end_tensor_inputs"] = names
    return pipe(
        settings["prompt"], negative_prompt=settings["negative"], width=settings["width"],
        height=settings["height"], num_inference_steps=settings["steps"],
        guidance_scale=settings["cfg"], guidance_rescale=settings["cfg_rescale"],
        eta=settings["eta"], clip_skip=settings["clip_skip"] or None, latents=init,
        num_images_per_prompt=settings["batch"], generator=generators, output_type=output,
        **kept).images


def run_in_full(parts, scheduler_config, settings, init, tensors, name):
    def on_step(pipe, i, timestep, values):
        tensors[f"{name}.step.{i}.timestep"] = torch.tensor([float(timestep)])
        tensors[f"{name}.step.{i}.model_output"] = values["noise_pred"].clone()
        tensors[f"{name}.step.{i}.latents_out"] = values["latents"].clone()
        if i == 0:
            # With guidance the pipeline joins both: the negative half stands first.
            negative, positive = values["prompt_embeds"].chunk(2)
            tensors[f"{name}.negative"] = negative[:1].clone()
            tensors[f"{name}.positive"] = positive[:1].clone()
        return {}

    pictures = run(parts, scheduler_config, settings, init, on_step, output="np")
    picture = (pictures * 255).round().astype(np.uint8)
    tensors[f"{name}.picture"] = torch.from_numpy(np.ascontiguousarray(picture))


def sensitivity(parts, scheduler_config, settings, init, latents):
    if init is None:
        return None
    nudge = 1e-6 * torch.from_numpy(
        np.random.default_rng(0).standard_normal(init.shape).astype(np.float32))
    moved = run(parts, scheduler_config, settings, init + nudge)
    return float((moved - latents).norm() / latents.norm() / 1e-6)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--out", default=os.path.join(here, "../../tests/golden/pipeline"))
    out = parser.parse_args().out
    parts = make_model(os.path.join(out, "model"))
    tensors, runs = {}, []
    for name, (scheduler_config, changes) in cases.RUNS.items():
        settings = {**cases.DEFAULTS, **changes}
        init = unit_noise(settings) if settings["latents"] else None
        latents = run(parts, scheduler_config, settings, init)
        if init is not None:
            tensors[f"{name}.init"] = init
        tensors[f"{name}.latents"] = latents.clone()
        if name == cases.IN_FULL:
            run_in_full(parts, scheduler_config, settings, init, tensors, name)
        growth = sensitivity(parts, scheduler_config, settings, init, latents)
        print(name, "rms", float(latents.pow(2).mean().sqrt()), "growth", growth, flush=True)
        runs.append({"name": name, "scheduler": scheduler_config, "settings": settings,
                     "sensitivity": growth})
    reference.write_json(os.path.join(out, "runs.json"),
                         {"versions": reference.versions(), "runs": runs})
    save_file(tensors, os.path.join(out, "runs.safetensors"))


if __name__ == "__main__":
    main()
