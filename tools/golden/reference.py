"""Reference models in diffusers and transformers with formula weights, run in f64 and f32."""

import contextlib
import json
import os
import re

import numpy as np
import torch
import diffusers
import safetensors
import transformers

import formula

torch.set_num_threads(1)  # tiny tensors; and sums in one order whatever the machine

# A bias of keys shifts every score of a row alike: softmax does not see it.
INVISIBLE = re.compile(r"(to_k|k_proj)\.bias$")
OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def versions():
    return {m.__name__: m.__version__ for m in (diffusers, np, safetensors, torch, transformers)}


def old_attention_name(name):
    """Names of the VAE's attention in checkpoints from before diffusers 0.15."""
    return re.sub(
        r"(attentions\.\d+\.)(to_q|to_k|to_v|to_out\.0)\.",
        lambda m: m.group(1) + OLD_ATTENTION[m.group(2)] + ".",
        name,
    )


def fill(model, dtype="F32", file_name=lambda name: name):
    """Sets every parameter by the formula under its name in the file; returns {file name: shape}."""
    shapes = {}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            stored = file_name(name)
            shapes[stored] = list(parameter.shape)
            parameter.copy_(torch.from_numpy(formula.weight(stored, parameter.shape, dtype)))
        for name, buffer in model.named_buffers():
            if name == "pos_embed.pos_embed":  # SD3 stores its positions, DiT computes them
                if name in model.state_dict():
                    shapes[name] = list(buffer.shape)
                    buffer.copy_(torch.from_numpy(formula.weight(name, buffer.shape, dtype)))
                continue
            assert name.endswith("position_ids"), f"a buffer that is no weight: {name}"
    model.eval()
    return shapes


@contextlib.contextmanager
def rotary_factor(factor):
    """FLUX's positions with diffusers' ntk_factor, which its class leaves at 1."""
    module = diffusers.models.transformers.transformer_flux
    plain = module.get_1d_rotary_pos_embed
    module.get_1d_rotary_pos_embed = lambda *a, **b: plain(*a, **b, ntk_factor=float(factor))
    try:
        yield
    finally:
        module.get_1d_rotary_pos_embed = plain


def as_f64(inputs):
    return {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}


def check_stays_f64(model, forward, inputs):
    """A module that computes in f32 on the way would make the reference no better than we are."""
    seen = []

    def hook(module, _, output):
        for value in output if isinstance(output, tuple) else (output,):
            if isinstance(value, torch.Tensor) and value.dtype in (torch.float32, torch.float16):
                seen.append(type(module).__name__)

    handles = [module.register_forward_hook(hook) for module in model.modules()]
    with torch.no_grad():
        forward(model, as_f64(inputs))
    for handle in handles:
        handle.remove()
    # The sinusoids of time steps and the angles of rotary positions are f32 by definition.
    assert set(seen) <= {"Timesteps", "FluxPosEmbed"}, f"computed in f32: {sorted(set(seen))}"


def measure_effects(model, forward, inputs, effects):
    """Raises effects[name] to how far each parameter and float input moves the outputs."""
    inputs = {k: v.requires_grad_() if v.is_floating_point() and k not in ("timestep", "ntk_factor") else v
              for k, v in as_f64(inputs).items()}
    outputs = forward(model, inputs)
    total = sum((o * torch.from_numpy(formula.uniform("probe." + k, o.numel())).view_as(o)).sum()
                for k, o in sorted(outputs.items()))
    named = list(model.named_parameters()) + [(k, v) for k, v in inputs.items() if v.requires_grad]
    gradients = torch.autograd.grad(total, [v for _, v in named], allow_unused=True)
    size = sum(o.detach().norm() ** 2 for o in outputs.values()) ** 0.5
    for (name, value), gradient in zip(named, gradients):
        effect = 0.0 if gradient is None else float((gradient * value.detach()).norm() / size)
        effects[name] = max(effects.get(name, 0.0), effect)


def check_effects(case, effects, least=5e-4):
    """What moves nothing is not tested: such a case would prove less than it seems to."""
    weak = {k: v for k, v in effects.items() if not v > least and not INVISIBLE.search(k)}
    if weak:
        raise SystemExit(f"{case}: these hardly move the outputs: {weak}")


def run(model, forward, inputs, effects):
    """Outputs in f64, and per output the largest difference that f32 makes; updates `effects`."""
    with torch.no_grad():
        single = forward(model.float(), inputs)
        model.double()
        check_stays_f64(model, forward, inputs)
        double = forward(model, as_f64(inputs))
    measure_effects(model, forward, inputs, effects)
    errors = {k: float((single[k].double() - double[k]).abs().max()) for k in double}
    return double, errors


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def write_shapes(path, shapes):
    """tensors.json: name -> shape, one tensor a line."""
    with open(path, "w", encoding="utf-8") as file:
        lines = [f"{json.dumps(name)}:{json.dumps(shape, separators=(',', ':'))}"
                 for name, shape in sorted(shapes.items())]
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


def fresh_folder(path):
    os.makedirs(path, exist_ok=True)
    for name in os.listdir(path):
        os.remove(os.path.join(path, name))
    return path
