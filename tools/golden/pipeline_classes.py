"""Makes tests/golden/pipeline_classes: whole runs of tiny pipelines of several classes by diffusers.

  MODEL/            a pipeline folder without weights and vocabulary (that of pipeline/model serves):
                    config.json and tensors.json of each component, values by formula.py
  runs.json         per run: model, scheduler_config.json, settings
  runs.safetensors  RUN.init (unit noise, where given) and RUN.latents; RUN.negative and so on, the
                    text states, where the run says so

All in f32 on the CPU, as a user of diffusers runs it.
"""

import json
import os
import tempfile

import diffusers
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

import golden_runs
import pipeline
import pipeline_cases
import pipeline_classes_cases as cases
import reference

SAMPLERS = {**{k: v.__name__ for k, v in pipeline.SAMPLERS.items()}, "lcm": "LCMScheduler",
            "unipc": "UniPCMultistepScheduler", "heun": "HeunDiscreteScheduler"}


def text_name(name):
    """Names as published files have them, whatever the version of transformers."""
    return name if name.startswith(("text_model.", "text_projection.")) else "text_model." + name


def make_text(config, words, projects):
    kind = CLIPTextModelWithProjection if projects else CLIPTextModel
    text = kind(CLIPTextConfig(**{**config, "vocab_size": words, "bos_token_id": words - 2,
                                  "pad_token_id": words - 1, "architectures": [kind.__name__]}))
    if not hasattr(text, "text_model"):
        # For clip_skip pipelines ask for text_model.final_layer_norm, as transformers 4 had it.
        object.__setattr__(text, "text_model", text)
    return text


def make_model(folder, model, vocabulary):
    words = pipeline.write_tokenizer(vocabulary)
    parts = {"unet": UNet2DConditionModel.from_config(model["unet"]),
             "vae": AutoencoderKL.from_config(model["vae"])}
    index = {"_class_name": model["class"], **model["flags"],
             "scheduler": ["diffusers", "EulerDiscreteScheduler"],
             "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
    for suffix, config in model["texts"].items():
        text = make_text(config, words, projects=suffix == "_2")
        parts["text_encoder" + suffix] = text
        index["text_encoder" + suffix] = ["transformers", type(text).__name__]
        index["tokenizer" + suffix] = ["transformers", "CLIPTokenizer"]
        with open(os.path.join(vocabulary, "tokenizer_config.json"), encoding="utf-8") as file:
            settings = json.load(file)
        if suffix == "_2":
            settings["pad_token"] = "!"
        at = os.path.join(folder, "tokenizer" + suffix)
        os.makedirs(at)
        reference.write_json(os.path.join(at, "tokenizer_config.json"), settings)
        parts["tokenizer" + suffix] = CLIPTokenizer.from_pretrained(
            vocabulary, pad_token=settings["pad_token"])
    for name, part in parts.items():
        if name.startswith("tokenizer"):
            continue
        text = name.startswith("text")
        shapes = reference.fill(part, file_name=text_name if text else lambda n: n)
        config = part.config.to_json_string() if text else part.to_json_string()
        pipeline.write_component(folder, name, json.loads(config), shapes)
    reference.write_json(os.path.join(folder, "model_index.json"), index)
    return parts


def make_pipeline(model, parts, scheduler_config, sampler):
    with tempfile.TemporaryDirectory() as folder:
        reference.write_json(os.path.join(folder, "scheduler_config.json"), scheduler_config)
        scheduler = getattr(diffusers, scheduler_config["_class_name"]).from_pretrained(folder)
    cls = getattr(diffusers, model["class"])
    more = dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    if "XL" in model["class"]:
        more = dict(add_watermarker=False, **model["flags"])
        parts = {"text_encoder": None, "tokenizer": None, **parts}
    pipe = cls(**parts, scheduler=scheduler, **more)
    if sampler:
        pipe.scheduler = getattr(diffusers, SAMPLERS[sampler]).from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run(model, parts, scheduler_config, s, init, kept=None):
    """Final latents; `kept` gains the text states."""
    pipe = make_pipeline(model, parts, scheduler_config, s["sampler"])
    generators = [torch.Generator("cpu").manual_seed(s["seed"] + i) for i in range(s["batch"])]
    args = dict(num_inference_steps=s["steps"], guidance_scale=s["cfg"], latents=init,
                num_images_per_prompt=s["batch"], generator=generators, output_type="latent",
                clip_skip=s["clip_skip"] or None)
    xl = "XL" in model["class"]
    if "Img2Img" in model["class"]:
        # Given latents stand for the picture's; all steps remain.
        pipe.scheduler.set_timesteps(s["steps"])
        args["latents"] = init * pipe.scheduler.init_noise_sigma
        args.update(image=torch.zeros(1, 3, s["height"], s["width"]), strength=1.0)
    else:
        args.update(width=s["width"], height=s["height"])
    if not model["class"].startswith("Latent"):
        args.update(negative_prompt=s["negative"], guidance_rescale=s["cfg_rescale"], eta=s["eta"])
    if xl:
        args.update(prompt_2=s["prompt_2"] or None, negative_prompt_2=s["negative_2"] or None)
    if kept is not None:
        states = pipe.encode_prompt(
            s["prompt"], **({"prompt_2": args["prompt_2"], "negative_prompt_2":
                             args["negative_prompt_2"]} if xl else {}),
            device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=True,
            negative_prompt=s["negative"], clip_skip=args["clip_skip"])
        names = ["prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds",
                 "negative_pooled_prompt_embeds"]
        kept.update({n: v.detach().clone() for n, v in zip(names, states)})
    return pipe(s["prompt"], **args).images


def main():
    golden_runs.make("pipeline_classes", __doc__, cases,
                     {**pipeline_cases.DEFAULTS, **cases.DEFAULTS}, make_model,
                     lambda model, settings: pipeline.unit_noise(settings), run)


if __name__ == "__main__":
    main()
