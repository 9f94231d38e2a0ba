"""Writes a Stable Diffusion 1.5 folder as one file in the original ("ldm") names.

    python3 tools/ldm_file.py --model DIR --out FILE.safetensors

For peers that read nothing else (bench/compare.py --sd-cli-model). Weights keep their bytes; needs
nothing but Python.
"""

import argparse
import json
import os
import sys
import types

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden"))
import ldm_layout  # noqa: E402

OLD_ATTENTION = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.",
                 ".proj_attn.": ".to_out.0."}


def read_header(path):
    """Name -> (file, dtype, shape, offset of the first byte, bytes) of one safetensors file."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {name: (path, each["dtype"], each["shape"], 8 + length + each["data_offsets"][0],
                   each["data_offsets"][1] - each["data_offsets"][0])
            for name, each in header.items()}


def component(folder, name, rename=lambda key: key):
    part = os.path.join(folder, name)
    files = [each for each in sorted(os.listdir(part)) if each.endswith(".safetensors")]
    if len(files) != 1:
        raise SystemExit(f"{part}: {len(files)} safetensors files, expected one")
    with open(os.path.join(part, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    tensors = {rename(key): value for key, value in
               read_header(os.path.join(part, files[0])).items()}
    return tensors, config


def modern(key):
    for old, new in OLD_ATTENTION.items():
        key = key.replace(old, new)
    return key


def in_file(tensors, convert):
    """Original name -> tensor: the layout of shapes, walked with a name in each shape's place."""
    marked = {name: types.SimpleNamespace(shape=[name]) for name in tensors}
    return {theirs: tensors[mark[0]] for theirs, mark in convert(marked).items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, metavar="DIR")
    parser.add_argument("--out", required=True, metavar="FILE")
    args = parser.parse_args()
    unet, unet_config = component(args.model, "unet")
    vae, vae_config = component(args.model, "vae", modern)
    text, _ = component(args.model, "text_encoder")
    tensors = {
        **in_file(unet, lambda state: ldm_layout.unet_names(state, unet_config)),
        **in_file(vae, lambda state: ldm_layout.vae_names(state, vae_config)),
        **in_file(text, lambda state: ldm_layout.clip_names(state,
                                                            "cond_stage_model.transformer."))}
    if len(tensors) != len(unet) + len(vae) + len(text):
        raise SystemExit(f"{args.model}: not the layers of Stable Diffusion 1.5")
    header, offset = {}, 0
    for name, (_, dtype, shape, _, size) in tensors.items():
        if ".mid.attn_1." in name and len(shape) == 2:
            shape = shape + [1, 1]  # matrices are 1x1 filters there
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(args.out, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for path, _, _, begin, size in tensors.values():
            with open(path, "rb") as file:
                file.seek(begin)
                out.write(file.read(size))


if __name__ == "__main__":
    main()
