"""Writes tests/golden/transformer_names/cases.json: where diffusers' converters take each tensor of
SD3's and FLUX's transformers from, in the original files.

Every row of a tiny checkpoint holds its own number, so that the converted rows tell their source:
[file's tensor, first row, rows, rows of the whole, whether the second half comes first].
"""

import json
import pathlib

import torch
from diffusers.loaders import single_file_utils as convert

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/transformer_names/cases.json"


def pair(name, rows):
    return {name + ".weight": rows, name + ".bias": rows}


def sd3(blocks, qk_norm, dual, d=6):
    shapes = {"pos_embed": 1, **pair("x_embedder.proj", d), **pair("context_embedder", d)}
    for part in ("t_embedder", "y_embedder"):
        shapes |= pair(part + ".mlp.0", d) | pair(part + ".mlp.2", d)
    for i in range(blocks):
        last = i == blocks - 1
        for side in ("x_block", "context_block"):
            block, ends = f"joint_blocks.{i}.{side}", last and side == "context_block"
            attentions = ["attn"] + (["attn2"] if side == "x_block" and i < dual else [])
            for attn in attentions:
                shapes |= pair(f"{block}.{attn}.qkv", 3 * d)
                if qk_norm:
                    shapes |= {f"{block}.{attn}.ln_q.weight": 4, f"{block}.{attn}.ln_k.weight": 4}
                if not ends:
                    shapes |= pair(f"{block}.{attn}.proj", d)
            shapes |= pair(block + ".adaLN_modulation.1", (2 if ends else 9 if len(attentions) == 2 else 6) * d)
            if not ends:
                shapes |= pair(block + ".mlp.fc1", 4 * d) | pair(block + ".mlp.fc2", d)
    return shapes | pair("final_layer.linear", 8) | pair("final_layer.adaLN_modulation.1", 2 * d)


def flux(double, single, guidance, d=3072):  # a width that the converter has built in
    shapes = pair("img_in", d) | pair("txt_in", d)
    for part in ("time_in", "vector_in") + (("guidance_in",) if guidance else ()):
        shapes |= pair(part + ".in_layer", d) | pair(part + ".out_layer", d)
    for i in range(double):
        for side in ("img", "txt"):
            block = f"double_blocks.{i}.{side}"
            shapes |= pair(block + "_mod.lin", 6 * d) | pair(block + "_attn.qkv", 3 * d)
            shapes |= {f"{block}_attn.norm.{k}_norm.scale": 4 for k in ("query", "key")}
            shapes |= pair(block + "_attn.proj", d) | pair(block + "_mlp.0", 4 * d) | pair(block + "_mlp.2", d)
    for i in range(single):
        block = f"single_blocks.{i}"
        shapes |= pair(block + ".modulation.lin", 3 * d) | pair(block + ".linear1", 7 * d) | pair(block + ".linear2", d)
        shapes |= {f"{block}.norm.{k}_norm.scale": 4 for k in ("query", "key")}
    return shapes | pair("final_layer.linear", 8) | pair("final_layer.adaLN_modulation.1", 2 * d)


def trace(converter, shapes, prefix):
    names = sorted(shapes)
    tensors = {prefix + name: torch.stack([torch.full((rows,), float(i), dtype=torch.float64),
                                           torch.arange(rows, dtype=torch.float64)], 1)
               for i, (name, rows) in enumerate((n, shapes[n]) for n in names)}
    out = {}
    for name, value in converter(tensors).items():
        rows = value.reshape(-1, 2)
        source = names[int(rows[0, 0])]
        assert (rows[:, 0] == rows[0, 0]).all()
        order, total = rows[:, 1].long(), shapes[source]
        swapped = len(order) == total and total > 1 and int(order[0]) == total // 2
        first = 0 if swapped else int(order[0])
        expected = torch.arange(total).roll(total // 2) if swapped else torch.arange(first, first + len(order))
        assert (order == expected).all(), name
        out[name] = [source, first, len(order), total, swapped]
    return out


def main():
    to_sd3 = convert.convert_sd3_transformer_checkpoint_to_diffusers
    to_flux = convert.convert_flux_transformer_checkpoint_to_diffusers
    plain, ours = "", "model.diffusion_model."
    cases = [
        {"module": "sd3", "blocks": 2, "tensors": trace(to_sd3, sd3(2, False, 0), ours)},
        {"module": "sd3", "blocks": 3, "tensors": trace(to_sd3, sd3(3, True, 2), plain)},
        {"module": "flux", "blocks": 2, "tensors": trace(to_flux, flux(2, 2, True), ours)},
        {"module": "flux", "blocks": 1, "tensors": trace(to_flux, flux(1, 1, False), plain)},
    ]
    with open(OUT, "w", encoding="utf-8") as file:
        lines = [json.dumps(case, sort_keys=True, separators=(",", ":")) for case in cases]
        file.write("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
