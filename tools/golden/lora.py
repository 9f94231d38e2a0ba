"""Makes tests/golden/lora: LoRA files on the tiny models of single_file.py, by load_lora_weights.

Needs peft beside requirements.txt. A file is kept as it is (NAME.safetensors, f16, values by
formula.py); a case's outputs, for the inputs of the model's case, are in io.safetensors:
"CASE.COMPONENT.NAME", in f64, stored in f32. lora.json: the cases, and the largest difference that
f32 makes to each output.
"""

import argparse
import json
import os
import re

import numpy as np
import peft
import torch
from diffusers import (AutoencoderKL, DDIMScheduler, StableDiffusionPipeline,
                       StableDiffusionXLPipeline, UNet2DConditionModel)
from safetensors.numpy import load_file, save_file
from transformers import CLIPTextConfig

import formula
import forward
import lora_cases
import reference
import single_file_cases

HERE = os.path.dirname(os.path.abspath(__file__))


def tiny_pipeline(out, name):
    """The models of a case of single_file.py, with the weights that its names.json says."""
    case = single_file_cases.CASES[name]
    folder = os.path.join(out, "single_file", name)
    with open(os.path.join(folder, "tensors.json"), encoding="utf-8") as file:
        shapes = json.load(file)
    with open(os.path.join(folder, "names.json"), encoding="utf-8") as file:
        names = json.load(file)
    models = {"unet": UNet2DConditionModel.from_config(case["unet"]),
              "vae": AutoencoderKL.from_config(single_file_cases.VAE)}
    for component, (kind, config, *_) in case["texts"].items():
        models[component] = forward.CLIP_CLASSES[kind](CLIPTextConfig(**config))
    for component, model in models.items():
        with torch.no_grad():
            for tensor, parameter in model.named_parameters():
                source = names[component].get(tensor) or names[component]["text_model." + tensor]
                stored, part, parts, transposed = source
                value = formula.weight(stored, shapes[stored], case["dtype"])
                value = np.split(value, parts)[part]
                value = value.T.copy() if transposed else value
                parameter.copy_(torch.from_numpy(value).view_as(parameter))
        model.eval()
    scheduler = DDIMScheduler(steps_offset=1, clip_sample=False)
    if "text_encoder_2" in models:
        return StableDiffusionXLPipeline(scheduler=scheduler, tokenizer=None, tokenizer_2=None,
                                         **models)
    return StableDiffusionPipeline(scheduler=scheduler, tokenizer=None, safety_checker=None,
                                   feature_extractor=None, requires_safety_checker=False, **models)


def lora_tensors(pipe, names, unet_layers, text_layers, rank, alpha):
    tensors = {}
    for component in ["unet", "text_encoder", "text_encoder_2"]:
        model = getattr(pipe, component, None)
        wanted = unet_layers if component == "unet" else text_layers
        if model is None or wanted is None:
            continue
        for layer, module in model.named_modules():
            if not re.search(wanted, layer) or not hasattr(module, "weight"):
                continue
            if component != "unet" and not layer.startswith("text_model."):
                layer = "text_model." + layer  # since transformers 5.6 without it; files have it
            out, into, *kernel = module.weight.shape
            down, up = names(component, layer, "down"), names(component, layer, "up")
            tensors[down] = formula.weight(down, [rank, into, *kernel], "F16")
            tensors[up] = formula.weight(up, [out, rank, *[1 for _ in kernel]], "F16")
            if alpha is not None:
                tensors[down.replace(".lora_down.weight", ".alpha")] = np.float32(alpha)
    return {k: np.asarray(v, np.float16) for k, v in tensors.items()}


def outputs_of(pipe, name, out):
    """Every component's outputs for the first inputs of the model's case: f32, f64."""
    io = load_file(os.path.join(out, "single_file", name, "io.safetensors"))
    single, double = {}, {}
    for component in ["unet", "text_encoder", "text_encoder_2"]:
        model = getattr(pipe, component, None)
        if model is None:
            continue
        run = forward.unet_forward if component == "unet" else forward.clip_forward
        prefix = component + ".0.in."
        inputs = {k[len(prefix):]: torch.from_numpy(v) for k, v in io.items()
                  if k.startswith(prefix)}
        with torch.no_grad():
            outputs = run(model.float(), inputs)
            single.update({f"{component}.{k}": v.clone() for k, v in outputs.items()
                           if not k.startswith("hidden_states")})
            outputs = run(model.double(), reference.as_f64(inputs))
            double.update({f"{component}.{k}": v.clone() for k, v in outputs.items()
                           if not k.startswith("hidden_states")})
        model.float()
    return single, double


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=os.path.join(HERE, "../../tests/golden"))
    out = parser.parse_args().out
    folder = reference.fresh_folder(os.path.join(out, "lora"))
    about, tensors = {}, {}
    for name, (model, *rest) in lora_cases.FILES.items():
        save_file(lora_tensors(tiny_pipeline(out, model), *rest),
                  os.path.join(folder, name + ".safetensors"))
    for name, files in lora_cases.CASES.items():
        model = lora_cases.FILES[next(iter(files))][0]
        pipe = tiny_pipeline(out, model)
        _, before = outputs_of(pipe, model, out)
        for file in files:
            pipe.load_lora_weights(os.path.join(folder, file + ".safetensors"), adapter_name=file)
        pipe.set_adapters(list(files), list(files.values()))
        single, double = outputs_of(pipe, model, out)
        errors = {k: float((single[k].double() - double[k]).abs().max()) for k in double}
        effects = {k: float((double[k] - before[k]).norm() / before[k].norm()) for k in double}
        print(name, effects, errors)
        for component in {k.split(".")[0] for k in double}:
            touched = any(lora_cases.FILES[f][2 if component == "unet" else 3] for f in files)
            effect = max(v for k, v in effects.items() if k.startswith(component + "."))
            assert (effect > 0.02) == touched, (name, component, effect)
        tensors.update({f"{name}.{k}": v.float().numpy().copy() for k, v in double.items()})
        about[name] = {"model": model, "files": files, "reference_f32_error": errors}
    save_file(tensors, os.path.join(folder, "io.safetensors"))
    reference.write_json(os.path.join(folder, "lora.json"), {
        "cases": about, "versions": {**reference.versions(), "peft": peft.__version__}})


if __name__ == "__main__":
    main()
