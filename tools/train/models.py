"""The networks of the family, as diffusers and transformers classes, and the noise schedule."""

import torch
from diffusers import (AutoencoderKL, DDIMScheduler, FlowMatchEulerDiscreteScheduler,
                       SD3Transformer2DModel, UNet2DConditionModel)
from transformers import (CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection,
                          CLIPVisionConfig, CLIPVisionModelWithProjection)

import tokenizer as bpe

LATENTS, WIDTH, SIZE = 16, 128, 128
GRID = (SIZE // 8, SIZE // 8)  # rows and columns of latents


def text_config(tokens):
    """Ids end with <|startoftext|>, <|endoftext|>."""
    return CLIPTextConfig(
        vocab_size=tokens, hidden_size=WIDTH, intermediate_size=4 * WIDTH, projection_dim=WIDTH,
        num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=bpe.LENGTH,
        hidden_act="quick_gelu", bos_token_id=tokens - 2, eos_token_id=tokens - 1,
        pad_token_id=tokens - 1)


def text_encoder(tokens):
    return CLIPTextModel(text_config(tokens))


def clip_text(tokens):
    return CLIPTextModelWithProjection(text_config(tokens))


def clip_vision():
    return CLIPVisionModelWithProjection(CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=4 * WIDTH, projection_dim=WIDTH, num_hidden_layers=4,
        num_attention_heads=4, image_size=SIZE, patch_size=16, hidden_act="quick_gelu"))


def unet():
    return UNet2DConditionModel(
        sample_size=SIZE // 8, in_channels=LATENTS, out_channels=LATENTS,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        block_out_channels=(64, 96, 128, 128), layers_per_block=1, cross_attention_dim=WIDTH,
        attention_head_dim=4,  # as in SD1.5, this is the number of heads
        norm_num_groups=16)


def dit():
    """Like SD3.5: two CLIP encoders' states side by side, no T5, normed queries and keys."""
    return SD3Transformer2DModel(
        sample_size=SIZE // 8, patch_size=2, in_channels=LATENTS, out_channels=LATENTS,
        num_layers=9, num_attention_heads=7, attention_head_dim=16, caption_projection_dim=112,
        joint_attention_dim=2 * WIDTH, pooled_projection_dim=2 * WIDTH, pos_embed_max_size=64,
        qk_norm="rms_norm")


def vae():
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(24, 48, 96, 128), layers_per_block=1, latent_channels=LATENTS,
        norm_num_groups=8, sample_size=SIZE, scaling_factor=1.0,
        shift_factor=0.0)


def scheduler():
    return DDIMScheduler(
        num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
        rescale_betas_zero_snr=True, timestep_spacing="trailing", prediction_type="v_prediction",
        clip_sample=False)


def flow_scheduler():
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=4.0)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@torch.no_grad()
def walk(unet_, z, context, empty, level, steps=25, guidance=3.0, rescale=0.7):
    """DDIM with rescaled guidance, as the pipeline does it, from timestep `level` down.

    z (b, c, h, w) is noisy as that level; `steps` counts those of a whole walk.
    """
    schedule = scheduler()
    schedule.set_timesteps(steps)
    both = torch.cat([empty.expand_as(context), context])
    for t in schedule.timesteps[schedule.timesteps <= level]:
        plain, text = unet_(torch.cat([z, z]), t, both).sample.float().chunk(2)
        v = plain + guidance * (text - plain)
        same = v * (text.std((1, 2, 3), keepdim=True) / v.std((1, 2, 3), keepdim=True))
        v = rescale * same + (1 - rescale) * v
        z = schedule.step(v, t, z).prev_sample
    return z


def sample(unet_, context, empty, steps=25, guidance=3.0, rescale=0.7, seed=0, grid=GRID):
    """A whole walk from noise.  context (b, t, c) -> (b, 16, *grid)"""
    noise = torch.Generator().manual_seed(seed)
    z = torch.randn(len(context), LATENTS, *grid, generator=noise)
    z = z.to(context.device).contiguous(memory_format=torch.channels_last)
    return walk(unet_, z, context, empty, 1000, steps, guidance, rescale)


@torch.no_grad()
def sample_flow(dit_, text, empty, steps=25, guidance=4.0, seed=0, grid=GRID):
    """Euler steps with guidance, as the pipeline does it.

    text and empty: (states (b, t, c), pooled (b, c)), empty of one caption -> (b, 16, *grid)
    """
    schedule = flow_scheduler()
    schedule.set_timesteps(steps)
    noise = torch.Generator().manual_seed(seed)
    z = torch.randn(len(text[0]), LATENTS, *grid, generator=noise)
    states, pooled = (torch.cat([e.expand_as(t), t]) for e, t in zip(empty, text))
    for t in schedule.timesteps:
        plain, said = dit_(torch.cat([z, z]), states, pooled, t.expand(2 * len(z))).sample.chunk(2)
        z = schedule.step(plain + guidance * (said - plain), t, z).prev_sample
    return z
