"""The cases of forward.py: configs and inputs. Tiny, odd, and between them every field that matters."""

import numpy as np

CROSS_DOWN, PLAIN_DOWN = "CrossAttnDownBlock2D", "DownBlock2D"
CROSS_UP, PLAIN_UP = "CrossAttnUpBlock2D", "UpBlock2D"

# The fields of runwayml-era files: later fields are absent and take their defaults.
SD15_UNET = dict(
    act_fn="silu", attention_head_dim=2, block_out_channels=[16, 32, 64, 64],
    center_input_sample=False, cross_attention_dim=24,
    down_block_types=[CROSS_DOWN, CROSS_DOWN, CROSS_DOWN, PLAIN_DOWN],
    downsample_padding=1, flip_sin_to_cos=True, freq_shift=0, in_channels=4, layers_per_block=2,
    mid_block_scale_factor=1, norm_eps=1e-05, norm_num_groups=8, out_channels=4, sample_size=16,
    up_block_types=[PLAIN_UP, CROSS_UP, CROSS_UP, CROSS_UP])

SDXL_UNET = dict(
    act_fn="silu", addition_embed_type="text_time", addition_time_embed_dim=8,
    attention_head_dim=[2, 4, 8], block_out_channels=[16, 24, 32], cross_attention_dim=24,
    in_channels=4, layers_per_block=2, norm_num_groups=8, out_channels=4,
    projection_class_embeddings_input_dim=68, sample_size=12,
    transformer_layers_per_block=[1, 2, 5], use_linear_projection=True)


def unet_run(n, height, width, tokens, context, timestep, channels=4, **more):
    return dict(sample=("normal", (n, channels, height, width)), timestep=timestep,
                encoder_hidden_states=("normal", (n, tokens, context)), **more)


def ints(*values):
    return np.array(values, np.int64)


def floats(*values):
    return np.array(values, np.float32)


# name, dtype of the file, sparse (only these fields, as old files) or full config, config, runs
UNETS = [
    ("unet_sd15", "F16", True, SD15_UNET,
     [unet_run(2, 9, 13, 77, 24, ints(981, 37)), unet_run(1, 16, 8, 7, 24, ints(0))]),
    # Head sizes 2 and 4, one token of context, sides that halve to 1.
    ("unet_smallest", "F32", False, dict(
        block_out_channels=[4, 8], layers_per_block=1, sample_size=8, norm_num_groups=2,
        attention_head_dim=2, cross_attention_dim=8, down_block_types=[PLAIN_DOWN, CROSS_DOWN],
        up_block_types=[CROSS_UP, PLAIN_UP]),
     [unet_run(2, 7, 10, 1, 8, ints(500)), unet_run(3, 2, 1, 7, 8, ints(1, 250, 999))]),
    ("unet_inpaint_linear", "BF16", False, dict(
        in_channels=9, block_out_channels=[16, 32, 48], layers_per_block=[1, 2, 3], sample_size=8,
        norm_num_groups=4, attention_head_dim=[1, 2, 3], use_linear_projection=True,
        cross_attention_dim=20, down_block_types=[CROSS_DOWN, CROSS_DOWN, CROSS_DOWN],
        up_block_types=[CROSS_UP, CROSS_UP, CROSS_UP]),
     [unet_run(2, 7, 10, 7, 20, ints(800, 3), channels=9)]),
    # Head sizes 40 and 80, sines first, fractional time steps.
    ("unet_sines_first", "F32", False, dict(
        flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6, block_out_channels=[80, 160],
        layers_per_block=1, norm_num_groups=16, attention_head_dim=2, cross_attention_dim=32,
        sample_size=[8, 6], down_block_types=[CROSS_DOWN, PLAIN_DOWN],
        up_block_types=[PLAIN_UP, CROSS_UP]),
     [unet_run(2, 8, 6, 77, 32, floats(713.25, 0.5)), unet_run(1, 5, 5, 3, 32, floats(999))]),
    # Cross-attention alone in level 0, deeper transformers in level 1.
    ("unet_depths", "F32", False, dict(
        only_cross_attention=[True, False, False], block_out_channels=[8, 24, 32],
        cross_attention_dim=[12, 12, 12], transformer_layers_per_block=[1, 3, 2],
        layers_per_block=1, norm_num_groups=4, attention_head_dim=4, sample_size=12,
        down_block_types=[CROSS_DOWN, CROSS_DOWN, CROSS_DOWN],
        up_block_types=[CROSS_UP, CROSS_UP, CROSS_UP]),
     [unet_run(2, 12, 9, 7, 12, ints(601))]),
    # Guidance embedded in the time embedding, as in latent consistency models.
    ("unet_lcm", "F16", False, dict(
        time_cond_proj_dim=10, center_input_sample=True, block_out_channels=[16, 32],
        layers_per_block=2, norm_num_groups=8, attention_head_dim=[2, 4], cross_attention_dim=16,
        sample_size=8, down_block_types=[CROSS_DOWN, CROSS_DOWN],
        up_block_types=[CROSS_UP, CROSS_UP]),
     [unet_run(2, 5, 8, 8, 16, ints(259, 999), timestep_cond=("normal", (2, 10)))]),
    ("unet_scale_shift", "F32", False, dict(
        resnet_time_scale_shift="scale_shift", downsample_padding=0, mid_block_type=None,
        block_out_channels=[16, 24, 24], layers_per_block=1, norm_num_groups=4,
        attention_head_dim=3, cross_attention_dim=16, sample_size=8,
        down_block_types=[PLAIN_DOWN, CROSS_DOWN, CROSS_DOWN],
        up_block_types=[CROSS_UP, CROSS_UP, PLAIN_UP]),
     [unet_run(2, 8, 8, 5, 16, ints(440, 20)), unet_run(1, 11, 6, 1, 16, ints(7))]),
    ("unet_gelu", "BF16", False, dict(
        act_fn="gelu", mid_block_scale_factor=1.5, block_out_channels=[12, 24], layers_per_block=3,
        norm_num_groups=6, attention_head_dim=6, cross_attention_dim=10, sample_size=8,
        upcast_attention=True, down_block_types=[CROSS_DOWN, CROSS_DOWN],
        up_block_types=[CROSS_UP, CROSS_UP]),
     [unet_run(1, 6, 7, 4, 10, ints(123))]),
    # One level: no resampling at all. 3 channels out.
    ("unet_one_level", "F32", False, dict(
        block_out_channels=[32], layers_per_block=2, norm_num_groups=8, attention_head_dim=4,
        cross_attention_dim=16, out_channels=3, in_channels=5, sample_size=8,
        down_block_types=[CROSS_DOWN], up_block_types=[CROSS_UP]),
     [unet_run(2, 5, 3, 9, 16, ints(999, 0), channels=5)]),
    ("unet_sd21", "F16", True, dict(
        SD15_UNET, attention_head_dim=[5, 10, 20, 20], block_out_channels=[20, 40, 80, 80],
        norm_num_groups=10, cross_attention_dim=40, use_linear_projection=True,
        dual_cross_attention=False, num_class_embeds=None, only_cross_attention=False,
        upcast_attention=True),
     [unet_run(2, 12, 12, 77, 40, ints(351))]),
    # Pooled text and picture sizes; the transformers deepen level by level.
    ("unet_sdxl", "F16", True, dict(
        SDXL_UNET, down_block_types=[PLAIN_DOWN, CROSS_DOWN, CROSS_DOWN],
        up_block_types=[CROSS_UP, CROSS_UP, PLAIN_UP]),
     [unet_run(2, 10, 12, 77, 24, ints(981, 441), text_embeds=("normal", (2, 20)),
               time_ids=floats([8, 6, 0, 0, 8, 6], [10, 12, 1, 2, 10, 12])),
      unet_run(1, 8, 6, 7, 24, ints(1), text_embeds=("normal", (1, 20)),
               time_ids=floats([3, 5, 7, 9, 11, 13]))]),
    ("unet_sdxl_refiner", "F32", True, dict(
        SDXL_UNET, attention_head_dim=[1, 2, 4, 4], block_out_channels=[16, 24, 32, 32],
        down_block_types=[PLAIN_DOWN, CROSS_DOWN, CROSS_DOWN, PLAIN_DOWN],
        up_block_types=[PLAIN_UP, CROSS_UP, CROSS_UP, PLAIN_UP],
        projection_class_embeddings_input_dim=60, transformer_layers_per_block=4),
     [unet_run(2, 16, 9, 9, 24, ints(199), text_embeds=("normal", (2, 20)),
               time_ids=floats([8, 6, 0, 0, 6], [8, 6, 0, 0, 2.5]))]),
    # Distilled SDXL: a list of depths for every block, as in SSD-1B.
    ("unet_sdxl_depth_lists", "F32", False, dict(
        SDXL_UNET, down_block_types=[PLAIN_DOWN, CROSS_DOWN, CROSS_DOWN],
        up_block_types=[CROSS_UP, CROSS_UP, PLAIN_UP], class_embed_type=None,
        transformer_layers_per_block=[0, [2, 1], [1, 3]],
        reverse_transformer_layers_per_block=[[3, 1, 2], [2, 1, 1], 0]),
     [unet_run(1, 8, 8, 5, 24, ints(601), text_embeds=("normal", (1, 20)),
               time_ids=floats([8, 8, 0, 0, 8, 8]))]),
    # As above without a mid block and with one resnet a level, as in KOALA.
    ("unet_sdxl_no_mid", "F32", False, dict(
        SDXL_UNET, down_block_types=[PLAIN_DOWN, CROSS_DOWN, CROSS_DOWN],
        up_block_types=[CROSS_UP, CROSS_UP, PLAIN_UP], mid_block_type=None, layers_per_block=1,
        transformer_layers_per_block=[1, 2, 3]),
     [unet_run(1, 8, 8, 5, 24, ints(601), text_embeds=("normal", (1, 20)),
               time_ids=floats([8, 8, 0, 0, 8, 8]))]),
]


def vae_runs(latent, *sizes):
    runs = []
    for n, height, width, picture_height, picture_width in sizes:
        runs.append(dict(z=("normal", (n, latent, height, width))))
        runs.append(dict(x=("picture", (n, 3, picture_height, picture_width))))
    return runs


def vae_blocks(count):
    return dict(down_block_types=["DownEncoderBlock2D"] * count,
                up_block_types=["UpDecoderBlock2D"] * count)


# As above, with the naming of the file: "now" or "old" attention names.
VAES = [
    ("vae_sd15", "F32", True, "now", dict(
        act_fn="silu", block_out_channels=[8, 16, 32, 32], in_channels=3, latent_channels=4,
        layers_per_block=2, norm_num_groups=4, out_channels=3, sample_size=32, **vae_blocks(4)),
     vae_runs(4, (2, 3, 5, 33, 47))),
    ("vae_sd3", "BF16", False, "now", dict(
        block_out_channels=[8, 16, 16, 24], latent_channels=16, layers_per_block=1,
        norm_num_groups=4, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.0609,
        scaling_factor=1.5305, force_upcast=True, sample_size=64, **vae_blocks(4)),
     vae_runs(16, (1, 2, 3, 24, 17))),
    ("vae_no_attention", "F32", False, "now", dict(
        block_out_channels=[12, 24], latent_channels=3, layers_per_block=1, norm_num_groups=6,
        mid_block_add_attention=False, scaling_factor=1.0, sample_size=32, **vae_blocks(2)),
     vae_runs(3, (2, 7, 5, 15, 11))),
    ("vae_one_quant_conv", "F16", False, "now", dict(
        block_out_channels=[8, 16, 16], latent_channels=4, layers_per_block=2, norm_num_groups=2,
        use_post_quant_conv=False, sample_size=32, **vae_blocks(3)),
     vae_runs(4, (1, 5, 6, 21, 22))),
    ("vae_old_names", "F16", True, "old", dict(
        act_fn="silu", block_out_channels=[16, 32], in_channels=3, latent_channels=4,
        layers_per_block=2, out_channels=3, norm_num_groups=8, sample_size=32, **vae_blocks(2)),
     vae_runs(4, (1, 9, 4, 13, 18))),
    ("vae_factor_1", "F32", False, "now", dict(
        block_out_channels=[32], latent_channels=8, layers_per_block=3, norm_num_groups=1,
        sample_size=16, **vae_blocks(1)),
     vae_runs(8, (2, 5, 7, 6, 9))),
]

SD15_CLIP = dict(
    attention_dropout=0.0, bos_token_id=0, dropout=0.0, eos_token_id=2, hidden_act="quick_gelu",
    hidden_size=48, initializer_factor=1.0, initializer_range=0.02, intermediate_size=96,
    layer_norm_eps=1e-05, max_position_embeddings=77, model_type="clip_text_model",
    num_attention_heads=6, num_hidden_layers=3, pad_token_id=1, projection_dim=48,
    torch_dtype="float32", transformers_version="4.22.0.dev0", vocab_size=99)


def ids(*rows):
    return np.array(rows, np.int64)


def prompt(seed, count, start, end, length, high):
    """A start, `count` words below `high`, and the end repeated up to `length`."""
    words = np.random.default_rng(seed).integers(3, high, count)
    return [start, *words.tolist(), *[end] * (length - count - 1)]


# name, dtype, class, keys with "text_model." or bare, config (None fields are left out), runs
CLIPS = [
    # End-of-text by the old rule: the highest id of the row, the first if it repeats.
    ("clip_sd15", "F32", "CLIPTextModel", "text_model.", SD15_CLIP,
     [dict(input_ids=ids(prompt(1, 5, 0, 98, 77, 98), prompt(2, 75, 0, 98, 77, 98))),
      dict(input_ids=ids([7])), dict(input_ids=ids([0, 5, 97, 4, 97, 3, 2, 1]))]),
    # The new rule: the first id equal to eos_token_id, although a higher one stands before it.
    ("clip_gelu_bare", "F16", "CLIPTextModel", "", dict(
        vocab_size=64, hidden_size=32, intermediate_size=40, num_hidden_layers=2,
        num_attention_heads=4, hidden_act="gelu", max_position_embeddings=16, bos_token_id=0,
        eos_token_id=50, pad_token_id=50, projection_dim=32),
     [dict(input_ids=ids([0, 63, 9, 50, 50, 50, 50, 50], [0, 50, 8, 7, 50, 61, 4, 3])),
      dict(input_ids=ids([0, 1, 2], [5, 4, 3]))]),
    ("clip_projection", "F32", "CLIPTextModelWithProjection", "text_model.", dict(
        vocab_size=99, hidden_size=40, intermediate_size=64, num_hidden_layers=3,
        num_attention_heads=5, hidden_act="gelu", max_position_embeddings=77, bos_token_id=97,
        eos_token_id=98, pad_token_id=98, projection_dim=24),
     [dict(input_ids=ids(prompt(3, 20, 97, 98, 77, 97), prompt(4, 0, 97, 98, 77, 97)))]),
    ("clip_projection_old_rule", "BF16", "CLIPTextModelWithProjection", "text_model.", dict(
        vocab_size=50, hidden_size=24, intermediate_size=24, num_hidden_layers=1,
        num_attention_heads=1, hidden_act="quick_gelu", max_position_embeddings=10, bos_token_id=0,
        eos_token_id=2, pad_token_id=1, projection_dim=32, layer_norm_eps=1e-3),
     [dict(input_ids=ids([0, 2, 49, 48, 49, 2, 1, 1, 1, 1]))]),
    ("clip_one_token", "F32", "CLIPTextModel", "", dict(
        vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=4,
        num_attention_heads=2, hidden_act="gelu", max_position_embeddings=8, bos_token_id=0,
        eos_token_id=19, pad_token_id=0, projection_dim=16),
     [dict(input_ids=ids([19], [3], [0])), dict(input_ids=ids([0, 4, 19, 0, 0, 0, 0, 0]))]),
    # 64 channels a head, as in CLIP itself.
    ("clip_heads_of_64", "F16", "CLIPTextModelWithProjection", "text_model.", dict(
        vocab_size=120, hidden_size=128, intermediate_size=256, num_hidden_layers=2,
        num_attention_heads=2, hidden_act="quick_gelu", max_position_embeddings=77,
        bos_token_id=118, eos_token_id=119, pad_token_id=119, projection_dim=64),
     [dict(input_ids=ids(prompt(5, 11, 118, 119, 20, 118)))]),
]


def grid_ids(height, width, step=1.0, start=0.0):
    rows, columns = np.mgrid[:height, :width].astype(np.float32) * np.float32(step) + start
    return np.stack([np.zeros_like(rows), rows, columns], -1).reshape(-1, 3)


def joint_run(n, latent, tokens, context, pooled, timestep, **more):
    return dict(hidden_states=("normal", (n, *latent)), timestep=timestep,
                encoder_hidden_states=("normal", (n, tokens, context)),
                pooled_projections=("normal", (n, pooled)), **more)


def flux_run(n, grid, channels, tokens, context, pooled, timestep, **more):
    run = joint_run(n, (grid[0] * grid[1], channels), tokens, context, pooled, timestep,
                    img_ids=grid_ids(*grid), txt_ids=np.zeros((tokens, 3), np.float32))
    return {**run, **more}


def local(run, plan, grid, text_first, down=1):
    """The run under an operator: image tokens see the image tokens within 3 and all text."""
    assert plan.startswith("clear(r=3") and (f"down={down}" in plan) == (down > 1)
    rows, columns = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    near = (rows[:, None] - rows) ** 2 + (columns[:, None] - columns) ** 2 < 9
    return {**run, "attention": dict(plan=plan, near=near, text_first=text_first, grid=grid,
                                     down=down, proportional="proportional=on" in plan)}


def class_run(latent, timestep, *labels):
    return dict(hidden_states=("normal", (len(labels), *latent)), timestep=timestep,
                class_labels=ints(*labels))


# Cases whose layers have CLEAR's pooling, and its shape.
POOLED = {"flux_clear": [1, 2, 1, 2, 1]}

# Fields of published DiT files that diffusers' class of today does not know.
OLD_FIELDS = ("cross_attention_dim", "double_self_attention", "num_vector_embeds",
              "only_cross_attention", "use_linear_projection")

# name, dtype of the file, class in the file, sparse or full config, config, runs
TRANSFORMERS = [
    ("sd3", "F16", "SD3Transformer2DModel", True, dict(
        attention_head_dim=8, caption_projection_dim=24, in_channels=4, joint_attention_dim=20,
        num_attention_heads=3, num_layers=3, out_channels=4, patch_size=2, pooled_projection_dim=12,
        pos_embed_max_size=9, sample_size=12),
     [joint_run(2, (4, 10, 14), 11, 20, 12, floats(981.5, 37)),
      joint_run(1, (4, 7, 18), 1, 20, 12, floats(500))]),
    # 3.5 large: norms of queries and keys.
    ("sd3_qk_norm", "BF16", "SD3Transformer2DModel", False, dict(
        attention_head_dim=16, caption_projection_dim=32, in_channels=5, joint_attention_dim=18,
        num_attention_heads=2, num_layers=2, out_channels=3, patch_size=1, pooled_projection_dim=9,
        pos_embed_max_size=7, sample_size=6, qk_norm="rms_norm"),
     [joint_run(2, (5, 7, 4), 5, 18, 9, floats(250.25))]),
    # 3.5 medium: a second attention over the image alone.
    ("sd3_dual", "F32", "SD3Transformer2DModel", False, dict(
        attention_head_dim=12, caption_projection_dim=12, in_channels=3, joint_attention_dim=10,
        num_attention_heads=1, num_layers=3, out_channels=3, patch_size=4, pooled_projection_dim=7,
        pos_embed_max_size=5, sample_size=16, qk_norm="rms_norm", dual_attention_layers=[0, 2]),
     [joint_run(3, (3, 20, 8), 6, 10, 7, floats(1000, 0, 1)),
      joint_run(1, (3, 11, 17), 3, 10, 7, floats(77)),
      local(joint_run(2, (3, 20, 16), 6, 10, 7, floats(321)), "clear(r=3)", (5, 4), False)]),
    ("sd3_sines", "F32", "SD3Transformer2DModel", False, dict(
        attention_head_dim=8, caption_projection_dim=16, in_channels=4, joint_attention_dim=10,
        num_attention_heads=2, num_layers=2, out_channels=None, patch_size=2,
        pooled_projection_dim=7, pos_embed_max_size=None, sample_size=10),
     [joint_run(1, (4, 6, 14), 4, 10, 7, floats(640))]),
    ("flux_dev", "F32", "FluxTransformer2DModel", False, dict(
        attention_head_dim=16, axes_dims_rope=[4, 6, 6], guidance_embeds=True, in_channels=8,
        joint_attention_dim=14, num_attention_heads=3, num_layers=2, num_single_layers=3,
        pooled_projection_dim=10),
     [flux_run(2, (3, 5), 8, 7, 14, 10, floats(0.75, 0.031), guidance=floats(3.5, 1)),
      flux_run(1, (6, 1), 8, 1, 14, 10, floats(1), guidance=floats(7.25)),
      local(flux_run(2, (5, 7), 8, 6, 14, 10, floats(0.6), guidance=floats(2)), "clear(r=3)",
            (5, 7), True),
      flux_run(2, (5, 6), 8, 3, 14, 10, floats(0.3), guidance=floats(5), ntk_factor=floats(10))]),
    # As CLEAR's high resolution runs it.
    ("flux_clear", "F32", "FluxTransformer2DModel", True, dict(
        attention_head_dim=16, axes_dims_rope=[4, 6, 6], in_channels=8, joint_attention_dim=12,
        num_attention_heads=2, num_layers=2, num_single_layers=2, pooled_projection_dim=8),
     [local(flux_run(2, (6, 8), 8, 5, 12, 8, floats(0.7)), "clear(r=3,down=2)", (6, 8), True, 2),
      local(flux_run(1, (4, 10), 8, 3, 12, 8, floats(0.4), ntk_factor=floats(10)),
            "clear(r=3,down=2,proportional=on)", (4, 10), True, 2),
      local(flux_run(1, (8, 4), 8, 3, 12, 8, floats(0.4), ntk_factor=floats(2.5)),
            "clear(r=3,down=2)", (8, 4), True, 2)]),
    ("flux_schnell", "F16", "FluxTransformer2DModel", True, dict(
        attention_head_dim=24, axes_dims_rope=[8, 8, 8], guidance_embeds=False, in_channels=6,
        joint_attention_dim=9, num_attention_heads=2, num_layers=1, num_single_layers=1,
        patch_size=1, pooled_projection_dim=8),
     [flux_run(2, (5, 2), 6, 19, 9, 8, floats(0.5, 0.25))]),
    # Positions between the pixels, of no grid, and of text; results of 2 x 2.
    ("flux_positions", "BF16", "FluxTransformer2DModel", False, dict(
        attention_head_dim=20, axes_dims_rope=[2, 10, 8], in_channels=6, joint_attention_dim=9,
        num_attention_heads=2, num_layers=1, num_single_layers=2, patch_size=2, out_channels=3,
        pooled_projection_dim=8),
     [flux_run(1, (4, 3), 6, 4, 9, 8, floats(0.9), img_ids=grid_ids(4, 3, 1.5, 7.25)),
      flux_run(1, (4, 3), 6, 4, 9, 8, floats(0.4),
               img_ids=np.random.default_rng(5).normal(0, 9, (12, 3)).astype(np.float32),
               txt_ids=np.random.default_rng(6).normal(0, 9, (4, 3)).astype(np.float32))]),
    # Twice the channels out: learned sigma. The last class of 8 means "none".
    ("dit", "F32", "DiTTransformer2DModel", False, dict(
        attention_head_dim=8, in_channels=4, num_attention_heads=3, num_embeds_ada_norm=7,
        num_layers=3, out_channels=8, patch_size=2, sample_size=12),
     [class_run((4, 12, 12), ints(981, 37), 7, 3), class_run((4, 9, 9), ints(500), 0)]),
    # As published: a class of many uses, with the fields of the others.
    ("dit_published", "F16", "Transformer2DModel", True, dict(
        activation_fn="gelu-approximate", attention_bias=True, attention_head_dim=12,
        cross_attention_dim=None, double_self_attention=False, dropout=0.0, in_channels=4,
        norm_elementwise_affine=False, norm_num_groups=32, norm_type="ada_norm_zero",
        num_attention_heads=2, num_embeds_ada_norm=5, num_layers=2, num_vector_embeds=None,
        only_cross_attention=False, out_channels=8, patch_size=4, sample_size=8,
        upcast_attention=False, use_linear_projection=False),
     [class_run((4, 8, 8), ints(999), 5, 1, 0), class_run((4, 20, 20), ints(3), 2)]),
    ("dit_geglu", "F32", "DiTTransformer2DModel", False, dict(
        activation_fn="geglu", attention_bias=False, attention_head_dim=16, in_channels=3,
        norm_elementwise_affine=True, norm_eps=1e-3, num_attention_heads=1, num_embeds_ada_norm=3,
        num_layers=2, patch_size=1, sample_size=4),
     [class_run((3, 5, 5), ints(123), 1)]),
]
