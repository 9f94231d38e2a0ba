"""Makes tests/golden/vit_gradient: relevance by gradients of the Vision Transformers of
tests/golden/forward, by autograd.

Attention probabilities are kept in the graph (transformers' eager attention; in timm, its unfused one),
one answer is differentiated with respect to all of them, and the published rule is applied with whole
matrices: R = I, then from the first layer to the last R = R + mean over heads of
max(0, gradient * attention) @ R. Answers: a class's logit; of CLIP 100 times the cosine with a vector;
of models without either, for the passes alone, a sum of the pooled output with cosines. In f64, kept in
f32, of sample 0 of each run.
"""

import argparse
import json
import math
import os

import timm
import torch
from safetensors.torch import load_file, save_file

import reference
import vit
import vit_cases

TRANSFORMERS = ["vit_plain", "vit_no_bias", "vit_deit_distilled", "vit_deit_class", "vit_dinov2",
                "vit_dinov2_swiglu", "vit_dinov2_registers", "vit_dinov2_registers_swiglu",
                "vit_clip_projection"]
TIMM = ["vit_timm_plain", "vit_timm_rectangle", "vit_timm_distilled", "vit_timm_deit3",
        "vit_timm_clip", "vit_timm_registers_placed"]


def cosines(count):
    return torch.tensor([math.cos(i) for i in range(count)], dtype=torch.float64)


def answer_of(class_name, output, run):
    """The number that is differentiated, of sample 0."""
    if class_name.startswith("CLIP"):
        vector = cosines(output.shape[-1])
        return 100 * torch.nn.functional.cosine_similarity(output[0], vector, dim=0)
    if class_name.startswith("Dinov2"):
        return output[0] @ cosines(output.shape[-1])
    return output[0, run % output.shape[-1]]


def relevance(attentions, y):
    gradients = torch.autograd.grad(y, attentions)
    n = attentions[0].shape[-1]
    result = torch.eye(n, dtype=torch.float64)
    of_heads = []
    for attention, gradient in zip(attentions, gradients):
        positive = (attention[0] * gradient[0]).clamp(min=0)
        of_heads.append(positive.detach())
        result = result + positive.mean(0) @ result
    return result.detach(), of_heads


def keep(tensors, name, grid, rows, attentions, y):
    """`rows`: the tokens that the answer is read from."""
    result, of_heads = relevance(attentions, y)
    singles = result.shape[0] - grid[0] * grid[1]

    def on_grid(matrix):
        return matrix[rows].mean(0)[singles:].reshape(grid).float().contiguous()

    tensors[f"{name}.map"] = on_grid(result)
    for layer, heads in enumerate(of_heads):
        for head in range(heads.shape[0]):
            tensors[f"{name}.{layer}.{head}"] = on_grid(heads[head])


def of_transformers(root, name, tensors):
    for r, class_name, output, grid in vit.eager_runs(root, name):
        pooled = next(getattr(output, key) for key in ("logits", "image_embeds", "pooler_output")
                      if getattr(output, key, None) is not None)
        rows = [0, 1] if class_name.endswith("WithTeacher") else [0]
        keep(tensors, f"{name}.{r}", grid, rows, output.attentions,
             answer_of(class_name, pooled, r))


def of_timm(root, name, tensors):
    _, dtype, architecture, arguments, runs = next(c for c in vit_cases.TIMM if c[0] == name)
    model = timm.create_model(architecture.split(".")[0], dynamic_img_size=True, **arguments)
    reference.fill(model, dtype)
    model = model.double()
    attentions = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda module, given, _: attentions.append(given[0]))
    inputs = load_file(os.path.join(root, "forward", name, "io.safetensors"))
    for r in range(len(runs)):
        attentions.clear()
        pixels = inputs[f"{r}.in.pixel_values"].double()
        logits = model(pixels)
        patch = arguments["patch_size"]
        grid = [pixels.shape[2] // patch, pixels.shape[3] // patch]
        keep(tensors, f"{name}.{r}", grid, [0, 1] if "distilled" in name else [0], attentions,
             answer_of("timm", logits, r))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--out", default=os.path.join(here, "../../tests/golden"))
    args = parser.parse_args()
    folder = reference.fresh_folder(os.path.join(args.out, "vit_gradient"))
    tensors = {}
    for name in TRANSFORMERS:
        of_transformers(args.out, name, tensors)
    for name in TIMM:
        of_timm(args.out, name, tensors)
    # One file of one row: hundreds of tiny tensors would be mostly header.
    index, flat = {}, []
    for name, value in tensors.items():
        index[name] = list(value.shape)
        flat.append(value.flatten())
    save_file({"values": torch.cat(flat)}, os.path.join(folder, "maps.safetensors"),
              metadata={"versions": json.dumps(reference.versions())})
    with open(os.path.join(folder, "index.json"), "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps([k, *v]) for k, v in index.items()) + "\n]\n")
    print(f"{len(tensors)} maps")


if __name__ == "__main__":
    main()
