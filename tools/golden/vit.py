"""Makes the Vision Transformers of tests/golden/forward, by transformers, timm and the official
Agent-Attention code (--agent FOLDER: a checkout of LeapLabTHU/Agent-Attention).

Cases have the form that forward.py describes. Checkpoints are written under the names that the
libraries publish, which are not those of the modules in transformers 5.
"""

import argparse
import importlib
import importlib.util
import json
import os
import sys
import tempfile

import numpy as np
import timm
import torch
import transformers
from safetensors.torch import load_file, save_file

import formula
import forward
import reference
import vit_cases

TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
BASE = {"ViTForImageClassification": "vit", "DeiTForImageClassification": "deit",
        "DeiTForImageClassificationWithTeacher": "deit"}


def published(class_name, config, dtype):
    """The model with formula weights under the names in its own files, and those files' shapes."""
    kind = getattr(transformers, class_name)
    with tempfile.TemporaryDirectory() as folder:
        kind(kind.config_class(**config)).save_pretrained(folder)
        path = os.path.join(folder, "model.safetensors")
        shapes = {name: list(value.shape) for name, value in load_file(path).items()}
        values = {name: torch.from_numpy(formula.weight(name, shape, dtype))
                  for name, shape in shapes.items()}
        save_file(values, path, metadata={"format": "pt"})
        model = kind.from_pretrained(folder, dtype=torch.float32).eval()
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            return model, json.load(file), shapes


def more_arguments(model, pixels):
    """What a call needs besides pictures of a size that may not be the model's."""
    if type(model).__name__.startswith("Dinov2"):
        return {}
    own = model.config.image_size
    own = tuple(own) if isinstance(own, (list, tuple)) else (own, own)
    return {"interpolate_pos_encoding": tuple(pixels.shape[2:]) != own}


def eager_runs(root, name):
    """Of every stored run of a transformers model, in f64: number, class, output with attention
    probabilities, grid of patches."""
    _, dtype, class_name, config, runs, _ = next(c for c in vit_cases.TRANSFORMERS if c[0] == name)
    model, _, _ = published(class_name, config, dtype)
    model.set_attn_implementation("eager")
    model = model.double()
    inputs = load_file(os.path.join(root, "forward", name, "io.safetensors"))
    for r in range(len(runs)):
        pixels = inputs[f"{r}.in.pixel_values"].double()
        patch = model.config.patch_size
        yield (r, class_name,
               model(pixels, output_attentions=True, **more_arguments(model, pixels)),
               [pixels.shape[2] // patch, pixels.shape[3] // patch])


def transformers_forward(keep_states):
    def run(model, inputs):
        pixels = inputs["pixel_values"]
        name = type(model).__name__
        more = more_arguments(model, pixels)
        output = model(pixels, output_hidden_states=True, **more)
        outputs = {}
        for key in ("logits", "image_embeds", "pooler_output", "last_hidden_state"):
            if getattr(output, key, None) is not None:
                outputs[key] = getattr(output, key)
        if "last_hidden_state" not in outputs:
            base = getattr(model, BASE[name])
            outputs["last_hidden_state"] = base(pixels, **more).last_hidden_state
        if keep_states:
            outputs.update({f"hidden_states.{k}": h for k, h in enumerate(output.hidden_states)})
        return outputs
    return run


def timm_forward(model, inputs):
    states = model.forward_features(inputs["pixel_values"])
    if model.num_classes == 0:
        return {"last_hidden_state": states, "pooler_output": states[:, 0]}
    return {"last_hidden_state": states, "logits": model.forward_head(states)}


def agent_forward(model, inputs):
    seen = []
    handle = model.norm.register_forward_hook(lambda module, _, output: seen.append(output))
    logits = model(inputs["pixel_values"])
    handle.remove()
    return {"logits": logits, "last_hidden_state": seen[0]}


def write(root, name, dtype, model, config, shapes, channels, runs, run_forward, class_name=None):
    specs = [dict(pixel_values=("normal", (b, channels, h, w))) for b, h, w in runs]
    # A mask token is for training. Biases of agents are small, but far above the limits.
    forward.write_case(root, name, dtype, model, config, shapes, specs, run_forward,
                       lambda weight: not weight.endswith("mask_token"), least=5e-5)
    if class_name:
        path = os.path.join(root, name, "case.json")
        with open(path, encoding="utf-8") as file:
            case = json.load(file)
        case["class"] = class_name
        reference.write_json(path, case)


def make_transformers(root):
    for name, dtype, class_name, config, runs, keep_states in vit_cases.TRANSFORMERS:
        model, written, shapes = published(class_name, config, dtype)
        write(root, name, dtype, model, written, shapes, config.get("num_channels", 3), runs,
              transformers_forward(keep_states))


def timm_config(architecture, arguments):
    size = arguments["img_size"]
    height, width = size if isinstance(size, list) else (size, size)
    classes = arguments["num_classes"]
    model_args = {k: v for k, v in arguments.items() if k != "num_classes"}
    return {"architecture": architecture.split(".")[0], "num_classes": classes,
            "num_features": arguments["embed_dim"], "global_pool": "token",
            "model_args": model_args,
            "pretrained_cfg": {"input_size": [3, height, width], "num_classes": classes}}


def make_timm(root):
    for name, dtype, architecture, arguments, runs in vit_cases.TIMM:
        model = timm.create_model(architecture.split(".")[0], dynamic_img_size=True, **arguments)
        shapes = reference.fill(model, dtype)
        write(root, name, dtype, model, timm_config(architecture, arguments), shapes, 3, runs,
              timm_forward, "VisionTransformer")


def make_agent(root, code):
    sys.path.insert(0, os.path.join(code, "agent_transformer"))
    package = importlib.util.module_from_spec(importlib.machinery.ModuleSpec("models", None))
    package.__path__ = [os.path.join(code, "agent_transformer", "models")]
    sys.modules["models"] = package  # without its __init__, which imports much more
    registry = importlib.import_module("timm.models.registry")
    registry.register_model = lambda build: build  # the code is from before timm's own of today
    kind = importlib.import_module("models.agent_deit").VisionTransformer
    for name, dtype, architecture, arguments, runs in vit_cases.AGENT:
        model = kind(**arguments).eval()
        shapes = reference.fill(model, dtype)
        write(root, name, dtype, model, timm_config(architecture, arguments), shapes, 3, runs,
              agent_forward, "VisionTransformer")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--out", default=os.path.join(here, "../../tests/golden"))
    parser.add_argument("--only", default="transformers timm", help="kinds of cases to make")
    parser.add_argument("--agent", help="folder of the official Agent-Attention code")
    args = parser.parse_args()
    root = os.path.join(args.out, "forward")
    if "transformers" in args.only:
        make_transformers(root)
    if "timm" in args.only:
        make_timm(root)
    if args.agent:
        make_agent(root, args.agent)


if __name__ == "__main__":
    main()
