"""The cases of single_file.py: tiny pipelines with the structure of the published ones."""

import copy

import forward_cases as forward

CROSS_DOWN, PLAIN_DOWN = forward.CROSS_DOWN, forward.PLAIN_DOWN
CROSS_UP, PLAIN_UP = forward.CROSS_UP, forward.PLAIN_UP

SD15_UNET = dict(forward.SD15_UNET, block_out_channels=[8, 16, 24, 24], norm_num_groups=4)
SD2_UNET = dict(SD15_UNET, attention_head_dim=[1, 2, 4, 4], cross_attention_dim=32,
                use_linear_projection=True)
SDXL_UNET = dict(
    forward.SDXL_UNET, block_out_channels=[8, 16, 24], attention_head_dim=[1, 2, 4],
    norm_num_groups=4, cross_attention_dim=56, projection_class_embeddings_input_dim=80,
    transformer_layers_per_block=[1, 2, 3], down_block_types=[PLAIN_DOWN, CROSS_DOWN, CROSS_DOWN],
    up_block_types=[CROSS_UP, CROSS_UP, PLAIN_UP])
REFINER_UNET = dict(
    SDXL_UNET, block_out_channels=[8, 16, 24, 24], attention_head_dim=[1, 2, 3, 3],
    cross_attention_dim=32, projection_class_embeddings_input_dim=72,
    transformer_layers_per_block=2,
    down_block_types=[PLAIN_DOWN, CROSS_DOWN, CROSS_DOWN, PLAIN_DOWN],
    up_block_types=[PLAIN_UP, CROSS_UP, CROSS_UP, PLAIN_UP])
VAE = dict(
    act_fn="silu", block_out_channels=[8, 8, 16, 16], in_channels=3, latent_channels=4,
    layers_per_block=2, norm_num_groups=4, out_channels=3, sample_size=64, **forward.vae_blocks(4))


def clip(hidden, layers, **more):
    return dict(
        bos_token_id=0, eos_token_id=2, hidden_act="gelu", hidden_size=hidden,
        intermediate_size=2 * hidden, layer_norm_eps=1e-5, max_position_embeddings=12,
        num_attention_heads=4, num_hidden_layers=layers, pad_token_id=1, projection_dim=hidden,
        vocab_size=40, **more)


def text_run():
    return dict(input_ids=forward.ids([0, 7, 9, 21, 39, 39, 39, 39], [0, 39, 5, 6, 8, 39, 39, 39]))


def unet_run(height, width, context, timestep, channels=4, text=0, times=()):
    added = dict(text_embeds=("normal", (1, text)), time_ids=forward.floats(*times)) if text else {}
    return forward.unet_run(1, height, width, 6, context, forward.ints(timestep), channels, **added)


def vae_runs():
    return [dict(z=("normal", (1, 4, 3, 2))), dict(x=("picture", (1, 3, 24, 17)))]


def case(pipeline, unet, runs, texts, dtype="F16", extra=()):
    """texts: component -> (class, config, prefix in the file, is it open_clip's, layers there)"""
    return dict(pipeline=pipeline, unet=unet, runs=runs, texts=texts, dtype=dtype, extra=extra)


CLIP, PROJECTION = "CLIPTextModel", "CLIPTextModelWithProjection"
CASES = {
    "sd15": case(
        "StableDiffusionPipeline", SD15_UNET, unet_run(8, 16, 24, 981),
        {"text_encoder": (CLIP, clip(24, 3), "cond_stage_model.transformer.", False, 3)},
        extra=("alphas_cumprod", "betas", "model_ema.decay", "cond_stage_model.logit_scale",
               "first_stage_model.loss.logvar",
               "cond_stage_model.transformer.text_model.embeddings.position_ids")),
    "sd15_inpaint": case(
        "StableDiffusionInpaintPipeline", dict(SD15_UNET, in_channels=9),
        unet_run(9, 11, 24, 500, channels=9),
        {"text_encoder": (CLIP, clip(24, 2), "cond_stage_model.transformer.", False, 2)},
        dtype="F32"),
    # The last layer and the projection of the file are not used.
    "sd21": case(
        "StableDiffusionPipeline", SD2_UNET, unet_run(16, 8, 32, 21),
        {"text_encoder": (CLIP, clip(32, 3), "cond_stage_model.model.", True, 4)}, dtype="F32"),
    "sdxl": case(
        "StableDiffusionXLPipeline", SDXL_UNET,
        unet_run(8, 12, 56, 701, text=32, times=[[8, 6, 0, 0, 8, 6]]),
        {"text_encoder": (CLIP, clip(24, 2), "conditioner.embedders.0.transformer.", False, 2),
         "text_encoder_2": (PROJECTION, clip(32, 3), "conditioner.embedders.1.model.", True, 3)},
        extra=("denoiser.sigmas",)),
    "sdxl_refiner": case(
        "StableDiffusionXLImg2ImgPipeline", REFINER_UNET,
        unet_run(16, 8, 32, 121, text=32, times=[[8, 6, 0, 0, 6]]),
        {"text_encoder_2": (PROJECTION, clip(32, 2), "conditioner.embedders.0.model.", True, 2)},
        dtype="BF16"),
}
