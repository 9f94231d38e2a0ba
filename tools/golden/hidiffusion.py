"""Makes tests/golden/hidiffusion: tiny U-Nets under the official HiDiffusion code.

    venv_hd/bin/python tools/golden/hidiffusion.py --official DIR

DIR holds a checkout of github.com/megvii-research/HiDiffusion at e9ec39a; that code needs
diffusers 0.27 (pip install diffusers==0.27.2 huggingface_hub==0.25.2 transformers==4.44.2), so this
script has an environment of its own and is not part of make_all.py. No line of that code is kept,
only what it computes:

  MODEL/config.json, tensors.json   as in tests/golden/forward
  MODEL/case.json                   cases: what was asked for, sizes of all 3x3 convolutions in order
                                    of execution, the quarters of the windows that were drawn, and
                                    the largest difference between f32 and f64
  MODEL/io.safetensors              "in.SIZE.NAME" and "out.CASE" (f64, stored in f32); of whole runs
                                    "out.CASE.STEP", the latents after some steps
  ops.safetensors                   PyTorch's own results for the operations of RAU-Net

The regimes of extreme sizes begin at latents of 256 (SD) and 512 (SDXL). The cases called "extreme"
reach them with small latents: here by handing the official code the numbers of that regime for the
other one, in the tests by a small `sample_size` ("trained" in case.json). That both ways of the
official code are one is checked below.
"""

import argparse
import json
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DConditionModel
from safetensors.torch import save_file

import reference

SEED = 123  # of the windows
CROSS_DOWN, PLAIN_DOWN = "CrossAttnDownBlock2D", "DownBlock2D"
CROSS_UP, PLAIN_UP = "CrossAttnUpBlock2D", "UpBlock2D"

SD = dict(
    block_out_channels=(16, 32, 64, 64), attention_head_dim=2, cross_attention_dim=24,
    norm_num_groups=8, layers_per_block=2, sample_size=64,
    down_block_types=(CROSS_DOWN, CROSS_DOWN, CROSS_DOWN, PLAIN_DOWN),
    up_block_types=(PLAIN_UP, CROSS_UP, CROSS_UP, CROSS_UP))
# The official code knows SDXL by its module names, ten transformer layers in the last level included.
SDXL = dict(
    block_out_channels=(16, 32, 48), attention_head_dim=(2, 4, 6), cross_attention_dim=24,
    norm_num_groups=8, layers_per_block=2, sample_size=128, use_linear_projection=True,
    transformer_layers_per_block=(1, 2, 10), addition_embed_type="text_time",
    addition_time_embed_dim=8, projection_class_embeddings_input_dim=64,
    down_block_types=(PLAIN_DOWN, CROSS_DOWN, CROSS_DOWN),
    up_block_types=(CROSS_UP, CROSS_UP, PLAIN_UP))
MODELS = {"sd": SD, "sdxl": SDXL, "sdxl_inpaint": dict(SDXL, in_channels=9)}

NAMES = {"sd": "a/derivative", "sdxl": "another/derivative",
         "sdxl-plain": "diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
         "sdxl-turbo": "stabilityai/sdxl-turbo"}
EXTREME_KEYS = {"sd": ("sd15_1024", "sd15_2048"), "sdxl": ("sdxl_2048", "sdxl_4096"),
                "sdxl-plain": ("sdxl_2048", "sdxl_4096")}


def case(schedule, size, step, steps, extreme=False, raunet=True, windows=True, batch=1):
    return dict(schedule=schedule, size=size, step=step, steps=steps, extreme=extreme,
                raunet=raunet, windows=windows, batch=batch)


SQUARE, WIDE, ODD = (32, 32), (32, 48), (33, 47)

CASES = {
    "sd": [
        case("sd", WIDE, 0, 10), case("sd", WIDE, 3, 10), case("sd", WIDE, 4, 10),
        case("sd", SQUARE, 1, 10, batch=2), case("sd", ODD, 2, 10), case("sd", ODD, 9, 10),
        case("sd", WIDE, 2, 10, extreme=True), case("sd", WIDE, 5, 10, extreme=True),
        case("sd", SQUARE, 7, 10, extreme=True), case("sd", ODD, 1, 4, extreme=True),
        case("sd", ODD, 0, 4, extreme=True),
        case("sd", WIDE, 0, 10, raunet=False), case("sd", WIDE, 0, 10, windows=False),
        case("sd", ODD, 0, 10, extreme=True, windows=False)],
    "sdxl": [
        case("sdxl", WIDE, 0, 10), case("sdxl", WIDE, 1, 10), case("sdxl", WIDE, 4, 10),
        case("sdxl", SQUARE, 3, 10, batch=2), case("sdxl", ODD, 0, 10), case("sdxl", ODD, 2, 10),
        case("sdxl", WIDE, 2, 10, extreme=True), case("sdxl", WIDE, 6, 10, extreme=True),
        case("sdxl", ODD, 0, 4, extreme=True), case("sdxl", SQUARE, 7, 10, extreme=True),
        case("sdxl", WIDE, 1, 10, raunet=False), case("sdxl", ODD, 1, 10, windows=False),
        case("sdxl-turbo", SQUARE, 1, 4), case("sdxl-turbo", ODD, 0, 4),
        case("sdxl-turbo", SQUARE, 2, 4)],
    "sdxl_inpaint": [
        case("sdxl-plain", SQUARE, 0, 10), case("sdxl-plain", SQUARE, 4, 10),
        case("sdxl-plain", ODD, 0, 10, extreme=True)],
}
LOOPS = {"sd": [case("sd", WIDE, 0, 10, batch=2)], "sdxl": [case("sdxl", SQUARE, 0, 10, batch=2)]}
KEPT_STEPS = (0, 9)
DDIM = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
            set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading",
            prediction_type="epsilon", num_train_timesteps=1000)
CFG = 7.5


class DiffusionPipeline:  # the official code asks for a class of this name
    def __init__(self, unet, name, steps):
        self.unet, self.name_or_path, self._num_timesteps = unet, name, steps


def case_name(c):
    parts = [c["schedule"], "x".join(map(str, c["size"])), f"{c['step']}of{c['steps']}"]
    return "-".join(parts + [k for k in ("extreme",) if c[k]] +
                    [k for k in ("raunet", "windows") if not c["raunet" if k == "windows" else "windows"]])


def size_name(c):
    return "x".join(map(str, (c["batch"], *c["size"])))


def make_inputs(model, c):
    rng = np.random.default_rng(7)
    n, (h, w) = c["batch"], c["size"]
    config = MODELS[model]
    inputs = {"sample": rng.standard_normal((n, config.get("in_channels", 4), h, w)),
              "encoder_hidden_states": rng.standard_normal((n, 7, config["cross_attention_dim"]))}
    if "addition_embed_type" in config:
        inputs["text_embeds"] = rng.standard_normal((n, 16))
        inputs["time_ids"] = np.tile([8.0 * h, 8.0 * w, 0.0, 0.0, 8.0 * h, 8.0 * w], (n, 1))
    return {k: torch.from_numpy(v.astype(np.float32)) for k, v in inputs.items()}


class Official:
    """A model under the official code, at one point of a run."""

    def __init__(self, code, unet, c):
        self.code, self.unet, self.c = code, unet, c
        self.saved = (json.loads(json.dumps(code.switching_threshold_ratio_dict)),
                      code.is_aggressive_raunet)

    def __enter__(self):
        c, code = self.c, self.code
        if c["extreme"]:
            low, high = EXTREME_KEYS[c["schedule"]]
            code.switching_threshold_ratio_dict[low] = dict(code.switching_threshold_ratio_dict[high])
            code.is_aggressive_raunet = False
        self.pipeline = DiffusionPipeline(self.unet, NAMES[c["schedule"]], c["steps"])
        code.apply_hidiffusion(self.pipeline, apply_raunet=c["raunet"],
                               apply_window_attn=c["windows"])
        self.windows = sum(type(m).__name__ == "transformer_block" for m in self.unet.modules())
        self.set_step(c["step"])
        return self

    def set_step(self, step):
        for module in self.unet.modules():
            if type(module).__name__ in ("downsampler_block", "upsampler_block",
                                         "cross_attn_down_block", "cross_attn_up_block"):
                module.timestep = step
        torch.manual_seed(SEED)
        for _ in range(step * self.windows):
            torch.rand(1)

    def __exit__(self, *_):
        self.code.remove_hidiffusion(self.unet)
        for module in self.unet.modules():  # they outlive remove_hidiffusion
            for name in ("timestep", "aggressive_raunet", "T1", "T1_start", "T1_end"):
                module.__dict__.pop(name, None)
        ratios, aggressive = self.saved
        self.code.switching_threshold_ratio_dict.update(ratios)
        self.code.is_aggressive_raunet = aggressive

    def forward(self, inputs, timestep):
        dtype = next(self.unet.parameters()).dtype
        inputs = {k: v.to(dtype) for k, v in inputs.items()}
        added = {k: inputs.pop(k) for k in ("text_embeds", "time_ids") if k in inputs}
        with torch.no_grad():
            # The official code takes the size from the first positional argument.
            return self.unet(inputs.pop("sample"), timestep, **inputs,
                             **({"added_cond_kwargs": added} if added else {})).sample


def observe(official):
    """Sizes of 3x3 convolutions and quarters of windows, in order of execution."""
    sizes, quarters = [], []
    handles = [m.register_forward_hook(lambda m, i, o: sizes.append(list(o.shape[2:])))
               for m in official.unet.modules()
               if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
    rand = torch.rand

    def drawn(*args, **kwargs):
        u = rand(*args, **kwargs)
        quarters.append(0 if u <= 0.25 else 1 if u <= 0.5 else 2 if u <= 0.75 else 3)
        return u

    torch.rand = drawn

    def stop():
        torch.rand = rand
        for handle in handles:
            handle.remove()
    return sizes, quarters, stop


def forward_both(code, unet, c, inputs, timestep):
    """Output in f64, its difference to f32, sizes, quarters."""
    results = []
    for dtype in (torch.float32, torch.float64):
        with Official(code, unet.to(dtype), c) as official:
            sizes, quarters, stop = observe(official)
            results.append(official.forward(inputs, timestep))
            stop()
    return results[1], float((results[0].double() - results[1]).abs().max()), sizes, quarters


def check_extreme(code, unet, c, inputs, timestep, output):
    """The same stage as the official code takes it for a large latent: needs no windows."""
    with Official(code, unet.double(), dict(c, extreme=False)) as official:
        for hook in unet.info["hooks"]:
            hook.remove()
        unet.info["size"] = (512, 512)
        difference = float((official.forward(inputs, timestep) - output).abs().max())
    assert difference == 0, (c, difference)


def check_inputs_matter(code, unet, c, inputs, timestep, output):
    for name in inputs:
        changed = {k: v + 0.5 if k == name else v for k, v in inputs.items()}
        other = forward_both(code, unet, c, changed, timestep)[0]
        moved = float((other - output).abs().max())
        assert moved > 1e-2, (name, moved)


def run_loop(code, unet, c, inputs, dtype):
    unet = unet.to(dtype)
    scheduler = DDIMScheduler(**DDIM)
    scheduler.set_timesteps(c["steps"])
    latents = inputs["sample"][:1].to(dtype)
    more = {k: v for k, v in inputs.items() if k != "sample"}
    kept = {}
    with Official(code, unet, c) as official:
        for i, t in enumerate(scheduler.timesteps):
            both = official.forward(dict(more, sample=torch.cat([latents, latents])), t)
            negative, positive = both.chunk(2)
            guided = negative + CFG * (positive - negative)
            latents = scheduler.step(guided, t, latents, eta=0.0).prev_sample
            if i in KEPT_STEPS:
                kept[i] = latents
    return kept


def make_model(code, root, model):
    folder = reference.fresh_folder(os.path.join(root, model))
    unet = UNet2DConditionModel(**MODELS[model])
    shapes = reference.fill(unet)
    tensors, cases, loops = {}, [], []

    def add_inputs(c):
        inputs = make_inputs(model, c)
        tensors.update({f"in.{size_name(c)}.{k}": v for k, v in inputs.items()})
        return inputs

    for k, c in enumerate(CASES[model]):
        inputs, timestep = add_inputs(c), 981 - 20 * c["step"]
        output, error, sizes, quarters = forward_both(code, unet, c, inputs, timestep)
        if c["extreme"] and not c["windows"]:
            check_extreme(code, unet, c, inputs, timestep, output)
        if k == 0:
            check_inputs_matter(code, unet, c, inputs, timestep, output)
        name = case_name(c)
        assert f"out.{name}" not in tensors, name
        tensors[f"out.{name}"] = output.float().contiguous()
        cases.append(dict(
            c, name=name, inputs=size_name(c), timestep=timestep, seed=SEED, sizes=sizes,
            quarters=quarters, reference_f32_error=error,
            trained=8 if c["extreme"] else MODELS[model]["sample_size"]))
        print(name, "rms", float(output.pow(2).mean().sqrt()), "f32", error, quarters)
    for c in LOOPS.get(model, []):
        inputs = add_inputs(c)
        double, single = (run_loop(code, unet, c, inputs, d) for d in (torch.float64, torch.float32))
        name = "loop-" + case_name(c)
        errors = {}
        for i in KEPT_STEPS:
            tensors[f"out.{name}.{i}"] = double[i].float().contiguous()
            errors[str(i)] = float((single[i].double() - double[i]).abs().max())
        loops.append(dict(c, name=name, inputs=size_name(c), seed=SEED, cfg=CFG, scheduler=DDIM,
                          reference_f32_error=errors, trained=MODELS[model]["sample_size"]))
        print(name, "rms", float(double[KEPT_STEPS[-1]].pow(2).mean().sqrt()), errors)
    reference.write_json(os.path.join(folder, "config.json"),
                         json.loads(unet.float().to_json_string()))
    reference.write_shapes(os.path.join(folder, "tensors.json"), shapes)
    # One line a case: the lists of sizes are long.
    with open(os.path.join(folder, "case.json"), "w", encoding="utf-8") as file:
        lines = [json.dumps(x, separators=(",", ":")) for x in cases]
        loop_lines = [json.dumps(x, separators=(",", ":")) for x in loops]
        file.write('{"class":"UNet2DConditionModel","dtype":"f32","runs":[],\n"cases":[\n' +
                   ",\n".join(lines) + '],\n"loops":[\n' + ",\n".join(loop_lines) +
                   '],\n"versions":' + json.dumps(reference.versions()) + "}\n")
    save_file(tensors, os.path.join(folder, "io.safetensors"))


def make_ops(path):
    generator = torch.Generator().manual_seed(7)

    def noise(*shape):
        return torch.randn(*shape, generator=generator)

    tensors = {}
    for h, w in ((13, 9), (7, 16), (5, 6)):
        x, weight, bias = noise(2, 3, h, w), noise(5, 3, 3, 3), noise(5)
        key = f"conv.{h}x{w}"
        tensors.update({f"{key}.x": x, f"{key}.weight": weight, f"{key}.bias": bias, f"{key}.out":
                        F.conv2d(x, weight, bias, stride=4, padding=2, dilation=2)})
        tensors[f"pool.{h}x{w}.out"] = F.avg_pool2d(x, kernel_size=(2, 2), ceil_mode=True)
    for (h, w), (to_h, to_w) in (((8, 12), (16, 24)), ((9, 12), (17, 24)), ((17, 24), (18, 24)),
                                 ((18, 24), (17, 24)), ((1, 3), (2, 5))):
        x = noise(1, 3, h, w)
        key = f"bicubic.{h}x{w}-{to_h}x{to_w}"
        tensors[f"{key}.x"] = x
        # In f32 PyTorch rounds the coordinates, which moves results by 5e-6.
        tensors[f"{key}.out"] = F.interpolate(x.double(), size=(to_h, to_w), mode="bicubic").float()
    # Ratios whose product with an index is rounded up in f32.
    for before, after in ((50, 198), (75, 297), (8, 32), (9, 33), (12, 47)):
        x = torch.arange(float(before)).view(1, 1, 1, before)
        tensors[f"nearest.{before}-{after}.out"] = F.interpolate(x, size=(1, after), mode="nearest")
    save_file({k: v.contiguous() for k, v in tensors.items()}, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--official", required=True, help="checkout of the official code")
    parser.add_argument("--out", default=os.path.join(here, "../../tests/golden/hidiffusion"))
    parser.add_argument("--only", default=" ".join(MODELS), help="models to make")
    args = parser.parse_args()
    sys.path.insert(0, args.official)
    import hidiffusion.hidiffusion as code
    os.makedirs(args.out, exist_ok=True)
    make_ops(os.path.join(args.out, "ops.safetensors"))
    for model in args.only.split():
        make_model(code, args.out, model)


if __name__ == "__main__":
    main()
