"""Makes tests/golden/perturbation: runs of tiny pipelines that are led away from perturbed attention.

  runs.json         per run: model, scheduler_config.json, settings
  runs.safetensors  RUN.init (unit noise) and RUN.latents

diffusers has pipelines for whole layers of U-Nets and of SD3. For single heads there is none, so the
network is run once more with its attention replaced by maps: softmax(q k' / sqrt(d)), written out in
double precision and changed head by head. All in f32 on the CPU otherwise.
"""

import argparse
import contextlib
import math
import os
import shutil
import tempfile

import diffusers
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import perturbation_cases as cases
import pipeline
import pipeline_cases
import pipeline_classes
import pipeline_classes_cases
import reference
import transformer_pipelines
import transformer_pipelines_cases

PAG = {"sd15": "StableDiffusionPAGPipeline", "sdxl": "StableDiffusionXLPAGPipeline",
       "sd3": "StableDiffusion3PAGPipeline"}
FOLDERS = {"sd15": "pipeline/model", "sdxl": "pipeline_classes/sdxl"}


def blurred(queries, grid, sigma):
    """Smoothed energy guidance: queries (b,h,t,d) of a grid, each channel blurred by itself."""
    if sigma > 9999:
        return queries.mean(dim=2, keepdim=True).expand_as(queries)
    height, width = grid
    x = queries.transpose(2, 3).reshape(-1, 1, height, width)
    for axis, side in ((2, height), (3, width)):
        size = math.ceil(6 * sigma) + 1 - math.ceil(6 * sigma) % 2
        size = min(size, side - (side % 2 - 1))
        at = torch.arange(size, dtype=x.dtype) - (size - 1) / 2
        kernel = torch.exp(-0.5 * (at / sigma) ** 2)
        kernel = (kernel / kernel.sum()).reshape((1, 1, size, 1) if axis == 2 else (1, 1, 1, size))
        pad = (0, 0, size // 2, size // 2) if axis == 2 else (size // 2, size // 2, 0, 0)
        x = F.conv2d(F.pad(x, pad, mode="reflect"), kernel)
    b, h, t, d = queries.shape
    return x.reshape(b, h, d, t).transpose(2, 3)


def attend(q, k, v):
    return torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[3]), dim=3) @ v


class Maps:
    """Stands in for scaled_dot_product_attention and perturbs the calls that it is told of."""

    def __init__(self, sites, kind, scope, text_first, text, grid):
        self.sites, self.kind, self.scope = sites, kind, scope
        self.text_first, self.text, self.grid = text_first, text, grid
        self.calls = 0

    def image_rows(self, tokens):
        if not self.text:
            return slice(0, tokens)
        return slice(self.text, tokens) if self.text_first else slice(0, tokens - self.text)

    def target(self, q, k, v):
        if self.kind == "identity":
            return v
        if self.kind == "zero":
            return torch.zeros_like(v)
        if self.kind == "uniform":
            return v.mean(dim=2, keepdim=True).expand_as(v)
        if self.kind == "meanq":
            return attend(q.mean(dim=2, keepdim=True), k, v).expand_as(v)
        sigma = float(self.kind.split(":")[1])
        sides = self.grid
        while sides[0] * sides[1] > q.shape[2]:
            sides = ((sides[0] + 1) // 2, (sides[1] + 1) // 2)
        return attend(blurred(q, sides, sigma), k, v)

    def __call__(self, query, key, value, **kwargs):
        assert kwargs.get("attn_mask") is None and not kwargs.get("is_causal", False)
        site, self.calls = self.calls, self.calls + 1
        q, k, v = query.double(), key.double(), value.double()
        out = attend(q, k, v)
        if site in self.sites:
            heads, strength = self.sites[site]
            heads = range(q.shape[1]) if heads is None else heads
            rows = self.image_rows(q.shape[2]) if self.scope == "img-pure" else slice(None)
            worse = self.target(q, k, v)
            for head in heads:
                out[:, head, rows] = ((1 - strength) * out[:, head, rows] +
                                      strength * worse[:, head, rows])
        return out.to(query.dtype)


@contextlib.contextmanager
def attention(function):
    real = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = function
    torch.nn.functional.scaled_dot_product_attention = function
    try:
        yield
    finally:
        F.scaled_dot_product_attention = real
        torch.nn.functional.scaled_dot_product_attention = real


def led_away(model, make_maps, scale, window, guided):
    """Makes `model` answer so that its pipeline, which knows nothing of it, adds scale * (c - p).

    u + d + w (c + d - u - d) is u + w (c - u) + d, so d is added to both answers.
    """
    plain, step = model.forward, [0]

    def forward(*args, **kwargs):
        answer = plain(*args, **kwargs)[0]
        first, last = window
        if first <= step[0] <= last:
            function = make_maps()
            with attention(function):
                worse = plain(*args, **kwargs)[0]
            assert all(site < function.calls for site in function.sites)
            difference = answer - worse
            if guided:
                difference = difference.chunk(2)[1].repeat(2, *[1] * (answer.ndim - 1))
            answer = answer + scale * difference
        step[0] += 1
        return (answer,)

    model.forward = forward


def make_parts(name, folder, vocabulary):
    at = os.path.join(folder, name)
    if name == "sd15":
        return pipeline.make_model(at)
    if name == "sdxl":
        os.makedirs(at)
        return pipeline_classes.make_model(at, pipeline_classes_cases.MODELS[name], vocabulary)
    return transformer_pipelines.make_model(at, transformer_pipelines_cases.MODELS[name], vocabulary)


def make_pipeline(case, parts):
    """The pipeline, with extra arguments of its call."""
    name, s, call = case["model"], case["settings"], {}
    if name in ("sd15", "sdxl"):
        scheduler = pipeline.make_scheduler(case["scheduler"])
    else:
        scheduler = transformer_pipelines.make_scheduler(case["scheduler"], "")
    plain = {"sd15": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline",
             "sd3": "StableDiffusion3Pipeline", "sd35": "StableDiffusion3Pipeline",
             "flux_dev": "FluxPipeline"}[name]
    more = {}
    if name == "sd15":
        more = dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    if name == "sdxl":
        more = dict(add_watermarker=False, **pipeline_classes_cases.MODELS[name]["flags"])
    if case["by"] == "pag":
        plain = PAG[name]
        more["pag_applied_layers"] = case["layers"]
        call["pag_scale"] = s["perturb_scale"]
    if case["by"] == "slg":
        call.update(skip_guidance_layers=case["layers"], skip_layer_guidance_scale=s["perturb_scale"],
                    skip_layer_guidance_start=0.01, skip_layer_guidance_stop=0.5)
    pipe = getattr(diffusers, plain)(**parts, scheduler=scheduler, **more)
    pipe.set_progress_bar_config(disable=True)
    return pipe, call


def run(case, parts, init):
    name, s = case["model"], case["settings"]
    pipe, call = make_pipeline(case, parts)
    model = parts.get("unet", parts.get("transformer"))
    flux, guided = name == "flux_dev", s["cfg"] > 1 and name != "flux_dev"
    if case["by"] == "maps":
        kind, scope = s["perturb_kind"], s["perturb_scope"]
        text = 0
        if "transformer" in parts:
            text = s["max_sequence_length"] if flux else 77 + s["max_sequence_length"]
        led_away(model, lambda: Maps(case["sites"], kind, scope, flux, text, init.shape[2:]),
                 s["perturb_scale"], case["window"], guided)
    args = dict(num_inference_steps=s["steps"], guidance_scale=s["cfg"], width=s["width"],
                height=s["height"], num_images_per_prompt=s["batch"], output_type="latent", **call)
    if not flux:
        args["negative_prompt"] = s["negative"]
    if s["cfg_rescale"]:
        args["guidance_rescale"] = s["cfg_rescale"]
    if s["max_sequence_length"] >= 0:
        args["max_sequence_length"] = s["max_sequence_length"]
    given = pipe._pack_latents(init, *init.shape) if flux else init
    try:
        result = pipe(s["prompt"], latents=given, **args).images
    finally:
        model.__dict__.pop("forward", None)
    if flux:
        result = pipe._unpack_latents(result, s["height"], s["width"], pipe.vae_scale_factor)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    golden = os.path.join(here, "../../tests/golden")
    parser.add_argument("--out", default=os.path.join(golden, "perturbation"))
    out = parser.parse_args().out
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    vocabulary = os.path.join(golden, "pipeline/model/tokenizer")
    parts, tensors, runs = {}, {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name, case in cases.RUNS.items():
            changes = dict(case["settings"])
            window = changes.pop("window", (0, 1 << 20))
            settings = {**pipeline_cases.DEFAULTS, **cases.DEFAULTS, **changes}
            case = dict(case, settings=settings, window=window)
            model = case["model"]
            if model not in parts:
                parts[model] = make_parts(model, folder, vocabulary)
            if model in FOLDERS:
                init = pipeline.unit_noise(settings)
            else:
                init = transformer_pipelines.unit_noise(
                    transformer_pipelines_cases.MODELS[model], settings)
            with torch.no_grad():
                latents = run(case, parts[model], init)
            tensors[f"{name}.init"] = init
            tensors[f"{name}.latents"] = latents.clone().contiguous()
            print(name, list(latents.shape), "rms", float(latents.pow(2).mean().sqrt()), flush=True)
            runs.append({"name": name, "scheduler": case["scheduler"], "settings": settings,
                         "model": FOLDERS.get(model, "transformer_pipelines/" + model)})
    reference.write_json(os.path.join(out, "runs.json"),
                         {"versions": reference.versions(), "runs": runs})
    save_file(tensors, os.path.join(out, "runs.safetensors"))


if __name__ == "__main__":
    main()
