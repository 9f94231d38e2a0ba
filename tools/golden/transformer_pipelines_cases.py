"""The models and the runs of transformer_pipelines.py."""

import pipeline_cases

VAE = dict(pipeline_cases.VAE, scaling_factor=1.5305, shift_factor=0.0609)
# Three levels: a factor of 4.
SMALL_VAE = dict(VAE, block_out_channels=[8, 8, 16], down_block_types=["DownEncoderBlock2D"] * 3,
                 up_block_types=["UpDecoderBlock2D"] * 3, sample_size=40)


def clip(hidden, layers, **more):
    return dict(hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
                num_attention_heads=4, max_position_embeddings=77, projection_dim=hidden,
                **{"eos_token_id": 2, "hidden_act": "gelu", **more})


def t5(hidden):
    return dict(d_model=hidden, d_kv=8, d_ff=48, num_layers=2, num_heads=4, is_encoder_decoder=False,
                feed_forward_proj="gated-gelu", dense_act_fn="gelu_new", use_cache=False,
                tie_word_embeddings=False, relative_attention_num_buckets=8,
                relative_attention_max_distance=16)


SD3 = dict(sample_size=10, patch_size=2, in_channels=4, num_layers=3, attention_head_dim=8,
           num_attention_heads=3, joint_attention_dim=64, caption_projection_dim=24,
           pooled_projection_dim=56, out_channels=4, pos_embed_max_size=14,
           dual_attention_layers=[], qk_norm=None)
CLIPS = {"": clip(24, 3, hidden_act="quick_gelu"), "_2": clip(32, 4)}
FLUX = dict(patch_size=1, in_channels=16, num_layers=2, num_single_layers=2, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=40, pooled_projection_dim=32,
            axes_dims_rope=[4, 6, 6], guidance_embeds=True)

# texts: suffix of text_encoder -> config. d_model tells a T5.
MODELS = {
    "sd3": {"class": "StableDiffusion3Pipeline", "transformer": SD3, "vae": VAE,
            "texts": {**CLIPS, "_3": t5(64)}},
    # As SD3.5 medium; and without T5, as many people run it.
    "sd35": {"class": "StableDiffusion3Pipeline", "vae": SMALL_VAE, "texts": CLIPS,
             "transformer": dict(SD3, dual_attention_layers=[0, 1], qk_norm="rms_norm")},
    "flux_dev": {"class": "FluxPipeline", "transformer": FLUX, "vae": VAE,
                 "texts": {"": clip(32, 3, hidden_act="quick_gelu"), "_2": t5(40)}},
    "flux_schnell": {"class": "FluxPipeline", "vae": SMALL_VAE,
                     "transformer": dict(FLUX, guidance_embeds=False, num_single_layers=3),
                     "texts": {"": clip(32, 3), "_2": t5(40)}},
    "dit": {"class": "DiTPipeline", "vae": pipeline_cases.VAE, "texts": {},
            "transformer": dict(sample_size=10, patch_size=2, in_channels=4, out_channels=8,
                                num_layers=3, attention_head_dim=8, num_attention_heads=4,
                                num_embeds_ada_norm=1000)},
}
ID2LABEL = {"1": "goldfish, Carassius auratus", "7": "cock", "207": "golden retriever",
            "134": "crane", "517": "crane"}

# scheduler_config.json as SD3, FLUX.1 dev and schnell, and DiT-XL/2 have it
FLOW = dict(_class_name="FlowMatchEulerDiscreteScheduler", num_train_timesteps=1000, shift=3.0)
DYNAMIC = dict(FLOW, base_image_seq_len=256, base_shift=0.5, max_image_seq_len=4096, max_shift=1.15,
               use_dynamic_shifting=True)
SCHNELL = dict(DYNAMIC, shift=1.0, use_dynamic_shifting=False)
DDIM = dict(_class_name="DDIMScheduler", beta_end=0.02, beta_schedule="linear", beta_start=0.0001,
            clip_sample=False, num_train_timesteps=1000, prediction_type="epsilon",
            set_alpha_to_one=True, steps_offset=0, trained_betas=None)
DPM = dict(_class_name="DPMSolverMultistepScheduler", beta_end=0.02, beta_schedule="linear",
           beta_start=0.0001, num_train_timesteps=1000, prediction_type="epsilon", solver_order=2)

# Every run starts from these. `latents`: given to the pipeline; else drawn from the seed. `text`:
# the text states are kept. `strength`: image to image, of image_pipeline/given.png. `without`:
# suffixes of the text encoders that are left out. `shift`: instead of the scheduler's own.
DEFAULTS = dict(prompt=pipeline_cases.PROMPT, negative=pipeline_cases.NEGATIVE, prompt_2="",
                prompt_3="", negative_2="", negative_3="", width=80, height=48, steps=10, cfg=5.0,
                true_cfg=1.0, cfg_rescale=0.0, eta=0.0, seed=7, batch=1, clip_skip=0, sampler="",
                latents=True, text=False, max_sequence_length=20, strength=0.0,
                prompt_weights="a1111", without=[], ntk=1.0, shift=0.0)

RUNS = {
    "sd3": ("sd3", FLOW, dict(batch=2, text=True)),
    "sd3_all_prompts": ("sd3", FLOW, dict(prompt_2="the blue cube", prompt_3="one thing, and other",
                                          negative_2="a sphere", negative_3="the red", clip_skip=1,
                                          text=True, max_sequence_length=13, latents=False)),
    "sd3_default_length": ("sd3", FLOW, dict(max_sequence_length=-1, steps=3, width=48)),
    "sd3_unguided": ("sd3", FLOW, dict(cfg=1.0, negative=None, batch=2, width=48, height=112)),
    "sd3_long": ("sd3", FLOW, dict(prompt="the red cube and the blue cube on the table, " * 6,
                                   max_sequence_length=30, steps=4, prompt_weights="off")),
    "sd3_heun": ("sd3", FLOW, dict(sampler="flow_heun", steps=5)),
    "sd3_dpmpp": ("sd3", FLOW, dict(sampler="flow_dpmpp_2m")),
    "sd3_image": ("sd3", FLOW, dict(strength=0.67, batch=2, latents=False)),
    "sd3_image_whole": ("sd3", FLOW, dict(strength=1.0, latents=False, width=48, height=80)),
    "sd3_no_clips": ("sd3", FLOW, dict(without=["", "_2"], text=True, batch=2)),
    "sd3_no_first_clip": ("sd3", FLOW, dict(without=[""], text=True, clip_skip=1)),
    "sd3_no_second_clip": ("sd3", FLOW, dict(without=["_2"], text=True, latents=False)),
    "sd3_one_clip_alone": ("sd3", FLOW, dict(without=["", "_3"], text=True, width=48)),
    "sd3_other_clip_alone": ("sd3", FLOW, dict(without=["_2", "_3"], text=True, steps=5)),
    "sd3_no_text": ("sd3", FLOW, dict(without=["", "_2", "_3"], text=True, steps=5)),
    "sd3_shift": ("sd3", DYNAMIC, dict(shift=6.5, steps=6, sampler="flow_dpmpp_2m")),
    "sd35": ("sd35", DYNAMIC, dict(batch=2, text=True, width=40, height=56)),
    "sd35_no_t5_length": ("sd35", FLOW, dict(max_sequence_length=0, width=40, height=24,
                                             latents=False)),
    "sd35_karras": ("sd35", dict(FLOW, use_karras_sigmas=True), dict(width=24, height=40)),
    "sd35_image": ("sd35", DYNAMIC, dict(strength=0.55, latents=False, width=40, height=56)),
    "flux_dev": ("flux_dev", DYNAMIC, dict(cfg=3.5, negative=None, batch=2, text=True)),
    "flux_dev_true_cfg": ("flux_dev", DYNAMIC, dict(cfg=2.0, true_cfg=3.0, prompt_2="blue cube",
                                                    negative_2="on the table", text=True,
                                                    latents=False, width=48, height=80)),
    "flux_dev_image": ("flux_dev", DYNAMIC, dict(strength=0.73, batch=2, negative=None, cfg=3.5,
                                                 latents=False)),
    # The second pass of CLEAR's high resolution.
    "flux_dev_large": ("flux_dev", DYNAMIC, dict(strength=0.7, cfg=7.5, ntk=10.0, shift=3.0,
                                                 negative=None, latents=False, width=96)),
    "flux_dev_ntk": ("flux_dev", SCHNELL, dict(cfg=2.0, ntk=2.5, shift=4.5, batch=2, steps=5)),
    "flux_schnell": ("flux_schnell", SCHNELL, dict(steps=4, cfg=1.0, negative=None, batch=2,
                                                   width=40, height=72)),
    "flux_schnell_drawn": ("flux_schnell", SCHNELL, dict(steps=4, cfg=0.0, negative=None,
                                                         latents=False, max_sequence_length=-1,
                                                         width=72, height=24)),
    "dit": ("dit", DDIM, dict(prompt="golden retriever", cfg=4.0, batch=2)),
    "dit_number": ("dit", DDIM, dict(prompt="999", cfg=1.5)),
    "dit_dpm": ("dit", DPM, dict(prompt="crane", cfg=4.0)),
    "dit_unguided": ("dit", DDIM, dict(prompt="Carassius auratus", cfg=1.0, sampler="dpmpp_2m")),
}
for _name, (_model, _scheduler, _settings) in RUNS.items():
    if _model == "dit":
        _settings.update(negative=None, latents=False, width=80, height=80, max_sequence_length=-1)
