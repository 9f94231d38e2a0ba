"""Writes models of full size with random weights: Stable Diffusion 1.5, SDXL, FLUX.1 and SD3.5.

    python3 tools/full_size.py --out DIR [--dtype f16|f32|bf16] [--model sd15|sdxl|flux|sd3]
        [--denoiser-only] [--layers N] [--single-layers N] [--text-layers N]

For timing, memory and loading: configs, tensor names and shapes are the real ones, the weights are
uniform noise scaled by fan-in (activations stay near 1), the vocabularies are synthetic but valid.
--denoiser-only leaves out text encoders, VAE and scheduler; transformers are as deep as asked for.
Needs numpy alone. In f16 SD 1.5 is 2.1 GB, SDXL 6.9 GB, its U-Net 5.1 GB; FLUX's transformer with
2 double and 4 single blocks is 2.7 GB (19 and 38 are the whole, 23.8 GB), SD3.5 medium's with 6
blocks 1.3 GB, T5 9.5 GB (0.6 GB with --text-layers 1; 0 leaves it out of SD3).
"""

import argparse
import json
import math
import os
import zlib

import numpy as np

import full_shapes as full
from full_shapes import CLIP


def random_weight(name, shape):
    """f32. A stream of its own for every name, so that no order or subset changes the values."""
    rng = np.random.Generator(np.random.SFC64(zlib.crc32(name.encode())))
    values = rng.random(math.prod(shape), dtype=np.float32)
    values -= 0.5
    if len(shape) == 1:
        values *= 0.1
        return values + 1 if name.endswith("weight") else values
    values *= 0.1 if name.endswith("embedding.weight") else math.sqrt(12 / math.prod(shape[1:]))
    return values


def stored(values, dtype):
    """The bytes of f32 values in `dtype`, rounded to nearest even."""
    if dtype == "bf16":
        bits = values.view(np.uint32)
        bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        return (bits >> np.uint32(16)).astype(np.uint16)
    return values.astype({"f16": np.float16, "f32": np.float32}[dtype])


def write_safetensors(path, shapes, dtype):
    size = 4 if dtype == "f32" else 2
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        end = offset + size * math.prod(shape)
        header[name] = {"dtype": dtype.upper(), "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            stored(random_weight(name, shape), dtype).tofile(file)


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def write_tokenizer(folder, pad):
    """As many words as CLIP's: 512 byte symbols, then pairs, triples and quadruples of letters."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    letters = "abcdefghijklmnopqrstuvwxyz"
    pairs = [a + b for a in letters for b in letters]
    merges = []
    for end in ("", "</w>"):
        merges += [f"{a} {b}{end}" for a in letters for b in letters]
    for end in ("", "</w>"):
        merges += [f"{pair} {c}{end}" for pair in pairs for c in letters]
    merges += [f"{a} {b}</w>" for a in pairs for b in pairs]
    del merges[CLIP["vocab_size"] - 512 - 2:]
    words = [*symbols, *[s + "</w>" for s in symbols], *[m.replace(" ", "") for m in merges],
             "<|startoftext|>", "<|endoftext|>"]
    assert len(set(words)) == CLIP["vocab_size"]
    write_json(os.path.join(folder, "vocab.json"), {word: i for i, word in enumerate(words)})
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "".join(m + "\n" for m in merges))
    write_json(os.path.join(folder, "tokenizer_config.json"), {**full.TOKENIZER, "pad_token": pad})


def write_t5_tokenizer(folder, words):
    """A unigram model: letters, pairs and triples, then pieces that no text holds."""
    space = "\u2581"
    pieces = [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], [space, -2.0]]
    pieces += [[chr(c), -6.0] for c in range(33, 127)]
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces += [[start + a + b, -7.0] for start in (space, "") for a in letters for b in letters]
    pieces += [[f"{space}{a}{b}{c}", -8.0] for a in letters for b in letters for c in letters]
    pieces += [[f"<{i}>", -20.0] for i in range(words - len(pieces))]
    special = [{"id": i, "content": pieces[i][0], "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": False, "special": True} for i in range(3)]
    end = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    spaces = {"type": "Metaspace", "replacement": space, "prepend_scheme": "always", "split": True}
    write_json(os.path.join(folder, "tokenizer.json"), {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"},
                                                                spaces]},
        "post_processor": {
            "type": "TemplateProcessing", "single": end, "pair": end,
            "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
        "decoder": spaces,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": pieces, "byte_fallback": False}})
    write_json(os.path.join(folder, "tokenizer_config.json"), {
        "eos_token": "</s>", "extra_ids": 0, "model_max_length": 512, "pad_token": "<pad>",
        "tokenizer_class": "T5Tokenizer", "unk_token": "<unk>"})


def components(args):
    """model_index.json, scheduler_config.json, and part -> (config, shapes); the denoiser first."""
    projecting = {**CLIP, "architectures": ["CLIPTextModelWithProjection"]}
    t5 = {**full.T5, "num_layers": full.T5["num_layers"] if args.text_layers is None
          else args.text_layers}
    if args.model in ("sd15", "sdxl"):
        xl = args.model == "sdxl"
        parts = {"unet": full.SDXL_UNET if xl else full.UNET,
                 "vae": full.SDXL_VAE if xl else full.VAE, "text_encoder": CLIP}
        if xl:
            parts["text_encoder_2"] = full.SDXL_CLIP_2
        index, scheduler = ((full.SDXL_INDEX, full.SDXL_SCHEDULER) if xl
                            else (full.INDEX, full.SCHEDULER))
    elif args.model == "flux":
        index, scheduler = full.FLUX_INDEX, full.FLUX_SCHEDULER
        parts = {"transformer": {**full.FLUX, "num_layers": args.layers or 2,
                                 "num_single_layers": args.single_layers},
                 "vae": full.FLUX_VAE, "text_encoder": CLIP, "text_encoder_2": t5}
    else:
        index, scheduler, layers = dict(full.SD3_INDEX), full.SD3_SCHEDULER, args.layers or 6
        # Of 24 blocks the first 13 attend twice.
        twice = list(range(min(13, (layers * 13 + 12) // 24)))
        parts = {"transformer": {**full.SD3, "num_layers": layers, "dual_attention_layers": twice},
                 "vae": full.SD3_VAE, "text_encoder": projecting,
                 "text_encoder_2": full.SDXL_CLIP_2, "text_encoder_3": t5}
        if args.text_layers == 0:
            del parts["text_encoder_3"]
            index.update(text_encoder_3=[None, None], tokenizer_3=[None, None])
    return index, scheduler, parts


def shapes_of(name, config):
    if name.startswith("text_encoder"):
        return full.t5_shapes(config) if "d_model" in config else full.clip_shapes(config)
    return {"AutoencoderKL": full.vae_shapes, "UNet2DConditionModel": full.unet_shapes,
            "FluxTransformer2DModel": full.flux_shapes,
            "SD3Transformer2DModel": full.sd3_shapes}[config["_class_name"]](config)


def write_part(folder, name, config, dtype):
    os.makedirs(folder, exist_ok=True)
    write_json(os.path.join(folder, "config.json"), config)
    shapes = shapes_of(name, config)
    stem = "model" if name.startswith("text_encoder") else "diffusion_pytorch_model"
    write_safetensors(os.path.join(folder, stem + ".safetensors"), shapes, dtype)
    print(f"{folder}: {sum(math.prod(s) for s in shapes.values()) / 1e6:.1f} M weights")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--dtype", choices=["f16", "f32", "bf16"], default="f16")
    parser.add_argument("--model", choices=["sd15", "sdxl", "flux", "sd3"], default="sd15")
    parser.add_argument("--denoiser-only", action="store_true")
    parser.add_argument("--layers", type=int, help="blocks: 2 of FLUX, 6 of SD3")
    parser.add_argument("--single-layers", type=int, default=4, help="single blocks of FLUX: 4")
    parser.add_argument("--text-layers", type=int, help="of T5: 24")
    args = parser.parse_args()
    index, scheduler, parts = components(args)
    if args.denoiser_only:
        name = next(iter(parts))
        write_part(args.out, name, parts[name], args.dtype)
        return
    for name, config in parts.items():
        write_part(os.path.join(args.out, name), name, config, args.dtype)
        if name.startswith("text_encoder"):
            folder = os.path.join(args.out, name.replace("text_encoder", "tokenizer"))
            os.makedirs(folder, exist_ok=True)
            if "d_model" in config:
                write_t5_tokenizer(folder, config["vocab_size"])
            else:  # the second one of SDXL and SD3 fills its windows with "!", the first word
                write_tokenizer(folder, "!" if name.endswith("_2") else "<|endoftext|>")
    os.makedirs(os.path.join(args.out, "scheduler"), exist_ok=True)
    write_json(os.path.join(args.out, "scheduler", "scheduler_config.json"), scheduler)
    write_json(os.path.join(args.out, "model_index.json"), index)


if __name__ == "__main__":
    main()
