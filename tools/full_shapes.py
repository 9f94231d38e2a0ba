"""Configs, tensor names and shapes of real diffusion models, for full_size.py.

A config is what the published folder holds. NAME_shapes(config) gives tensor name -> shape.
"""

UNET = {
    "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6.0", "act_fn": "silu",
    "attention_head_dim": 8, "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False, "cross_attention_dim": 768,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"], "downsample_padding": 1,
    "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 4, "layers_per_block": 2,
    "mid_block_scale_factor": 1, "norm_eps": 1e-05, "norm_num_groups": 32, "out_channels": 4,
    "sample_size": 64, "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3}
SDXL_UNET = {
    **UNET, "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
    "attention_head_dim": [5, 10, 20], "block_out_channels": [320, 640, 1280],
    "cross_attention_dim": 2048,
    "down_block_types": ["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 2,
    "projection_class_embeddings_input_dim": 2816, "sample_size": 128,
    "transformer_layers_per_block": [1, 2, 10],
    "up_block_types": ["CrossAttnUpBlock2D"] * 2 + ["UpBlock2D"], "use_linear_projection": True}
VAE = {
    "_class_name": "AutoencoderKL", "_diffusers_version": "0.6.0", "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512], "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3, "latent_channels": 4, "layers_per_block": 2, "norm_num_groups": 32,
    "out_channels": 3, "sample_size": 512, "up_block_types": ["UpDecoderBlock2D"] * 4}
CLIP = {
    "architectures": ["CLIPTextModel"], "attention_dropout": 0.0, "bos_token_id": 0, "dropout": 0.0,
    "eos_token_id": 2, "hidden_act": "quick_gelu", "hidden_size": 768, "initializer_factor": 1.0,
    "initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77, "model_type": "clip_text_model", "num_attention_heads": 12,
    "num_hidden_layers": 12, "pad_token_id": 1, "projection_dim": 768, "torch_dtype": "float32",
    "transformers_version": "4.22.0.dev0", "vocab_size": 49408}
SDXL_CLIP_2 = {
    **CLIP, "architectures": ["CLIPTextModelWithProjection"], "hidden_act": "gelu",
    "hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20,
    "num_hidden_layers": 32, "projection_dim": 1280}
SDXL_VAE = {**VAE, "force_upcast": True, "sample_size": 1024, "scaling_factor": 0.13025}
SDXL_SCHEDULER = {
    "_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.19.0", "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "interpolation_type": "linear",
    "num_train_timesteps": 1000, "prediction_type": "epsilon", "steps_offset": 1,
    "timestep_spacing": "leading", "trained_betas": None, "use_karras_sigmas": False}
SCHEDULER = {
    "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": False,
    "num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True,
    "steps_offset": 1, "trained_betas": None}
INDEX = {
    "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.6.0",
    "feature_extractor": [None, None], "safety_checker": [None, None],
    "scheduler": ["diffusers", "PNDMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"]}
SDXL_INDEX = {
    "_class_name": "StableDiffusionXLPipeline", "_diffusers_version": "0.19.0",
    "force_zeros_for_empty_prompt": True,
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
TOKENIZER = {
    "add_prefix_space": False, "bos_token": "<|startoftext|>", "do_lower_case": True,
    "eos_token": "<|endoftext|>", "errors": "replace", "model_max_length": 77,
    "pad_token": "<|endoftext|>", "tokenizer_class": "CLIPTokenizer", "unk_token": "<|endoftext|>"}
FLUX = {
    "_class_name": "FluxTransformer2DModel", "_diffusers_version": "0.30.0",
    "attention_head_dim": 128, "axes_dims_rope": [16, 56, 56], "guidance_embeds": True,
    "in_channels": 64, "joint_attention_dim": 4096, "num_attention_heads": 24,
    "patch_size": 1, "pooled_projection_dim": 768}
SD3 = {
    "_class_name": "SD3Transformer2DModel", "_diffusers_version": "0.31.0",
    "attention_head_dim": 64, "caption_projection_dim": 1536, "in_channels": 16,
    "joint_attention_dim": 4096, "num_attention_heads": 24, "out_channels": 16, "patch_size": 2,
    "pooled_projection_dim": 2048, "pos_embed_max_size": 384, "qk_norm": "rms_norm",
    "sample_size": 128}
FLOW_VAE = {**VAE, "latent_channels": 16, "sample_size": 1024, "use_post_quant_conv": False,
            "use_quant_conv": False}
FLUX_VAE = {**FLOW_VAE, "scaling_factor": 0.3611, "shift_factor": 0.1159}
SD3_VAE = {**FLOW_VAE, "scaling_factor": 1.5305, "shift_factor": 0.0609}
T5 = {
    "architectures": ["T5EncoderModel"], "d_ff": 10240, "d_kv": 64, "d_model": 4096,
    "dense_act_fn": "gelu_new", "eos_token_id": 1, "feed_forward_proj": "gated-gelu",
    "is_gated_act": True, "layer_norm_epsilon": 1e-06, "model_type": "t5", "num_heads": 64,
    "num_layers": 24, "pad_token_id": 0, "relative_attention_max_distance": 128,
    "relative_attention_num_buckets": 32, "vocab_size": 32128}
FLUX_SCHEDULER = {
    "_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.30.0",
    "base_image_seq_len": 256, "base_shift": 0.5, "max_image_seq_len": 4096, "max_shift": 1.15,
    "num_train_timesteps": 1000, "shift": 3.0, "use_dynamic_shifting": True}
SD3_SCHEDULER = {
    "_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.29.0",
    "num_train_timesteps": 1000, "shift": 3.0}
FLUX_INDEX = {
    "_class_name": "FluxPipeline", "_diffusers_version": "0.30.0",
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "T5EncoderModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "FluxTransformer2DModel"], "vae": ["diffusers", "AutoencoderKL"]}
SD3_INDEX = {
    "_class_name": "StableDiffusion3Pipeline", "_diffusers_version": "0.29.0",
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "text_encoder_3": ["transformers", "T5EncoderModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "tokenizer_3": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "SD3Transformer2DModel"], "vae": ["diffusers", "AutoencoderKL"]}


class Shapes(dict):
    """Tensor name -> shape, filled module by module."""

    def linear(self, name, inputs, outputs, bias=True):
        self[name + ".weight"] = [outputs, inputs]
        if bias:
            self[name + ".bias"] = [outputs]

    def conv(self, name, inputs, outputs, kernel=3):
        self[name + ".weight"] = [outputs, inputs, kernel, kernel]
        self[name + ".bias"] = [outputs]

    def norm(self, name, channels):
        self[name + ".weight"] = [channels]
        self[name + ".bias"] = [channels]

    def resnet(self, name, inputs, outputs, time=0):
        self.norm(name + ".norm1", inputs)
        self.conv(name + ".conv1", inputs, outputs)
        if time:
            self.linear(name + ".time_emb_proj", time, outputs)
        self.norm(name + ".norm2", outputs)
        self.conv(name + ".conv2", outputs, outputs)
        if inputs != outputs:
            self.conv(name + ".conv_shortcut", inputs, outputs, 1)

    def transformer(self, name, channels, context, layers, linear):
        self.norm(name + ".norm", channels)
        for projection in ("proj_in", "proj_out"):
            if linear:
                self.linear(f"{name}.{projection}", channels, channels)
            else:
                self.conv(f"{name}.{projection}", channels, channels, 1)
        for i in range(layers):
            self.transformer_block(f"{name}.transformer_blocks.{i}", channels, context)

    def transformer_block(self, block, channels, context):
        for attention, keys in (("attn1", channels), ("attn2", context)):
            self.linear(f"{block}.{attention}.to_q", channels, channels, bias=False)
            self.linear(f"{block}.{attention}.to_k", keys, channels, bias=False)
            self.linear(f"{block}.{attention}.to_v", keys, channels, bias=False)
            self.linear(f"{block}.{attention}.to_out.0", channels, channels)
        for norm in ("norm1", "norm2", "norm3"):
            self.norm(f"{block}.{norm}", channels)
        self.linear(block + ".ff.net.0.proj", channels, 8 * channels)
        self.linear(block + ".ff.net.2", 4 * channels, channels)

    def embedding(self, name, inputs, channels):
        self.linear(name + ".linear_1", inputs, channels)
        self.linear(name + ".linear_2", channels, channels)

    def qkv(self, name, channels, head_dim, text=False):
        for part in ("add_q_proj", "add_k_proj", "add_v_proj") if text else ("to_q", "to_k", "to_v"):
            self.linear(f"{name}.{part}", channels, channels)
        for part in ("norm_added_q", "norm_added_k") if text else ("norm_q", "norm_k"):
            self[f"{name}.{part}.weight"] = [head_dim]

    def feed_forward(self, name, channels):
        self.linear(name + ".net.0.proj", channels, 4 * channels)
        self.linear(name + ".net.2", 4 * channels, channels)

    def joint_block(self, name, channels, head_dim, last=False):
        self.linear(name + ".norm1.linear", channels, 6 * channels)
        self.linear(name + ".norm1_context.linear", channels, (2 if last else 6) * channels)
        self.qkv(name + ".attn", channels, head_dim)
        self.qkv(name + ".attn", channels, head_dim, text=True)
        self.linear(name + ".attn.to_out.0", channels, channels)
        self.feed_forward(name + ".ff", channels)
        if not last:
            self.linear(name + ".attn.to_add_out", channels, channels)
            self.feed_forward(name + ".ff_context", channels)

    def vae_middle(self, name, channels):
        self.resnet(name + ".resnets.0", channels, channels)
        self.norm(name + ".attentions.0.group_norm", channels)
        for part in ("query", "key", "value", "proj_attn"):  # names of the time
            self.linear(f"{name}.attentions.0.{part}", channels, channels)
        self.resnet(name + ".resnets.1", channels, channels)


def unet_shapes(config):
    shapes, widths, layers = Shapes(), config["block_out_channels"], config["layers_per_block"]
    context, time = config["cross_attention_dim"], 4 * widths[0]
    depths = config.get("transformer_layers_per_block", [1] * len(widths))

    def transformer(name, level):
        shapes.transformer(name, widths[level], context, depths[level],
                           config.get("use_linear_projection", False))

    shapes.conv("conv_in", config["in_channels"], widths[0])
    shapes.linear("time_embedding.linear_1", widths[0], time)
    shapes.linear("time_embedding.linear_2", time, time)
    if "addition_embed_type" in config:
        shapes.linear("add_embedding.linear_1", config["projection_class_embeddings_input_dim"],
                      time)
        shapes.linear("add_embedding.linear_2", time, time)
    skips, channels = [widths[0]], widths[0]
    for i, width in enumerate(widths):
        for j in range(layers):
            shapes.resnet(f"down_blocks.{i}.resnets.{j}", channels, width, time)
            channels = width
            if config["down_block_types"][i].startswith("CrossAttn"):
                transformer(f"down_blocks.{i}.attentions.{j}", i)
            skips.append(width)
        if i + 1 < len(widths):
            shapes.conv(f"down_blocks.{i}.downsamplers.0.conv", width, width)
            skips.append(width)
    shapes.resnet("mid_block.resnets.0", channels, channels, time)
    transformer("mid_block.attentions.0", -1)
    shapes.resnet("mid_block.resnets.1", channels, channels, time)
    for i, width in enumerate(reversed(widths)):
        for j in range(layers + 1):
            shapes.resnet(f"up_blocks.{i}.resnets.{j}", channels + skips.pop(), width, time)
            channels = width
            if config["up_block_types"][i].startswith("CrossAttn"):
                transformer(f"up_blocks.{i}.attentions.{j}", len(widths) - 1 - i)
        if i + 1 < len(widths):
            shapes.conv(f"up_blocks.{i}.upsamplers.0.conv", width, width)
    shapes.norm("conv_norm_out", channels)
    shapes.conv("conv_out", channels, config["out_channels"])
    return shapes


def flux_shapes(config):
    shapes, head_dim = Shapes(), config["attention_head_dim"]
    channels = config["num_attention_heads"] * head_dim
    shapes.linear("x_embedder", config["in_channels"], channels)
    shapes.linear("context_embedder", config["joint_attention_dim"], channels)
    for name, inputs in (("timestep", 256), ("guidance", 256),
                         ("text", config["pooled_projection_dim"])):
        shapes.embedding(f"time_text_embed.{name}_embedder", inputs, channels)
    for i in range(config["num_layers"]):
        shapes.joint_block(f"transformer_blocks.{i}", channels, head_dim)
    for i in range(config["num_single_layers"]):
        block = f"single_transformer_blocks.{i}"
        shapes.linear(block + ".norm.linear", channels, 3 * channels)
        shapes.qkv(block + ".attn", channels, head_dim)
        shapes.linear(block + ".proj_mlp", channels, 4 * channels)
        shapes.linear(block + ".proj_out", 5 * channels, channels)
    shapes.linear("norm_out.linear", channels, 2 * channels)
    shapes.linear("proj_out", channels, config["in_channels"])
    return shapes


def sd3_shapes(config):
    shapes, head_dim = Shapes(), config["attention_head_dim"]
    channels, patch = config["num_attention_heads"] * head_dim, config["patch_size"]
    shapes.conv("pos_embed.proj", config["in_channels"], channels, patch)
    shapes["pos_embed.pos_embed"] = [1, config["pos_embed_max_size"] ** 2, channels]
    shapes.linear("context_embedder", config["joint_attention_dim"], channels)
    for name, inputs in (("timestep", 256), ("text", config["pooled_projection_dim"])):
        shapes.embedding(f"time_text_embed.{name}_embedder", inputs, channels)
    for i in range(config["num_layers"]):
        block = f"transformer_blocks.{i}"
        shapes.joint_block(block, channels, head_dim, last=i + 1 == config["num_layers"])
        if i in config["dual_attention_layers"]:
            shapes.linear(block + ".norm1.linear", channels, 9 * channels)
            shapes.qkv(block + ".attn2", channels, head_dim)
            shapes.linear(block + ".attn2.to_out.0", channels, channels)
    shapes.linear("norm_out.linear", channels, 2 * channels)
    shapes.linear("proj_out", channels, patch * patch * config["out_channels"])
    return shapes


def vae_shapes(config):
    shapes, widths, layers = Shapes(), config["block_out_channels"], config["layers_per_block"]
    latent = config["latent_channels"]
    shapes.conv("encoder.conv_in", config["in_channels"], widths[0])
    channels = widths[0]
    for i, width in enumerate(widths):
        for j in range(layers):
            shapes.resnet(f"encoder.down_blocks.{i}.resnets.{j}", channels, width)
            channels = width
        if i + 1 < len(widths):
            shapes.conv(f"encoder.down_blocks.{i}.downsamplers.0.conv", width, width)
    shapes.vae_middle("encoder.mid_block", channels)
    shapes.norm("encoder.conv_norm_out", channels)
    shapes.conv("encoder.conv_out", channels, 2 * latent)
    if config.get("use_quant_conv", True):
        shapes.conv("quant_conv", 2 * latent, 2 * latent, 1)
        shapes.conv("post_quant_conv", latent, latent, 1)
    shapes.conv("decoder.conv_in", latent, channels)
    shapes.vae_middle("decoder.mid_block", channels)
    for i, width in enumerate(reversed(widths)):
        for j in range(layers + 1):
            shapes.resnet(f"decoder.up_blocks.{i}.resnets.{j}", channels, width)
            channels = width
        if i + 1 < len(widths):
            shapes.conv(f"decoder.up_blocks.{i}.upsamplers.0.conv", width, width)
    shapes.norm("decoder.conv_norm_out", channels)
    shapes.conv("decoder.conv_out", channels, config["out_channels"])
    return shapes


def clip_shapes(config):
    shapes, width = Shapes(), config["hidden_size"]
    embeddings = "text_model.embeddings"
    shapes[embeddings + ".token_embedding.weight"] = [config["vocab_size"], width]
    shapes[embeddings + ".position_embedding.weight"] = [config["max_position_embeddings"], width]
    for i in range(config["num_hidden_layers"]):
        layer = f"text_model.encoder.layers.{i}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes.linear(f"{layer}.self_attn.{part}", width, width)
        shapes.norm(layer + ".layer_norm1", width)
        shapes.linear(layer + ".mlp.fc1", width, config["intermediate_size"])
        shapes.linear(layer + ".mlp.fc2", config["intermediate_size"], width)
        shapes.norm(layer + ".layer_norm2", width)
    shapes.norm("text_model.final_layer_norm", width)
    if config["architectures"] == ["CLIPTextModelWithProjection"]:
        shapes.linear("text_projection", width, config["projection_dim"], bias=False)
    return shapes


def t5_shapes(config):
    shapes, width = Shapes(), config["d_model"]
    inner = config["num_heads"] * config["d_kv"]
    shapes["shared.weight"] = [config["vocab_size"], width]
    for i in range(config["num_layers"]):
        block = f"encoder.block.{i}"
        for part in ("q", "k", "v"):
            shapes.linear(f"{block}.layer.0.SelfAttention.{part}", width, inner, bias=False)
        shapes.linear(block + ".layer.0.SelfAttention.o", inner, width, bias=False)
        if i == 0:
            shapes[block + ".layer.0.SelfAttention.relative_attention_bias.weight"] = [
                config["relative_attention_num_buckets"], config["num_heads"]]
        shapes[block + ".layer.0.layer_norm.weight"] = [width]
        for part in ("wi_0", "wi_1"):
            shapes.linear(f"{block}.layer.1.DenseReluDense.{part}", width, config["d_ff"],
                          bias=False)
        shapes.linear(block + ".layer.1.DenseReluDense.wo", config["d_ff"], width, bias=False)
        shapes[block + ".layer.1.layer_norm.weight"] = [width]
    shapes["encoder.final_layer_norm.weight"] = [width]
    return shapes
