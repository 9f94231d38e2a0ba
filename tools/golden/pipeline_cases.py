"""The model and the runs of pipeline.py."""

UNET = dict(
    act_fn="silu", attention_head_dim=2, block_out_channels=[16, 32, 32],
    center_input_sample=False, cross_attention_dim=32,
    down_block_types=["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    downsample_padding=1, flip_sin_to_cos=True, freq_shift=0, in_channels=4, layers_per_block=1,
    mid_block_scale_factor=1, norm_eps=1e-05, norm_num_groups=4, out_channels=4, sample_size=10,
    up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"])
VAE = dict(
    act_fn="silu", block_out_channels=[8, 8, 16, 16], down_block_types=["DownEncoderBlock2D"] * 4,
    in_channels=3, latent_channels=4, layers_per_block=1, norm_num_groups=4, out_channels=3,
    sample_size=80, up_block_types=["UpDecoderBlock2D"] * 4, scaling_factor=0.18215)
CLIP = dict(
    hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
    hidden_act="quick_gelu", max_position_embeddings=77, projection_dim=32)

MERGES = ["t h", "th e</w>", "i n", "a n", "r e", "in g</w>", "re d</w>", "c u", "b e</w>",
          "cu be</w>", "o n</w>", "an d</w>", "s p", "l e</w>", "b l", "bl u", "blu e</w>"]

PROMPT = "a red cube on the table, and a blue one"
NEGATIVE = "blurry, Crème brûlée"

# scheduler_config.json as Stable Diffusion 1.5 has it
SD15 = dict(
    _class_name="PNDMScheduler", _diffusers_version="0.6.0", beta_end=0.012,
    beta_schedule="scaled_linear", beta_start=0.00085, num_train_timesteps=1000,
    set_alpha_to_one=False, skip_prk_steps=True, steps_offset=1, trained_betas=None,
    clip_sample=False)


def sd15(class_name, **more):
    return {**SD15, "_class_name": class_name, **more}


def bare(class_name, **more):
    """Only these fields: everything else takes the class's own defaults."""
    return dict(_class_name=class_name, _diffusers_version="0.21.0", **more)


# Every run starts from these settings. `latents`: given to the pipeline; else drawn from the seed.
DEFAULTS = dict(prompt=PROMPT, negative=NEGATIVE, width=72, height=56, steps=10, cfg=7.5,
                cfg_rescale=0.0, eta=0.0, seed=7, batch=1, clip_skip=0, sampler="", latents=True)

VP = dict(prediction_type="v_prediction")
KARRAS = dict(use_karras_sigmas=True)

RUNS = {
    "ddim": (sd15("DDIMScheduler"), {}),
    "ddim_eta_1": (sd15("DDIMScheduler"), dict(eta=1.0, batch=2)),
    "ddim_seed_eta": (sd15("DDIMScheduler"), dict(eta=0.5, batch=2, latents=False, seed=123)),
    "ddim_trailing_zero_snr": (
        sd15("DDIMScheduler", timestep_spacing="trailing", rescale_betas_zero_snr=True, **VP),
        dict(cfg_rescale=0.7)),
    # The pipeline sets clip_sample off and steps_offset to 1, whatever the file says.
    "ddim_bare": (bare("DDIMScheduler"), {}),
    "ddim_sample": (sd15("DDIMScheduler", prediction_type="sample"), dict(cfg=2.0)),
    "pndm": (SD15, dict(batch=2)),
    "pndm_prk": (sd15("PNDMScheduler", skip_prk_steps=False), {}),
    "pndm_v": (sd15("PNDMScheduler", **VP), dict(cfg=1.0)),
    "pndm_seed": (SD15, dict(latents=False, seed=2**40 + 5, batch=3, width=80, height=80)),
    "euler": (sd15("EulerDiscreteScheduler"), dict(batch=2)),
    "euler_leading_v": (sd15("EulerDiscreteScheduler", timestep_spacing="leading", **VP),
                        dict(cfg_rescale=0.7, batch=2)),
    "euler_karras": (sd15("EulerDiscreteScheduler", **KARRAS), dict(cfg=1.0)),
    "euler_trailing": (sd15("EulerDiscreteScheduler", timestep_spacing="trailing"),
                       dict(latents=False, width=40, height=88)),
    "euler_bare": (bare("EulerDiscreteScheduler", timestep_spacing="leading"), {}),
    "euler_a": (sd15("EulerAncestralDiscreteScheduler"), dict(batch=2)),
    "euler_a_seed": (sd15("EulerAncestralDiscreteScheduler"),
                     dict(latents=False, batch=2, seed=99)),
    "euler_a_v": (sd15("EulerAncestralDiscreteScheduler", timestep_spacing="leading", **VP),
                  dict(latents=False)),
    "dpmpp_2m": (sd15("DPMSolverMultistepScheduler"), dict(batch=2)),
    "dpmpp_2m_karras": (sd15("DPMSolverMultistepScheduler", **KARRAS), dict(latents=False)),
    "dpmpp_2m_v": (sd15("DPMSolverMultistepScheduler", timestep_spacing="leading", **VP),
                   dict(cfg_rescale=0.7)),
    "dpmpp_2m_20_steps": (sd15("DPMSolverMultistepScheduler", timestep_spacing="trailing"),
                          dict(steps=20)),
    "dpmpp_2m_bare": (bare("DPMSolverMultistepScheduler"), dict(cfg=3.0)),
    # A named sampler takes over the model's config, as from_config does.
    "named_ddim": (SD15, dict(sampler="ddim")),
    "named_euler": (SD15, dict(sampler="euler")),
    "named_euler_a": (SD15, dict(sampler="euler_a", latents=False)),
    "named_dpmpp_2m": (SD15, dict(sampler="dpmpp_2m")),
    "named_pndm": (sd15("EulerDiscreteScheduler", timestep_spacing="linspace"),
                   dict(sampler="pndm")),
    "named_ddim_from_bare": (bare("DDIMScheduler"), dict(sampler="ddim", cfg=1.0)),
    "one_step": (sd15("DDIMScheduler"), dict(steps=1)),
    "no_guidance": (SD15, dict(cfg=1.0, negative="", batch=2)),
    "empty_prompt": (SD15, dict(prompt="", negative="")),
    "clip_skip": (SD15, dict(clip_skip=1)),
}
# This run also keeps every step, the text states and the picture.
IN_FULL = "pndm"
