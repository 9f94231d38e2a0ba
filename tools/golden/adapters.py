"""Makes tests/golden/adapters: what LyCORIS, PEFT and diffusers make of adapter files.

Needs peft and lycoris-lora beside requirements.txt.
layers.safetensors, layers.json: one layer each, as "CASE/base", "CASE/want" (the weight with the
adapter, and "CASE/want_bias") and "CASE/file/NAME", the file's tensors; read off the adapter's own
forward pass on unit inputs, in f64. peft_*: folders as PEFT writes them, with the same two tensors
in layers.safetensors. NAME.safetensors, networks.json, io.safetensors: files for the tiny networks
of tests/golden/forward under every naming, and the outputs of the first run of each, in f64.
"""

import inspect
import json
import os
import re
import shutil

import numpy as np
import peft
import torch
from diffusers import FluxPipeline, FluxTransformer2DModel, SD3Transformer2DModel, StableDiffusion3Pipeline
from diffusers.loaders import lora_conversion_utils, single_file_utils
from lycoris.functional.general import weight_decompose
from lycoris.modules import get_module, make_module
from lycoris.modules.diag_oft import oft_diff_weight
from lycoris.modules.ia3 import IA3Module
from lycoris.modules.lokr import kron_weight
from safetensors.numpy import load_file, save_file
from transformers import T5Config, T5EncoderModel

import forward
import formula
import reference

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "../../tests/golden")
OUT = os.path.join(GOLDEN, "adapters")
LAYER = "lora_unet_mid_block_attentions_0_proj_in"
PATH = "mid_block.attentions.0.proj_in"
LINEAR, CONV = (12, 10), (8, 6, 3, 3)


def normal(rng, *shape, size=0.5):
    return (size * rng.standard_normal(shape)).astype(np.float32)


def bare_layer(rng, shape):
    """A layer without padding, with a bias, in f64."""
    layer = (torch.nn.Linear(shape[1], shape[0]) if len(shape) == 2
             else torch.nn.Conv2d(shape[1], shape[0], shape[2]))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(normal(rng, *shape)))
        layer.bias.copy_(torch.from_numpy(normal(rng, shape[0])))
    return layer.double()


def read_off(module, shape):
    """The weight and the bias that a module acts with."""
    size = int(np.prod(shape[1:]))
    inputs = torch.cat([torch.zeros(1, size), torch.eye(size)]).double()
    with torch.no_grad():
        out = module(inputs.view(-1, *shape[1:])).reshape(size + 1, shape[0])
    return (out[1:] - out[0]).T.reshape(shape).numpy(), out[0].numpy()


# name -> shape, tensors by name, alpha, strength
def lycoris_cases(rng):
    n = lambda *shape: normal(rng, *shape)
    r, conv = 3, (3, 3, 3, 3)
    loha = {"hada_w1_a": n(12, r), "hada_w1_b": n(r, 10), "hada_w2_a": n(12, r), "hada_w2_b": n(r, 10)}
    lokr = {"lokr_w1": n(3, 2), "lokr_w2_a": n(4, 2), "lokr_w2_b": n(2, 5)}
    lora = {"lora_down.weight": n(r, 10), "lora_up.weight": n(12, r)}
    lora_conv = {"lora_down.weight": n(r, 6, 3, 3), "lora_up.weight": n(8, r, 1, 1)}
    return {
        "loha": (LINEAR, loha, 2.0, 0.8),
        "loha_conv": (CONV, {"hada_w1_a": n(8, r), "hada_w1_b": n(r, 54), "hada_w2_a": n(8, r),
                             "hada_w2_b": n(r, 54)}, 1.5, 1.0),
        "loha_tucker": (CONV, {"hada_w1_a": n(r, 8), "hada_w1_b": n(r, 6), "hada_w2_a": n(r, 8),
                               "hada_w2_b": n(r, 6), "hada_t1": n(*conv), "hada_t2": n(*conv)}, 1.0, -0.5),
        "lokr": (LINEAR, lokr, 1.0, 1.0),
        "lokr_both_low": (LINEAR, {"lokr_w1_a": n(3, 1), "lokr_w1_b": n(1, 2), "lokr_w2_a": n(4, 1),
                                   "lokr_w2_b": n(1, 5)}, 2.0, 0.7),
        "lokr_whole": (LINEAR, {"lokr_w1": n(3, 2), "lokr_w2": n(4, 5)}, 5.0, 0.6),
        "lokr_conv": (CONV, {"lokr_w1": n(2, 2), "lokr_w2_a": n(4, 1), "lokr_w2_b": n(1, 27)}, 1.0, 1.0),
        "lokr_conv_whole": (CONV, {"lokr_w1": n(2, 2), "lokr_w2": n(4, 3, 3, 3)}, 1.0, 1.0),
        "lokr_tucker": (CONV, {"lokr_w1": n(2, 2), "lokr_w2_a": n(1, 4), "lokr_w2_b": n(1, 3),
                               "lokr_t2": n(1, 1, 3, 3)}, 2.0, 1.0),
        "full": (LINEAR, {"diff": n(12, 10), "diff_b": n(12)}, None, 0.4),
        "full_conv": (CONV, {"diff": n(8, 6, 3, 3)}, None, 1.0),
        "dora_out": (LINEAR, lora | {"dora_scale": 1 + n(12, 1)}, 2.0, 1.0),
        "dora_out_half": (LINEAR, lora | {"dora_scale": 1 + n(12, 1)}, 2.0, 0.5),
        "dora_in": (LINEAR, lora | {"dora_scale": 1 + n(1, 10)}, 2.0, 1.0),
        "dora_conv_out": (CONV, lora_conv | {"dora_scale": 1 + n(8, 1, 1, 1)}, 1.0, 1.0),
        "dora_conv_in": (CONV, lora_conv | {"dora_scale": 1 + n(1, 6, 1, 1)}, 1.0, 1.0),
        "dora_loha": (LINEAR, loha | {"dora_scale": 1 + n(12, 1)}, 1.0, 1.0),
        "dora_lokr": (LINEAR, lokr | {"dora_scale": 1 + n(1, 10)}, 1.0, 1.0),
        "ia3_out": (LINEAR, {"weight": n(12), "on_input": np.array(0, np.int64)}, None, 0.8),
        "ia3_in": (LINEAR, {"weight": n(10), "on_input": np.array(True)}, None, 1.0),
        "ia3_conv_in": (CONV, {"weight": n(1, 6, 1, 1), "on_input": np.array(1, np.int64)}, None, 1.0),
        "oft": (LINEAR, {"oft_blocks": n(3, 4, 4)}, 0.0, 1.0),
        "oft_bound": (LINEAR, {"oft_blocks": n(3, 4, 4)}, 0.05, 1.0),
        "oft_conv_rescaled": (CONV, {"oft_blocks": n(2, 4, 4), "rescale": 1 + n(8, 1, 1, 1)}, 0.0, 1.0),
    }


def lycoris_layer(rng, shape, tensors, alpha, strength):
    base = bare_layer(rng, shape)
    file = dict(tensors)
    if alpha is not None:
        file["alpha"] = np.array(alpha, np.float32)
    weight, bias = (base.weight.detach().numpy().copy(), base.bias.detach().numpy().copy())
    lokr = {k: torch.from_numpy(v).double() for k, v in tensors.items() if k.startswith("lokr")}
    state = {f"{LAYER}.{k}": torch.from_numpy(np.asarray(v)) for k, v in file.items() if k != "dora_scale"}
    if "on_input" in tensors:
        adapter = IA3Module(LAYER, base, 1, train_on_input=bool(tensors["on_input"]))
        adapter.weight.data.copy_(state[LAYER + ".weight"])
    elif lokr:
        # Modules choose their shapes by themselves; LyCORIS' functions take any.
        low = [v for k, v in lokr.items() if k.endswith("_b")]
        whole = kron_weight(*(lokr.get("lokr_" + k) for k in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")),
                            scale=alpha / len(low[0]) if low else 1)
        adapter, want = None, ((base.weight.detach() + whole.view(shape)).numpy(), bias)
    elif "oft_blocks" in tensors:
        rescale = torch.from_numpy(tensors["rescale"]) if "rescale" in tensors else None
        delta = oft_diff_weight(base.weight.detach().float(), torch.from_numpy(tensors["oft_blocks"]), rescale,
                                constraint=alpha * shape[0])  # inverts in f32 only
        adapter, want = None, ((base.weight.detach() + delta).numpy(), bias)
    else:
        adapter = make_module(*get_module(state, LAYER), LAYER, base)
    if adapter is not None:
        adapter.double().eval().apply_to()
        want = read_off(base, shape)
    if "dora_scale" in tensors:
        scale = torch.from_numpy(tensors["dora_scale"]).double()
        merged = weight_decompose(torch.from_numpy(want[0]), scale, 1, scale.shape[0] == shape[0])
        want = (merged.numpy(), want[1])
    # LyCORIS folds a strength into the norm of DoRA; A1111 and ComfyUI interpolate, and so do we.
    want = [b + strength * (w - b) for w, b in zip(want, (weight, bias))]
    names = {f"file/{LAYER}.{k}": np.asarray(v) for k, v in file.items()}
    return {"base": weight, "base_bias": bias, "want": want[0], "want_bias": want[1], **names}


PEFT_CASES = {  # name -> shape, options
    "peft_rslora": (LINEAR, dict(r=4, lora_alpha=6, use_rslora=True)),
    "peft_pattern": (LINEAR, dict(r=4, lora_alpha=6, rank_pattern={"proj_in": 2},
                                  alpha_pattern={r"mid_block.*\.proj_in": 5, "proj_out": 7})),
    "peft_bias": (LINEAR, dict(r=3, lora_alpha=2, lora_bias=True)),
    "peft_dora": (LINEAR, dict(r=3, lora_alpha=4, use_dora=True)),
    "peft_dora_conv": (CONV, dict(r=2, lora_alpha=4, use_dora=True)),
}


class Nested(torch.nn.Module):
    """A layer at PATH."""

    def __init__(self, layer):
        super().__init__()
        self.mid_block = torch.nn.Module()
        inner = torch.nn.Module()
        inner.proj_in = layer
        self.mid_block.attentions = torch.nn.ModuleList([inner])

    def forward(self, x):
        return self.mid_block.attentions[0].proj_in(x)


def peft_layer(rng, name, shape, options):
    model = Nested(bare_layer(rng, shape))
    base = model.mid_block.attentions[0].proj_in
    out = {"base": base.weight.detach().numpy().copy(), "base_bias": base.bias.detach().numpy().copy()}
    wrapped = peft.get_peft_model(model, peft.LoraConfig(target_modules=["proj_in"], **options))
    with torch.no_grad():
        for key, parameter in wrapped.named_parameters():
            if "lora_" in key:
                shift = 1 if "magnitude" in key else 0
                parameter.copy_(torch.from_numpy(shift + normal(rng, *parameter.shape)))
    folder = reference.fresh_folder(os.path.join(OUT, name))
    wrapped.float().save_pretrained(folder)
    os.remove(os.path.join(folder, "README.md"))
    out["want"], out["want_bias"] = read_off(wrapped.double().eval(), shape)
    return out


def network(case):
    """A tiny network of tests/golden/forward with its formula weights, and its first run's inputs."""
    folder = os.path.join(GOLDEN, "forward", case)
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    with open(os.path.join(folder, "case.json"), encoding="utf-8") as file:
        dtype = json.load(file)["dtype"].upper()
    if "_class_name" in config:
        kind = {c.__name__: c for c in (FluxTransformer2DModel, SD3Transformer2DModel)}[config["_class_name"]]
        model = kind.from_config(config)
    else:
        model = T5EncoderModel(T5Config(**config))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(formula.weight(name, parameter.shape, dtype)))
        for name, buffer in model.named_buffers():
            buffer.copy_(torch.from_numpy(formula.weight(name, buffer.shape, dtype)))
    io = load_file(os.path.join(folder, "io.safetensors"))
    inputs = {k[len("0.in."):]: torch.from_numpy(v) for k, v in io.items() if k.startswith("0.in.")}
    return model.eval(), inputs, io["0.out." + ("sample" if "_class_name" in config else "last_hidden_state")]


def run(model, inputs):
    with torch.no_grad():
        if isinstance(model, T5EncoderModel):
            return model(**inputs).last_hidden_state.numpy().copy()
        return forward.transformer_forward(model, inputs)["sample"].numpy().copy()


def original_layers(model):
    """Layers under the original names: (out, in) of each, and diffusers' name of the converter."""
    kind = type(model).__name__
    config = model.config
    d = config.num_attention_heads * config.attention_head_dim
    layers = {}
    if kind.startswith("SD3"):
        for i in range(config.num_layers):
            last = i == config.num_layers - 1
            for side in ("x_block", "context_block"):
                block, ends = f"joint_blocks.{i}.{side}", last and side == "context_block"
                dual = side == "x_block" and i in config.dual_attention_layers
                layers[f"{block}.attn.qkv"] = (3 * d, d)
                if dual:
                    layers[f"{block}.attn2.qkv"], layers[f"{block}.attn2.proj"] = (3 * d, d), (d, d)
                layers[f"{block}.adaLN_modulation.1"] = ((2 if ends else 9 if dual else 6) * d, d)
                if not ends:
                    layers |= {f"{block}.attn.proj": (d, d), f"{block}.mlp.fc1": (4 * d, d),
                               f"{block}.mlp.fc2": (d, 4 * d)}
        layers["final_layer.adaLN_modulation.1"] = (2 * d, d)
        return layers
    for i in range(config.num_layers):
        for side in ("img", "txt"):
            block = f"double_blocks.{i}.{side}"
            layers |= {block + "_mod.lin": (6 * d, d), block + "_attn.qkv": (3 * d, d),
                       block + "_attn.proj": (d, d), block + "_mlp.0": (4 * d, d), block + "_mlp.2": (d, 4 * d)}
    for i in range(config.num_single_layers):
        block = f"single_blocks.{i}"
        layers |= {block + ".modulation.lin": (3 * d, d), block + ".linear1": (7 * d, d),
                   block + ".linear2": (d, 5 * d)}
    return layers | {"final_layer.adaLN_modulation.1": (2 * d, d)}


def converted(model, deltas):
    """What diffusers' converters of whole checkpoints make of differences: they only cut and move."""
    config = model.config
    d = config.num_attention_heads * config.attention_head_dim
    own = {name + ".weight": torch.zeros(shape, dtype=torch.float64)
           for name, shape in original_layers(model).items()}
    own |= {name + ".weight": torch.from_numpy(value) for name, value in deltas.items()}
    for name in [n for n in own if n.endswith(".weight")]:
        own.setdefault(name[:-len("weight")] + "bias", torch.zeros(len(own[name]), dtype=torch.float64))
    if type(model).__name__.startswith("SD3"):
        own["context_embedder.weight"] = torch.zeros(config.caption_projection_dim, 1)
        return single_file_utils.convert_sd3_transformer_checkpoint_to_diffusers(
            Defaults(own, r"x_embedder|t_embedder|y_embedder|context_embedder|final_layer|pos_embed|\.ln_[qk]\."))
    # FLUX's has the width of the published model built in.
    source = inspect.getsource(single_file_utils.convert_flux_transformer_checkpoint_to_diffusers)
    source = source.replace("inner_dim = 3072", f"inner_dim = {d}")
    scope = dict(vars(single_file_utils))
    exec(source, scope)  # pylint: disable=exec-used
    return scope["convert_flux_transformer_checkpoint_to_diffusers"](
        Defaults(own, r"_in\.|final_layer|_norm\.scale"))


class Defaults(dict):
    """A checkpoint in which tensors that no LoRA has are there when they are asked for."""

    def __init__(self, tensors, pattern):
        super().__init__(tensors)
        self.pattern = re.compile(pattern)

    def pop(self, key, *default):
        if key not in self and self.pattern.search(key):
            return torch.zeros(2, 1, dtype=torch.float64)
        return super().pop(key, *default)


def add(model, differences):
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in differences.items():
            if name in parameters and float(value.abs().max()) > 0:
                parameters[name].add_(value.to(parameters[name]).view_as(parameters[name]))


def original_file(rng, model, rename, rank, alpha):
    """A LoRA under original names: the file, and alpha / rank * up @ down of each layer."""
    tensors, deltas = {}, {}
    for layer, (rows, columns) in original_layers(model).items():
        down = (0.2 * rng.standard_normal((rank, columns))).astype(np.float16)
        up = (0.2 * rng.standard_normal((rows, rank))).astype(np.float16)
        kohya = rename == "kohya"
        name = "lora_unet_" + layer.replace(".", "_") if kohya else "diffusion_model." + layer
        tensors[name + (".lora_down.weight" if kohya else ".lora_A.weight")] = down
        tensors[name + (".lora_up.weight" if kohya else ".lora_B.weight")] = up
        if alpha is not None:
            tensors[name + ".alpha"] = np.array(alpha, np.float32)
        factor = 1 if alpha is None else alpha / rank
        deltas[layer] = factor * up.astype(np.float64) @ down.astype(np.float64)
    return tensors, deltas


def xlabs_file(rng, model, rank):
    d = model.config.num_attention_heads * model.config.attention_head_dim
    layers = {}
    for i in range(model.config.num_layers):
        for n in (1, 2):
            layers[f"double_blocks.{i}.processor.qkv_lora{n}"] = (3 * d, d)
            layers[f"double_blocks.{i}.processor.proj_lora{n}"] = (d, d)
    for i in range(model.config.num_single_layers):
        layers[f"single_blocks.{i}.processor.qkv_lora"] = (3 * d, d)
        layers[f"single_blocks.{i}.processor.proj_lora"] = (d, 5 * d)
    tensors = {}
    for name, (rows, columns) in layers.items():
        tensors[name + ".down.weight"] = (0.2 * rng.standard_normal((rank, columns))).astype(np.float16)
        tensors[name + ".up.weight"] = (0.2 * rng.standard_normal((rows, rank))).astype(np.float16)
    return tensors


def peft_network_file(model, path, prefix, alone):
    """Saved by diffusers with an adapter of PEFT's inside, rank-stabilised and with a pattern."""
    config = peft.LoraConfig(r=2, lora_alpha=3, use_rslora=True, alpha_pattern={"transformer_blocks.0.attn.to_k": 1},
                             target_modules=["to_q", "to_k", "to_out.0", "add_v_proj", "net.2"])
    model.add_adapter(config)
    rng = np.random.default_rng(77)
    with torch.no_grad():
        for key, parameter in sorted(model.named_parameters()):
            if "lora_" in key:
                parameter.copy_(torch.from_numpy(normal(rng, *parameter.shape, size=0.2)))
    folder, name = os.path.split(path)
    if alone:
        model.save_lora_adapter(folder, weight_name=name)
        return
    pipeline = FluxPipeline if prefix == "flux" else StableDiffusion3Pipeline
    layers = peft.get_peft_model_state_dict(model)
    pipeline.save_lora_weights(folder, transformer_lora_layers=layers, weight_name=name,
                               transformer_lora_adapter_metadata=model.peft_config["default"].to_dict())


def networks(rng):
    about, io = {}, {}

    def keep(name, case, model, inputs, before):
        single = run(model.float(), inputs)
        double = run(model.double(), reference.as_f64(inputs))
        io[name] = double.astype(np.float32)
        effect = float(np.linalg.norm(io[name] - before) / np.linalg.norm(before))
        print(name, case, effect)
        assert effect > 0.01, name
        about[name] = {"network": case, "reference_f32_error": float(np.abs(single - double).max())}

    for case in ("flux_dev", "sd3", "sd3_dual"):
        for rename, alpha in (("kohya", 1.0), ("dots", None)):
            model, inputs, before = network(case)
            tensors, deltas = original_file(rng, model, rename, 2, alpha)
            save_file(tensors, os.path.join(OUT, f"{case}_{rename}.safetensors"))
            add(model, converted(model, deltas))
            keep(f"{case}_{rename}", case, model, inputs, before)
        for alone in (False, True):
            name = f"{case}_{'alone' if alone else 'pipeline'}"
            model, inputs, before = network(case)
            peft_network_file(model, os.path.join(OUT, name + ".safetensors"), case[:4], alone)
            keep(name, case, model, inputs, before)
    model, inputs, before = network("flux_dev")
    tensors = xlabs_file(rng, model, 2)
    save_file(tensors, os.path.join(OUT, "flux_dev_xlabs.safetensors"))
    state = lora_conversion_utils._convert_xlabs_flux_lora_to_diffusers(
        {k: torch.from_numpy(v) for k, v in tensors.items()})
    deltas = {k[len("transformer."):-len("lora_B.weight")] + "weight":
              v.double() @ state[k.replace("lora_B", "lora_A")].double()
              for k, v in state.items() if "lora_B" in k}
    add(model, deltas)
    keep("flux_dev_xlabs", "flux_dev", model, inputs, before)

    model, inputs, before = network("t5_v1_1")
    tensors = {}
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        if not re.search(r"SelfAttention\.[qkvo]\.weight|DenseReluDense.*weight", name):
            continue
        layer = "lora_te3_" + name[:-len(".weight")].replace(".", "_")
        rows, columns = parameter.shape
        down = (0.2 * rng.standard_normal((2, columns))).astype(np.float16)
        up = (0.2 * rng.standard_normal((rows, 2))).astype(np.float16)
        tensors |= {layer + ".lora_down.weight": down, layer + ".lora_up.weight": up,
                    layer + ".alpha": np.array(1.0, np.float32)}
        add(model, {name: torch.from_numpy(0.5 * up.astype(np.float64) @ down.astype(np.float64))})
    save_file(tensors, os.path.join(OUT, "t5_v1_1_kohya.safetensors"))
    keep("t5_v1_1_kohya", "t5_v1_1", model, inputs, before)
    save_file(io, os.path.join(OUT, "io.safetensors"))
    return about


def main():
    import lycoris
    rng = np.random.default_rng(25)
    torch.manual_seed(25)
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    layers, tensors = {}, {}
    for name, (shape, parts, alpha, strength) in lycoris_cases(rng).items():
        made = lycoris_layer(rng, shape, parts, alpha, strength)
        tensors.update({f"{name}/{k}": v for k, v in made.items()})
        layers[name] = {"path": PATH, "scale": strength}
    for name, (shape, options) in PEFT_CASES.items():
        tensors.update({f"{name}/{k}": v for k, v in peft_layer(rng, name, shape, options).items()})
        layers[name] = {"path": PATH, "scale": 1, "folder": name}
    for name in layers:
        effect = np.abs(tensors[name + "/want"] - tensors[name + "/base"]).max()
        print(name, effect)
        assert effect > 0.05, name
    save_file({k: np.array(v, np.float32 if v.dtype == np.float64 else v.dtype, order="C")
               for k, v in tensors.items()},
              os.path.join(OUT, "layers.safetensors"))
    reference.write_json(os.path.join(OUT, "layers.json"), {
        "cases": layers, "versions": {**reference.versions(), "peft": peft.__version__,
                                      "lycoris": getattr(lycoris, "__version__", "4.1.3")}})
    reference.write_json(os.path.join(OUT, "networks.json"), networks(rng))


if __name__ == "__main__":
    main()
