"""Makes tests/golden/transformer_pipelines: runs of tiny SD3, FLUX and DiT pipelines by diffusers.

  MODEL/            as in pipeline_classes; tokenizers of T5 have a vocabulary of their own
  runs.json         per run: model, scheduler_config.json, settings
  runs.safetensors  RUN.init (unit noise, where given) and RUN.latents; RUN.prompt_embeds and so on,
                    the text states, where the run says so

All in f32 on the CPU, one generator a picture, as a user of diffusers runs it.
"""

import json
import os
import tempfile

import diffusers
import torch
from diffusers.utils import load_image
from PIL import Image
from transformers import CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer
from transformers.modeling_outputs import BaseModelOutputWithPooling

import golden_runs
import pipeline
import pipeline_classes
import reference
import transformer_pipelines_cases as cases

PIECES = ["the", "a", "red", "blue", "cube", "and", "on", "table", "one"]
WORDS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,.;:!?'-()"


def write_t5_tokenizer(folder):
    """Words cost less than their letters, and endings of words are pieces, too."""
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -3.0)]
    vocabulary += [("\u2581" + word, -3.5 - 0.1 * i) for i, word in enumerate(PIECES)]
    vocabulary += [("ing", -4.0), ("able", -4.2), ("e,", -5.5)]
    vocabulary += [(letter, -6.0 - 0.01 * i) for i, letter in enumerate(WORDS)]
    tokenizer = T5Tokenizer(vocab=vocabulary, extra_ids=0, model_max_length=512)
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_text(folder, suffix, config, words, vocabulary, projects):
    """text_encoder and tokenizer of one suffix, and their lines of model_index.json."""
    at = os.path.join(folder, "tokenizer" + suffix)
    os.makedirs(at)
    if "d_model" in config:
        tokenizer = write_t5_tokenizer(at)
        text = T5EncoderModel(T5Config(**config, vocab_size=len(tokenizer) + 3,
                                       architectures=["T5EncoderModel"]))
        shapes = reference.fill(text)
        kinds = ["T5EncoderModel", "T5TokenizerFast"]
    else:
        with open(os.path.join(vocabulary, "tokenizer_config.json"), encoding="utf-8") as file:
            settings = json.load(file)
        if suffix == "_2":
            settings["pad_token"] = "!"
        reference.write_json(os.path.join(at, "tokenizer_config.json"), settings)
        tokenizer = CLIPTokenizer.from_pretrained(vocabulary, pad_token=settings["pad_token"])
        text = pipeline_classes.make_text(config, words, projects)
        shapes = reference.fill(text, file_name=pipeline_classes.text_name)
        kinds = [type(text).__name__, "CLIPTokenizer"]
    pipeline.write_component(folder, "text_encoder" + suffix,
                             json.loads(text.config.to_json_string()), shapes)
    return ({"text_encoder" + suffix: text, "tokenizer" + suffix: tokenizer},
            {"text_encoder" + suffix: ["transformers", kinds[0]],
             "tokenizer" + suffix: ["transformers", kinds[1]]})


def make_model(folder, model, vocabulary):
    kind = {"Stable": "SD3Transformer2DModel", "FluxPi": "FluxTransformer2DModel",
            "DiTPip": "DiTTransformer2DModel"}[model["class"][:6]]
    parts = {"transformer": getattr(diffusers, kind).from_config(model["transformer"]),
             "vae": diffusers.AutoencoderKL.from_config(model["vae"])}
    index = {"_class_name": model["class"], "scheduler": ["diffusers", "none"],
             "transformer": ["diffusers", kind], "vae": ["diffusers", "AutoencoderKL"]}
    for name, part in parts.items():
        pipeline.write_component(folder, name, json.loads(part.to_json_string()),
                                 reference.fill(part))
    with tempfile.TemporaryDirectory() as scratch:
        words = pipeline.write_tokenizer(scratch)
    for suffix, config in model["texts"].items():
        made, lines = make_text(folder, suffix, config, words, vocabulary,
                                projects="Flux" not in model["class"])
        parts.update(made)
        index.update(lines)
    if model["class"] == "DiTPipeline":
        index["id2label"] = parts["id2label"] = cases.ID2LABEL
    elif model["class"].startswith("Stable") and "_3" not in model["texts"]:
        parts.update(text_encoder_3=None, tokenizer_3=None)
        index.update(text_encoder_3=[None, None], tokenizer_3=[None, None])
    reference.write_json(os.path.join(folder, "model_index.json"), index)
    return parts


def make_scheduler(config, sampler):
    with tempfile.TemporaryDirectory() as folder:
        reference.write_json(os.path.join(folder, "scheduler_config.json"), config)
        scheduler = getattr(diffusers, config["_class_name"]).from_pretrained(folder)
    if sampler == "flow_heun":
        return diffusers.FlowMatchHeunDiscreteScheduler.from_config(scheduler.config)
    if sampler == "flow_dpmpp_2m":
        return diffusers.DPMSolverMultistepScheduler.from_config(
            scheduler.config, use_flow_sigmas=True, prediction_type="flow_prediction",
            flow_shift=config["shift"])
    if sampler == "dpmpp_2m":
        return diffusers.DPMSolverMultistepScheduler.from_config(scheduler.config)
    return scheduler


def run_dit(pipe, s, generators):
    """Its pipeline hands out pictures alone, so the last latents are taken from the scheduler."""
    seen, step = [], pipe.scheduler.step

    def watch(*args, **kwargs):
        seen.append(step(*args, **kwargs))
        return seen[-1]

    pipe.scheduler.step = watch
    label = int(s["prompt"]) if s["prompt"].isdigit() else pipe.get_label_ids([s["prompt"]])[0]
    pipe(class_labels=[label] * s["batch"], guidance_scale=s["cfg"], generator=generators,
         num_inference_steps=s["steps"], output_type="pt")
    return seen[-1].prev_sample[:s["batch"]]


class NoClip(torch.nn.Module):
    """Zeros where a CLIP would give its states: diffusers' pipeline itself needs both."""

    def __init__(self, clip):
        super().__init__()
        self.hidden, self.projection = clip.config.hidden_size, clip.config.projection_dim
        self.dtype, self.device = torch.float32, torch.device("cpu")

    def forward(self, ids, output_hidden_states):
        states = torch.zeros(*ids.shape, self.hidden)
        output = BaseModelOutputWithPooling(torch.zeros(len(ids), self.projection))
        output.hidden_states = (states,) * 4
        return output


def without(parts, suffixes):
    """A model that lacks these text encoders."""
    parts = dict(parts)
    for suffix in suffixes:
        if suffix == "_3":
            parts.update(text_encoder_3=None, tokenizer_3=None)
        else:
            parts["text_encoder" + suffix] = NoClip(parts["text_encoder" + suffix])
    return parts


def run(model, parts, scheduler_config, s, init, kept, picture):
    """Final latents; `kept` gains the text states."""
    parts = without(parts, s["without"])
    if s["shift"]:
        scheduler_config = dict(scheduler_config, shift=s["shift"], use_dynamic_shifting=False)
    cls = model["class"]
    flux = cls == "FluxPipeline"
    if s["strength"]:
        cls = cls.replace("Pipeline", "Img2ImgPipeline")
    pipe = getattr(diffusers, cls)(**parts, scheduler=make_scheduler(scheduler_config, s["sampler"]))
    pipe.set_progress_bar_config(disable=True)
    generators = [torch.Generator("cpu").manual_seed(s["seed"] + i) for i in range(s["batch"])]
    if cls == "DiTPipeline":
        return run_dit(pipe, s, generators)
    args = dict(prompt_2=s["prompt_2"] or None)
    against = dict(negative_prompt_2=s["negative_2"] or None)
    if s["negative"] is not None:
        against["negative_prompt"] = s["negative"]
    if not flux:
        args["prompt_3"] = s["prompt_3"] or None
        args["clip_skip"] = s["clip_skip"] or None
        against["negative_prompt_3"] = s["negative_3"] or None
    if s["max_sequence_length"] >= 0:
        args["max_sequence_length"] = s["max_sequence_length"]
    names = ["prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds",
             "negative_pooled_prompt_embeds"]
    if kept is not None and flux:
        states, pooled, _ = pipe.encode_prompt(s["prompt"], **args)
        kept.update(prompt_embeds=states, pooled_prompt_embeds=pooled)
    elif kept is not None:
        kept.update(zip(names, pipe.encode_prompt(s["prompt"], **args, **against)))
    if flux:
        args["true_cfg_scale"] = s["true_cfg"]
    given = init
    if given is not None and flux:
        given = pipe._pack_latents(init, *init.shape)
    if s["strength"]:
        size = (s["width"], s["height"])
        args.update(image=[picture.resize(size, Image.LANCZOS)] * s["batch"],
                    strength=s["strength"])
    with reference.rotary_factor(s["ntk"]):
        result = pipe(s["prompt"], num_inference_steps=s["steps"], guidance_scale=s["cfg"],
                      width=s["width"], height=s["height"], num_images_per_prompt=s["batch"],
                      generator=generators, latents=given, output_type="latent", **args,
                      **against).images
    if flux:
        result = pipe._unpack_latents(result, s["height"], s["width"], pipe.vae_scale_factor)
    return result


def unit_noise(model, s):
    factor = 2 ** (len(model["vae"]["block_out_channels"]) - 1)
    scaled = dict(s, height=s["height"] * 8 // factor, width=s["width"] * 8 // factor)
    return pipeline.unit_noise(scaled)


def main():
    picture = load_image(os.path.join(golden_runs.GOLDEN, "image_pipeline/given.png"))
    golden_runs.make("transformer_pipelines", __doc__, cases, cases.DEFAULTS, make_model, unit_noise,
                     lambda *args: run(*args, picture))


if __name__ == "__main__":
    main()
