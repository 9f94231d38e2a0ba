"""The cases of vit.py: configs and input sizes. Tiny, odd, and between them every field that matters."""


def sizes(*shapes):
    """Runs from (batch, height, width)."""
    return list(shapes)


def labels(count):
    return {"id2label": {i: f"kind {i}" for i in range(count)},
            "label2id": {f"kind {i}": i for i in range(count)}}


# name, dtype of the file, class, config, runs (batch, height, width), whether hidden states are kept
TRANSFORMERS = [
    # 35 x 61: the rest that fills no patch is left out. 16 x 64: as many patches as the model's own.
    ("vit_plain", "F32", "ViTForImageClassification", dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        image_size=32, patch_size=8, **labels(5)),
     sizes((2, 32, 32), (1, 48, 32), (1, 35, 61), (1, 16, 64), (1, 35, 35)), True),
    # Not square at its own size; one head; one label.
    ("vit_no_bias", "F16", "ViTForImageClassification", dict(
        hidden_size=24, num_hidden_layers=3, num_attention_heads=1, intermediate_size=40,
        qkv_bias=False, hidden_act="gelu_new", layer_norm_eps=1e-6, image_size=[16, 64],
        patch_size=8, num_channels=1, **labels(1)),
     sizes((2, 16, 64), (1, 24, 40)), False),
    ("vit_model", "BF16", "ViTModel", dict(
        hidden_size=40, num_hidden_layers=1, num_attention_heads=5, intermediate_size=160,
        hidden_act="quick_gelu", image_size=30, patch_size=10, pooler_output_size=24),
     sizes((2, 30, 30), (1, 70, 20)), False),
    ("vit_deit_distilled", "F32", "DeiTForImageClassificationWithTeacher", dict(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=64,
        image_size=24, patch_size=8, **labels(7)),
     sizes((2, 24, 24), (1, 40, 17)), True),
    ("vit_deit_class", "F16", "DeiTForImageClassification", dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        image_size=28, patch_size=7, hidden_act="silu", **labels(3)),
     sizes((1, 28, 28), (2, 21, 42)), False),
    ("vit_deit_model", "F32", "DeiTModel", dict(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        image_size=16, patch_size=8),
     sizes((1, 16, 16)), False),
    ("vit_dinov2", "F32", "Dinov2Model", dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=42, patch_size=7),
     sizes((2, 42, 42), (1, 56, 35), (1, 48, 45), (1, 7, 7)), True),
    ("vit_dinov2_swiglu", "F16", "Dinov2Model", dict(
        hidden_size=40, num_hidden_layers=2, num_attention_heads=4, mlp_ratio=3, qkv_bias=False,
        use_swiglu_ffn=True, use_mask_token=False, image_size=20, patch_size=5),
     sizes((1, 20, 20), (2, 30, 15)), False),
    # Positions are resized with antialiasing: smaller, larger, and one way each.
    ("vit_dinov2_registers", "F32", "Dinov2WithRegistersModel", dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=56, patch_size=7,
        num_register_tokens=4),
     sizes((2, 56, 56), (1, 28, 49), (1, 70, 63), (1, 21, 84)), True),
    ("vit_dinov2_registers_swiglu", "BF16", "Dinov2WithRegistersModel", dict(
        hidden_size=24, num_hidden_layers=3, num_attention_heads=3, image_size=32, patch_size=8,
        num_register_tokens=1, use_swiglu_ffn=True, hidden_act="gelu"),
     sizes((1, 32, 32), (2, 24, 40)), False),
    ("vit_clip_projection", "F32", "CLIPVisionModelWithProjection", dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        image_size=32, patch_size=8, projection_dim=20),
     sizes((2, 32, 32), (1, 40, 24)), True),
    ("vit_clip", "F16", "CLIPVisionModel", dict(
        hidden_size=64, num_hidden_layers=1, num_attention_heads=1, intermediate_size=40,
        hidden_act="gelu", layer_norm_eps=1e-3, image_size=23, patch_size=5),
     sizes((1, 23, 23), (2, 31, 15)), False),
]

# name, dtype, architecture, arguments of the model, runs
TIMM = [
    ("vit_timm_plain", "F32", "vit_tiny_patch16_224.augreg_in21k", dict(
        embed_dim=32, depth=2, num_heads=4, mlp_ratio=3.0, img_size=32, patch_size=8,
        num_classes=6),
     sizes((2, 32, 32), (1, 16, 40), (1, 64, 48))),
    ("vit_timm_rectangle", "F16", "vit_small_patch16_224", dict(
        embed_dim=24, depth=2, num_heads=3, img_size=[16, 64], patch_size=8, num_classes=3,
        qkv_bias=False),
     sizes((1, 16, 64), (1, 32, 32))),
    ("vit_timm_distilled", "F16", "deit_tiny_distilled_patch16_224", dict(
        embed_dim=32, depth=2, num_heads=2, img_size=24, patch_size=8, num_classes=4),
     sizes((2, 24, 24), (1, 32, 16))),
    ("vit_timm_deit3", "BF16", "deit3_small_patch16_224", dict(
        embed_dim=32, depth=2, num_heads=2, img_size=24, patch_size=8, num_classes=4),
     sizes((1, 24, 24), (1, 40, 16))),
    ("vit_timm_dinov2_reg4", "F32", "vit_small_patch14_reg4_dinov2", dict(
        embed_dim=32, depth=2, num_heads=2, img_size=28, patch_size=7, num_classes=0),
     sizes((1, 28, 28), (2, 21, 56))),
    ("vit_timm_clip", "F32", "vit_base_patch32_clip_quickgelu_224", dict(
        embed_dim=32, depth=2, num_heads=4, img_size=32, patch_size=8, num_classes=5),
     sizes((1, 32, 32), (1, 24, 40))),
    ("vit_timm_registers_placed", "F32", "vit_tiny_patch16_224", dict(
        embed_dim=16, depth=1, num_heads=2, img_size=16, patch_size=8, num_classes=2, reg_tokens=3,
        init_values=0.1),
     sizes((1, 16, 16))),
]

# name, dtype, architecture, arguments of the official VisionTransformer, runs
AGENT = [
    ("vit_agent_deit", "F32", "agent_deit_tiny", dict(
        embed_dim=32, depth=4, num_heads=4, img_size=40, patch_size=8, num_classes=5,
        agent_num=[4, 9, 9, 9]),
     sizes((2, 40, 40))),
    ("vit_agent_deit_first_layers", "F16", "agent_deit_base", dict(
        embed_dim=24, depth=3, num_heads=3, img_size=56, patch_size=8, num_classes=2,
        agent_num=[9, 9, 9, 9], agent_layer=2),
     sizes((1, 56, 56))),
]
