"""Makes tests/golden/forward: one forward pass of every class, by diffusers and transformers.

A case is a folder:
  config.json      as the library writes it
  tensors.json     the checkpoint: name -> shape; the values come from formula.py
  case.json        dtype of the checkpoint, inputs and outputs of each run, versions, and per output
                   the largest difference between the reference in f32 and in f64; "attention": the
                   plan of a run whose reference was given that operator's mask
  io.safetensors   "R.in.NAME" and "R.out.NAME" for run R; outputs computed in f64, stored in f32
"""

import argparse
import contextlib
import itertools
import json
import math
import os
import re

import numpy as np
import torch
from diffusers import (AutoencoderKL, DiTTransformer2DModel, FluxTransformer2DModel,
                       SD3Transformer2DModel, UNet2DConditionModel)
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import formula
import forward_cases
import reference

CLIP_CLASSES = {c.__name__: c for c in (CLIPTextModel, CLIPTextModelWithProjection)}


def make_inputs(spec, seed):
    rng = np.random.default_rng(seed)
    inputs = {}
    for name, value in spec.items():
        if isinstance(value, tuple):
            kind, shape = value
            value = (rng.standard_normal(shape) if kind == "normal" else rng.uniform(-1, 1, shape))
            value = value.astype(np.float32)
        inputs[name] = value
    return inputs


def unet_forward(model, inputs):
    added = {k: v for k, v in inputs.items() if k in ("text_embeds", "time_ids")}
    plain = {k: v for k, v in inputs.items() if k not in added}
    return {"sample": model(**plain, added_cond_kwargs=added or None).sample}


def pooled(tokens, grid, weight):
    """Image tokens (n, heads, h * w, c) to cells, by one weight (d, d) for all: CLEAR's further keys."""
    d, (h, w) = len(weight), grid
    cells = tokens.unflatten(2, (h // d, d, w // d, d))
    return torch.einsum("nhyixjc,ij->nhyxc", cells, weight.to(tokens)).flatten(2, 3)


@contextlib.contextmanager
def masked_attention(attention, pooling=(None,)):
    """PyTorch's attention with the mask of a local operator, whatever the text beside the image.
    `pooling`: the weights of each layer in turn, where the operator pools."""
    plain = torch.nn.functional.scaled_dot_product_attention
    calls = itertools.cycle(pooling)

    def masked(query, key, value, **_):
        tokens, image = query.shape[2], len(attention["near"])
        begin = tokens - image if attention["text_first"] else 0
        mask = torch.ones(tokens, tokens, dtype=torch.bool)
        mask[begin:begin + image, begin:begin + image] = torch.from_numpy(attention["near"])
        weight, n = next(calls), tokens
        if attention["down"] > 1:
            here = slice(begin, begin + image)
            key, value = (torch.cat([x, pooled(x[:, :, here], attention["grid"], weight)], 2)
                          for x in (key, value))
            mask = torch.nn.functional.pad(mask, (0, key.shape[2] - tokens))
            mask[here, tokens:] = True
            n = 10 * tokens
        scale = None
        if attention["proportional"]:
            scale = math.sqrt(math.log(n, 4608) / query.shape[3])
        return plain(query, key, value, attn_mask=mask, scale=scale)

    torch.nn.functional.scaled_dot_product_attention = masked if attention else plain
    try:
        yield
    finally:
        torch.nn.functional.scaled_dot_product_attention = plain


def transformer_forward(model, inputs):
    batch = inputs["hidden_states"].shape[0]
    inputs = {k: v.expand(batch) if k in ("timestep", "guidance") else v for k, v in inputs.items()}
    with reference.rotary_factor(inputs.pop("ntk_factor", 1)):
        return {"sample": model(**inputs).sample}


def vae_forward(model, inputs):
    if "z" in inputs:
        return {"sample": model.decode(inputs["z"]).sample}
    posterior = model.encode(inputs["x"]).latent_dist
    return {"mean": posterior.mean, "logvar": posterior.logvar}


def clip_forward(model, inputs):
    output = model(**inputs, output_hidden_states=True)
    pooled = "text_embeds" if hasattr(output, "text_embeds") else "pooler_output"
    outputs = {"last_hidden_state": output.last_hidden_state, pooled: output[pooled]}
    outputs.update({f"hidden_states.{k}": h for k, h in enumerate(output.hidden_states)})
    return outputs


def diffusers_config(model, sparse, config):
    if sparse:
        return {"_class_name": type(model).__name__, "_diffusers_version": "0.6.0", **config}
    return json.loads(model.to_json_string())


def transformers_config(model, config):
    if "transformers_version" in config:  # an old file, as it stands
        return {"architectures": [type(model).__name__], **config}
    model.config.architectures = [type(model).__name__]
    return json.loads(model.config.to_json_string())


def write_case(root, name, dtype, model, config, shapes, specs, forward, keep=lambda k: True,
               least=5e-4, pooling=(None,)):
    folder = reference.fresh_folder(os.path.join(root, name))
    tensors, runs, effects = {}, [], {}
    for r, spec in enumerate(specs):
        attention = spec.get("attention")
        inputs = make_inputs({k: v for k, v in spec.items() if k != "attention"}, seed=1000 + r)
        torch_inputs = {k: torch.from_numpy(v) for k, v in inputs.items()}
        with masked_attention(attention, pooling):
            outputs, errors = reference.run(model, forward, torch_inputs, effects)
        tensors.update({f"{r}.in.{k}": v for k, v in inputs.items()})
        tensors.update({f"{r}.out.{k}": v.float().numpy().copy() for k, v in outputs.items()})
        runs.append({"inputs": sorted(inputs), "reference_f32_error": errors})
        if attention:
            runs[-1]["attention"] = "*: " + attention["plan"]
    reference.check_effects(name, {k: v for k, v in effects.items() if keep(k)}, least)
    reference.write_json(os.path.join(folder, "config.json"), config)
    reference.write_shapes(os.path.join(folder, "tensors.json"), shapes)
    reference.write_json(os.path.join(folder, "case.json"), {
        "class": config.get("_class_name", type(model).__name__), "dtype": dtype.lower(), "seed": 1000, "runs": runs,
        "versions": reference.versions()})
    save_file(tensors, os.path.join(folder, "io.safetensors"))
    rms = {k: float(v.double().pow(2).mean().sqrt()) for k, v in outputs.items()}
    print(f"{name}: {sum(np.prod(s) for s in shapes.values())} weights, rms {rms}, f32 {errors}")


def make_unets(root):
    for name, dtype, sparse, config, runs in forward_cases.UNETS:
        model = UNet2DConditionModel.from_config(config)
        shapes = reference.fill(model, dtype)
        write_case(root, name, dtype, model, diffusers_config(model, sparse, config), shapes, runs,
                   unet_forward)


def make_vaes(root):
    for name, dtype, sparse, names, config, runs in forward_cases.VAES:
        model = AutoencoderKL.from_config(config)
        file_name = reference.old_attention_name if names == "old" else lambda n: n
        shapes = reference.fill(model, dtype, file_name)
        write_case(root, name, dtype, model, diffusers_config(model, sparse, config), shapes, runs,
                   vae_forward)


def make_clips(root):
    for name, dtype, class_name, prefix, config, runs in forward_cases.CLIPS:
        model = CLIP_CLASSES[class_name](CLIPTextConfig(**config))

        def file_name(parameter, prefix=prefix):
            return parameter if parameter.startswith("text_") else prefix + parameter

        shapes = reference.fill(model, dtype, file_name)
        write_case(root, name, dtype, model, transformers_config(model, config), shapes, runs,
                   clip_forward)


def make_transformers(root):
    for name, dtype, class_name, sparse, config, runs in forward_cases.TRANSFORMERS:
        classes = (DiTTransformer2DModel, FluxTransformer2DModel, SD3Transformer2DModel)
        cls = next(c for c in classes if c.__name__.endswith(class_name))  # old files: the end alone
        model = cls(**{k: v for k, v in config.items() if k not in forward_cases.OLD_FIELDS})
        shapes = reference.fill(model, dtype)
        pooling = [None]
        if name in forward_cases.POOLED:
            shape = forward_cases.POOLED[name]
            sites = [f"{list_}.{i}.attn.processor.spatial_weight"
                     for list_ in ("transformer_blocks", "single_transformer_blocks")
                     for i in range(len(getattr(model, list_)))]
            shapes.update({site: shape for site in sites})
            pooling = [torch.from_numpy(formula.weight(site, shape, dtype)).squeeze()
                       for site in sites]
        written = dict(diffusers_config(model, sparse, config), _class_name=class_name)
        # The text ends with the last joint block: its queries there are read by nothing.
        last = len(model.transformer_blocks) - 1
        unread = re.compile(rf"^transformer_blocks\.{last}\.attn\.(add_q_proj|norm_added_q)|_ids$")
        write_case(root, name, dtype, model, written, shapes, runs, transformer_forward,
                   keep=lambda k, unread=unread: not unread.search(k), pooling=pooling)


def make_formula_samples(path):
    """A few tensors in full: the C++ twin of the formula is compared with them bit by bit."""
    shapes = {
        "conv_in.weight": [5, 3, 3, 3], "conv_in.bias": [5], "norm1.weight": [17],
        "pos_embed.pos_embed": [1, 4, 6],
        "text_model.embeddings.token_embedding.weight": [9, 4], "proj.weight": [7, 11], "": [1]}
    types = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    save_torch_file({f"{dtype}:{name}": torch.from_numpy(formula.weight(name, shape)).to(kind)
                     for name, shape in shapes.items() for dtype, kind in types.items()}, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--out", default=os.path.join(here, "../../tests/golden"))
    parser.add_argument("--only", default="unet vae clip transformer", help="kinds of cases to make")
    args = parser.parse_args()
    make_formula_samples(os.path.join(args.out, "formula.safetensors"))
    makers = {"unet": make_unets, "vae": make_vaes, "clip": make_clips,
              "transformer": make_transformers}
    for kind in args.only.split():
        makers[kind](os.path.join(args.out, "forward"))


if __name__ == "__main__":
    main()
