"""Writes tests/golden/schedulers/runs.json: diffusers' samplers on an analytic model.

Usage: python tools/golden/schedulers.py

Every case runs a scheduler of diffusers over 12 numbers with the model
    output = 0.3 * tanh(input) + 0.05 * sin(0.01 * timestep) + 0.2 * input
from noise[k] = 1.3 * sin(1 + 1.7 * k), and records the timesteps, init_noise_sigma, the final
latents and, for `add_noise`, the noisy latents at the middle call. Stochastic samplers draw from
torch.Generator("cpu") seeded with 11.
"""
import itertools
import json
import pathlib
import warnings

import diffusers
import torch
from diffusers import (DDIMScheduler, DPMSolverMultistepScheduler,
                       EulerAncestralDiscreteScheduler, EulerDiscreteScheduler,
                       FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler,
                       HeunDiscreteScheduler, LCMScheduler, PNDMScheduler, UniPCMultistepScheduler)
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
import numpy as np

warnings.filterwarnings("ignore")
diffusers.utils.logging.set_verbosity_error()

COUNT = 12
SD = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
SPACINGS = ("linspace", "leading", "trailing")
PREDICTIONS = ("epsilon", "v_prediction")
STEPS = (1, 2, 10, 25)


def noise():
    k = torch.arange(COUNT, dtype=torch.float64)
    return (1.3 * torch.sin(1 + 1.7 * k)).float().reshape(1, 1, 3, 4)


def model(x, t):
    x = x.double()
    return (0.3 * torch.tanh(x) + 0.05 * torch.sin(0.01 * torch.as_tensor(t).double()) + 0.2 * x).float()


FLOW = (FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler)


def set_timesteps(scheduler, steps, tokens, from_one):
    """As the pipelines of flow models call it; others take the number of steps alone."""
    config, extra = scheduler.config, {}
    if config.get("use_dynamic_shifting"):
        extra["mu"] = calculate_shift(
            tokens, config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096),
            config.get("base_shift", 0.5), config.get("max_shift", 1.15))
    if from_one:
        extra["sigmas"] = np.linspace(1.0, 1 / steps, steps)
    scheduler.set_timesteps(steps, **extra)


def run(cls, config, steps, sampler="", eta=0.0, schedule="", tokens=0, from_one=False,
        **overrides):
    scheduler = cls.from_config(config, **overrides)
    set_timesteps(scheduler, steps, tokens, from_one or (schedule == "sgm_uniform" and cls in FLOW))
    generator = torch.Generator("cpu").manual_seed(11)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    latents = noise() * getattr(scheduler, "init_noise_sigma", 1.0)
    stochastic = cls not in (PNDMScheduler, HeunDiscreteScheduler, UniPCMultistepScheduler)
    for t in scheduler.timesteps:
        scaled = latents if cls in FLOW else scheduler.scale_model_input(latents, t)
        output = model(scaled, t)
        extra = {"generator": generator} if stochastic else {}
        if cls is DDIMScheduler:
            extra["eta"] = eta
        latents = scheduler.step(output, t, latents, **extra).prev_sample
    fresh = cls.from_config(config, **overrides)
    set_timesteps(fresh, steps, tokens, from_one or (schedule == "sgm_uniform" and cls in FLOW))
    middle = len(fresh.timesteps) // 2
    at, clean = fresh.timesteps[middle:middle + 1], 0.5 + 0 * noise()
    noisy = (fresh.scale_noise(clean, at, noise()) if cls in FLOW
             else fresh.add_noise(clean, noise(), at))
    assert torch.isfinite(latents).all(), (cls, config, steps)
    number = lambda x: float(f"{float(x):.9g}")
    case = {"class": cls.__name__, "config": dict(config), "steps": steps}
    if sampler:
        case["sampler"] = sampler
    if schedule:
        case["schedule"] = schedule
    if eta:
        case["eta"] = eta
    if tokens:
        case["image_tokens"] = tokens
    if from_one:
        case["flow_from_one"] = True
    case["timesteps"] = [number(t) for t in fresh.timesteps]
    case["init_noise_sigma"] = number(getattr(fresh, "init_noise_sigma", 1.0))
    case["latents"] = [number(v) for v in latents.flatten()]
    case["noisy"] = [number(v) for v in noisy.flatten()]
    return case


def cases():
    for spacing, prediction, steps in itertools.product(SPACINGS, PREDICTIONS, STEPS):
        base = dict(SD, timestep_spacing=spacing, prediction_type=prediction, steps_offset=1)
        yield run(DDIMScheduler, dict(base, clip_sample=False, set_alpha_to_one=False), steps)
        yield run(PNDMScheduler, dict(base, skip_prk_steps=True), steps)
        if steps >= 4:
            yield run(PNDMScheduler, base, steps)
        for karras in (False, True):
            yield run(EulerDiscreteScheduler, dict(base, use_karras_sigmas=karras), steps)
            yield run(DPMSolverMultistepScheduler, dict(base, use_karras_sigmas=karras), steps)
        yield run(EulerAncestralDiscreteScheduler, base, steps)

    # Defaults of each class, and the other beta schedules.
    for cls in (DDIMScheduler, PNDMScheduler, EulerDiscreteScheduler,
                EulerAncestralDiscreteScheduler, DPMSolverMultistepScheduler):
        yield run(cls, {}, 10)
        yield run(cls, {"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 100}, 10)
        yield run(cls, {"trained_betas": [0.01 * (i + 1) for i in range(20)],
                        "num_train_timesteps": 20}, 7)
        yield run(cls, dict(SD, num_train_timesteps=777, timestep_spacing="trailing"), 61)

    trailing_v = dict(SD, prediction_type="v_prediction", timestep_spacing="trailing",
                      rescale_betas_zero_snr=True)
    for cls in (DDIMScheduler, EulerDiscreteScheduler, EulerAncestralDiscreteScheduler,
                DPMSolverMultistepScheduler):
        yield run(cls, trailing_v, 10)

    for eta in (0.3, 1.0):
        yield run(DDIMScheduler, dict(SD, clip_sample=False), 10, eta=eta)
    yield run(DDIMScheduler, dict(SD, clip_sample=True, clip_sample_range=0.5), 10)
    yield run(DDIMScheduler, dict(SD, prediction_type="sample", clip_sample=False), 10)
    yield run(DDIMScheduler, dict(SD, set_alpha_to_one=True, clip_sample=False), 1000)

    euler = dict(SD, timestep_spacing="linspace")
    for extra in (dict(interpolation_type="log_linear"), dict(final_sigmas_type="sigma_min"),
                  dict(use_exponential_sigmas=True), dict(prediction_type="sample"),
                  dict(use_karras_sigmas=True, sigma_min=0.1, sigma_max=10.0),
                  dict(prediction_type="v_prediction", timestep_type="continuous",
                       use_karras_sigmas=True, sigma_min=0.002, sigma_max=80.0),
                  dict(interpolation_type="log_linear", use_karras_sigmas=True)):
        yield run(EulerDiscreteScheduler, dict(euler, **extra), 10)

    for order, solver, steps in itertools.product((1, 2, 3), ("midpoint", "heun"), (10, 20)):
        for algorithm in ("dpmsolver++", "sde-dpmsolver++"):
            yield run(DPMSolverMultistepScheduler,
                      dict(SD, solver_order=order, solver_type=solver, algorithm_type=algorithm),
                      steps)
        yield run(DPMSolverMultistepScheduler,
                  dict(SD, solver_order=order, solver_type=solver, algorithm_type="dpmsolver",
                       final_sigmas_type="sigma_min"), steps)
        if order < 3:
            yield run(DPMSolverMultistepScheduler,
                      dict(SD, solver_order=order, solver_type=solver,
                           algorithm_type="sde-dpmsolver", final_sigmas_type="sigma_min"), steps)
    for extra in (dict(use_lu_lambdas=True), dict(use_exponential_sigmas=True),
                  dict(euler_at_final=True), dict(lower_order_final=False),
                  dict(final_sigmas_type="sigma_min"), dict(prediction_type="sample"),
                  dict(lambda_min_clipped=-5.1),
                  dict(lambda_min_clipped=-5.1, beta_schedule="squaredcos_cap_v2"),
                  dict(lambda_min_clipped=-5.1, beta_schedule="squaredcos_cap_v2",
                       use_karras_sigmas=True)):
        for steps in (10, 20):
            yield run(DPMSolverMultistepScheduler, dict(SD, **extra), steps)

    for spacing, prediction, steps in itertools.product(SPACINGS, PREDICTIONS, (1, 2, 10)):
        base = dict(SD, timestep_spacing=spacing, prediction_type=prediction, steps_offset=1)
        yield run(HeunDiscreteScheduler, base, steps)
        yield run(UniPCMultistepScheduler, base, steps)
    for cls in (HeunDiscreteScheduler, UniPCMultistepScheduler, LCMScheduler):
        yield run(cls, {}, 10)
        yield run(cls, {"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 100}, 10)
        yield run(cls, dict(SD, num_train_timesteps=777, timestep_spacing="trailing"), 31)
        yield run(cls, dict(SD, prediction_type="sample"), 10)
    for ramp in ("karras", "exponential", "beta"):
        for cls in (EulerDiscreteScheduler, HeunDiscreteScheduler, DPMSolverMultistepScheduler,
                    UniPCMultistepScheduler):
            for steps in (1, 10, 23):
                if ramp == "exponential" and steps == 1:
                    continue
                yield run(cls, {**SD, f"use_{ramp}_sigmas": True}, steps)
    yield run(HeunDiscreteScheduler, dict(SD, clip_sample=True, clip_sample_range=0.5), 7)
    for order, solver, steps in itertools.product((1, 2, 3, 4), ("bh1", "bh2"), (4, 10)):
        for clean in (True, False):
            yield run(UniPCMultistepScheduler,
                      dict(SD, solver_order=order, solver_type=solver, predict_x0=clean,
                           final_sigmas_type="sigma_min"), steps)
    for extra in (dict(disable_corrector=[0, 3]), dict(lower_order_final=False, solver_order=3,
                                                       final_sigmas_type="sigma_min"),
                  dict(final_sigmas_type="sigma_min", use_karras_sigmas=True),
                  dict(rescale_betas_zero_snr=True, prediction_type="v_prediction",
                       timestep_spacing="trailing")):
        yield run(UniPCMultistepScheduler, dict(SD, **extra), 10)
    for steps in (1, 2, 4, 8, 50):
        yield run(LCMScheduler, dict(SD, prediction_type="epsilon"), steps)
        yield run(LCMScheduler, dict(SD, prediction_type="v_prediction"), steps)
    yield run(LCMScheduler, dict(SD, original_inference_steps=37, timestep_scaling=4.0,
                                 clip_sample=True), 5)

    # A file of one class taken over by another.
    sd15 = dict(SD, _class_name="PNDMScheduler", skip_prk_steps=True, set_alpha_to_one=False,
                steps_offset=1, clip_sample=False)
    names = {"ddim": DDIMScheduler, "pndm": PNDMScheduler, "euler": EulerDiscreteScheduler,
             "euler_a": EulerAncestralDiscreteScheduler, "dpmpp_2m": DPMSolverMultistepScheduler,
             "heun": HeunDiscreteScheduler, "unipc": UniPCMultistepScheduler, "lcm": LCMScheduler}
    for name, cls in names.items():
        yield run(cls, sd15, 10, sampler=name)
    yield run(DPMSolverMultistepScheduler, sd15, 10, sampler="dpmpp_2m_sde",
              algorithm_type="sde-dpmsolver++")
    used = dict(sd15, timestep_spacing="trailing", set_alpha_to_one=True,
                _use_default_values=["timestep_spacing", "set_alpha_to_one"])
    for name, cls in names.items():
        yield run(cls, used, 10, sampler=name)
    karras = dict(sd15, use_karras_sigmas=True)
    off = dict(use_karras_sigmas=False, use_exponential_sigmas=False, use_beta_sigmas=False)
    for name in ("euler", "heun", "dpmpp_2m", "unipc"):
        for schedule in ("normal", "karras", "exponential", "sgm_uniform", "beta"):
            asked = dict(off)
            if schedule == "sgm_uniform":
                asked["timestep_spacing"] = "trailing"
            elif schedule != "normal":
                asked[f"use_{schedule}_sigmas"] = True
            yield run(names[name], karras, 9, sampler=name, schedule=schedule, **asked)
    for name in ("ddim", "pndm", "euler_a"):
        yield run(names[name], sd15, 9, sampler=name, schedule="sgm_uniform",
                  timestep_spacing="trailing")


def flow_cases():
    """Flow matching: SD3 and FLUX as published, every field, and what takes such a file over."""
    euler, heun, dpm = *FLOW, DPMSolverMultistepScheduler
    dynamic = dict(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15,
                   base_image_seq_len=256, max_image_seq_len=4096, shift=3.0)
    for steps in (1, 2, 10, 28):
        yield run(euler, dict(shift=3.0), steps)
        yield run(heun, dict(shift=3.0), steps)
        for tokens in (4, 600, 4096):
            yield run(euler, dynamic, steps, tokens=tokens)
            yield run(euler, dynamic, steps, tokens=tokens, from_one=True)
        yield run(euler, dict(shift=1.0), steps, from_one=True)
        for shift in (1.0, 5.0):
            yield run(dpm, dict(use_flow_sigmas=True, prediction_type="flow_prediction",
                                flow_shift=shift), steps)
    for cls in FLOW:
        yield run(cls, {}, 10)
        yield run(cls, dict(num_train_timesteps=100, shift=0.6), 7)
    for extra in (dict(shift_terminal=0.02), dict(invert_sigmas=True), dict(stochastic_sampling=True),
                  dict(stochastic_sampling=True, invert_sigmas=True)):
        yield run(euler, dict(shift=2.5, **extra), 10)
        yield run(euler, dict(dynamic, **extra), 9, tokens=1000, from_one=True)
    yield run(euler, dict(dynamic, time_shift_type="linear"), 9, tokens=77)
    yield run(euler, dict(dynamic, time_shift_type="linear"), 9, tokens=77, from_one=True)
    yield run(euler, dict(dynamic, base_image_seq_len=16, max_image_seq_len=50, max_shift=0.9), 9,
              tokens=30)
    for ramp in ("karras", "exponential", "beta"):
        for steps in (2, 11):
            yield run(euler, {"shift": 3.0, f"use_{ramp}_sigmas": True}, steps)
            yield run(euler, {**dynamic, f"use_{ramp}_sigmas": True}, steps, tokens=500,
                      from_one=True)
        yield run(euler, {"shift": 1.5, f"use_{ramp}_sigmas": True, "shift_terminal": 0.1}, 8)
    for order, solver in itertools.product((1, 2, 3), ("midpoint", "heun")):
        for algorithm in ("dpmsolver++", "sde-dpmsolver++"):
            for steps in (7, 20):
                yield run(dpm, dict(use_flow_sigmas=True, prediction_type="flow_prediction",
                                    flow_shift=3.0, solver_order=order, solver_type=solver,
                                    algorithm_type=algorithm), steps)
    for extra in (dict(final_sigmas_type="sigma_min"), dict(lower_order_final=False),
                  dict(euler_at_final=True), dict(num_train_timesteps=333)):
        yield run(dpm, dict(use_flow_sigmas=True, prediction_type="flow_prediction", **extra), 16)
    yield run(dpm, dict(use_flow_sigmas=True, prediction_type="flow_prediction",
                        use_dynamic_shifting=True), 9, tokens=900)

    sd3 = dict(_class_name="FlowMatchEulerDiscreteScheduler", num_train_timesteps=1000, shift=3.0)
    flux = dict(dynamic, _class_name="FlowMatchEulerDiscreteScheduler", num_train_timesteps=1000)
    off = dict(use_karras_sigmas=False, use_exponential_sigmas=False, use_beta_sigmas=False)
    yield run(heun, sd3, 9, sampler="flow_heun")
    yield run(heun, dict(sd3, use_karras_sigmas=True), 9, sampler="flow_heun")
    yield run(euler, dict(sd3, _class_name="FlowMatchHeunDiscreteScheduler"), 9,
              sampler="flow_euler")
    # What a shift is called differs between the classes; users hand it over by its other name.
    yield run(dpm, sd3, 9, sampler="flow_dpmpp_2m", use_flow_sigmas=True,
              prediction_type="flow_prediction", flow_shift=3.0)
    yield run(dpm, flux, 9, sampler="flow_dpmpp_2m", tokens=1200, use_flow_sigmas=True,
              prediction_type="flow_prediction")
    for schedule in ("normal", "karras", "exponential", "sgm_uniform", "beta"):
        asked = dict(off)
        if schedule not in ("normal", "sgm_uniform"):
            asked[f"use_{schedule}_sigmas"] = True
        yield run(euler, dict(sd3, use_karras_sigmas=True), 9, schedule=schedule, **asked)
        yield run(euler, flux, 9, sampler="flow_euler", tokens=800, from_one=True,
                  schedule=schedule, **asked)


def main():
    torch.set_num_threads(1)
    out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/schedulers/runs.json"
    listed = [*cases(), *flow_cases()]
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in listed)
    text = (f'{{"made_with":"diffusers {diffusers.__version__}, torch {torch.__version__}",'
            f'"cases":[\n{lines}\n]}}\n')
    out.write_text(text)
    print(f"{out}: {len(listed)} cases, {len(text)} bytes")


if __name__ == "__main__":
    main()
