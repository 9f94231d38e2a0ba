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
                       HeunDiscreteScheduler, LCMScheduler, PNDMScheduler, UniPCMultistepScheduler)

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


def run(cls, config, steps, sampler="", eta=0.0, schedule="", **overrides):
    scheduler = cls.from_config(config, **overrides)
    scheduler.set_timesteps(steps)
    generator = torch.Generator("cpu").manual_seed(11)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    latents = noise() * scheduler.init_noise_sigma
    stochastic = cls not in (PNDMScheduler, HeunDiscreteScheduler, UniPCMultistepScheduler)
    for t in scheduler.timesteps:
        output = model(scheduler.scale_model_input(latents, t), t)
        extra = {"generator": generator} if stochastic else {}
        if cls is DDIMScheduler:
            extra["eta"] = eta
        latents = scheduler.step(output, t, latents, **extra).prev_sample
    fresh = cls.from_config(config, **overrides)
    fresh.set_timesteps(steps)
    middle = len(fresh.timesteps) // 2
    noisy = fresh.add_noise(0.5 + 0 * noise(), noise(), fresh.timesteps[middle:middle + 1])
    assert torch.isfinite(latents).all(), (cls, config, steps)
    number = lambda x: float(f"{float(x):.9g}")
    case = {"class": cls.__name__, "config": dict(config), "steps": steps}
    if sampler:
        case["sampler"] = sampler
    if schedule:
        case["schedule"] = schedule
    if eta:
        case["eta"] = eta
    case["timesteps"] = [number(t) for t in fresh.timesteps]
    case["init_noise_sigma"] = number(fresh.init_noise_sigma)
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


def main():
    torch.set_num_threads(1)
    out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/schedulers/runs.json"
    listed = list(cases())
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in listed)
    text = (f'{{"made_with":"diffusers {diffusers.__version__}, torch {torch.__version__}",'
            f'"cases":[\n{lines}\n]}}\n')
    out.write_text(text)
    print(f"{out}: {len(listed)} cases, {len(text)} bytes")


if __name__ == "__main__":
    main()
