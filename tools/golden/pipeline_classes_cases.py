"""The models and the runs of pipeline_classes.py."""

import pipeline_cases
import single_file_cases as files

VAE = pipeline_cases.VAE


def clip(hidden, layers, **more):
    return dict(hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
                num_attention_heads=4, max_position_embeddings=77,
                projection_dim=hidden, **{"eos_token_id": 2, "hidden_act": "gelu", **more})


def model(class_name, unet, texts, vae=VAE, **flags):
    """texts: suffix of text_encoder -> config; flags: of model_index.json."""
    return {"class": class_name, "unet": dict(unet, sample_size=10), "vae": vae, "texts": texts,
            "flags": flags}


XL_TEXTS = {"": clip(24, 3, hidden_act="quick_gelu"), "_2": clip(32, 4)}
XL_VAE = dict(VAE, scaling_factor=0.13025, force_upcast=True)
CROSS_DOWN, CROSS_UP = files.CROSS_DOWN, files.CROSS_UP

MODELS = {
    "sd21": model("StableDiffusionPipeline", dict(files.SD2_UNET, upcast_attention=True),
                  {"": clip(32, 3)}),
    "lcm": model("LatentConsistencyModelPipeline",
                 dict(pipeline_cases.UNET, time_cond_proj_dim=16), {"": clip(32, 3)}),
    "sdxl": model("StableDiffusionXLPipeline", files.SDXL_UNET, XL_TEXTS, XL_VAE,
                  force_zeros_for_empty_prompt=True),
    # Distilled as SSD-1B and LCM-SDXL are.
    "sdxl_small": model(
        "StableDiffusionXLPipeline",
        dict(files.SDXL_UNET, mid_block_type=None, time_cond_proj_dim=16,
             transformer_layers_per_block=[[1, 1], [1, 2], [2, 1]],
             reverse_transformer_layers_per_block=[[2, 1, 1], [1, 2, 1], [1, 1, 1]]),
        XL_TEXTS, XL_VAE, force_zeros_for_empty_prompt=False),
    "sdxl_refiner": model(
        "StableDiffusionXLImg2ImgPipeline", files.REFINER_UNET, {"_2": clip(32, 4)}, XL_VAE,
        force_zeros_for_empty_prompt=False, requires_aesthetics_score=True),
}

# scheduler_config.json as Stable Diffusion 2.1, SDXL, LCM have it
SD21 = pipeline_cases.sd15("DDIMScheduler", prediction_type="v_prediction")
SDXL = dict(
    _class_name="EulerDiscreteScheduler", beta_end=0.012, beta_schedule="scaled_linear",
    beta_start=0.00085, interpolation_type="linear", num_train_timesteps=1000,
    prediction_type="epsilon", steps_offset=1, timestep_spacing="leading", trained_betas=None,
    use_karras_sigmas=False)
TURBO = dict(SDXL, _class_name="EulerAncestralDiscreteScheduler", timestep_spacing="trailing")
TURBO.pop("interpolation_type")
TURBO.pop("use_karras_sigmas")
LCM = dict(
    _class_name="LCMScheduler", beta_end=0.012, beta_schedule="scaled_linear", beta_start=0.00085,
    clip_sample=False, num_train_timesteps=1000, original_inference_steps=50,
    prediction_type="epsilon", set_alpha_to_one=True, steps_offset=0, thresholding=False,
    timestep_scaling=10.0)

# Beside those of pipeline_cases.py. `text`: the text states are kept.
DEFAULTS = dict(prompt_2="", negative_2="", text=False, steps=6)

RUNS = {
    "sd21": ("sd21", SD21, dict(batch=2)),
    "sd21_zero_snr": ("sd21", dict(SD21, timestep_spacing="trailing", rescale_betas_zero_snr=True),
                      dict(cfg_rescale=0.7, width=40, height=88)),
    "sd21_dpmpp": ("sd21", SD21, dict(sampler="dpmpp_2m", clip_skip=1)),
    "sd21_euler_a": ("sd21", SD21, dict(sampler="euler_a", latents=False, batch=2, cfg=1.0)),
    "lcm": ("lcm", LCM, dict(steps=4, cfg=8.5, batch=2, latents=False)),
    "lcm_given": ("lcm", LCM, dict(steps=2, cfg=1.5)),
    "sdxl": ("sdxl", SDXL, dict(batch=2, text=True)),
    "sdxl_no_negative": ("sdxl", SDXL, dict(negative=None, cfg=5.0, text=True)),
    "sdxl_empty_negative": ("sdxl", SDXL, dict(negative="", cfg=5.0)),
    "sdxl_pairs": ("sdxl", SDXL, dict(prompt_2="the blue cube", negative_2="a sphere", text=True,
                                      batch=2)),
    "sdxl_clip_skip": ("sdxl", SDXL, dict(clip_skip=1, cfg_rescale=0.5)),
    "sdxl_clip_skip_2": ("sdxl", SDXL, dict(clip_skip=2, width=40, height=88)),
    "sdxl_unguided": ("sdxl", SDXL, dict(cfg=1.0, negative=None, batch=2)),
    "sdxl_dpmpp": ("sdxl", SDXL, dict(sampler="dpmpp_2m")),
    "sdxl_turbo": ("sdxl", TURBO, dict(cfg=0.0, steps=2, negative=None, latents=False)),
    "sdxl_small": ("sdxl_small", LCM, dict(steps=4, cfg=8.0, batch=2, negative=None,
                                           latents=False)),
    "sdxl_small_given": ("sdxl_small", SDXL, dict(steps=4, cfg=3.0, width=80, height=80)),
    "sdxl_refiner": ("sdxl_refiner", SDXL, dict(batch=2, cfg=5.0, text=True)),
    "sdxl_refiner_no_negative": ("sdxl_refiner", SDXL, dict(negative=None, width=40, height=88)),
    "sdxl_refiner_unguided": ("sdxl_refiner", SDXL, dict(cfg=1.0, clip_skip=1)),
}
