"""Names and shapes of an original ("ldm") checkpoint for given diffusers models.

Built on its own from how the original classes number their blocks, walking them in order, so that
the conversion by diffusers, which goes the other way, checks both this and ours.
"""

UNET_RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
               "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc",
             "mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj"}


def shapes_under(state, prefix):
    return {k[len(prefix):]: list(v.shape) for k, v in state.items() if k.startswith(prefix)}


def add(out, block, members, renames):
    for name, shape in members.items():
        module, leaf = name.rsplit(".", 1)
        out[f"{block}.{renames.get(module, module)}.{leaf}"] = shape


def unet_names(state, config):
    out, number = {}, 1
    plain = {"conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0",
             "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0",
             "add_embedding.linear_2": "label_emb.0.2", "conv_norm_out": "out.0",
             "conv_out": "out.2"}
    for ours, theirs in plain.items():
        for leaf, shape in shapes_under(state, ours + ".").items():
            out[f"{theirs}.{leaf}"] = shape
    levels, layers = len(config["block_out_channels"]), config["layers_per_block"]
    for level in range(levels):
        for layer in range(layers):
            block = f"input_blocks.{number}"
            add(out, block + ".0", shapes_under(state, f"down_blocks.{level}.resnets.{layer}."),
                UNET_RESNET)
            add(out, block + ".1", shapes_under(state, f"down_blocks.{level}.attentions.{layer}."),
                {})
            number += 1
        down = shapes_under(state, f"down_blocks.{level}.downsamplers.0.conv.")
        for leaf, shape in down.items():
            out[f"input_blocks.{number}.0.op.{leaf}"] = shape
        number += bool(down)
    for i, name in enumerate(["resnets.0", "attentions.0", "resnets.1"]):
        add(out, f"middle_block.{i}", shapes_under(state, f"mid_block.{name}."),
            UNET_RESNET if i != 1 else {})
    number = 0
    for level in range(levels):
        for layer in range(layers + 1):
            block, last = f"output_blocks.{number}", 1
            add(out, block + ".0", shapes_under(state, f"up_blocks.{level}.resnets.{layer}."),
                UNET_RESNET)
            attention = shapes_under(state, f"up_blocks.{level}.attentions.{layer}.")
            add(out, block + ".1", attention, {})
            last += bool(attention)
            if layer == layers:
                for leaf, shape in shapes_under(
                        state, f"up_blocks.{level}.upsamplers.0.conv.").items():
                    out[f"{block}.{last}.conv.{leaf}"] = shape
            number += 1
    return {"model.diffusion_model." + k: v for k, v in out.items()}


def vae_names(state, config):
    out = {}
    levels = len(config["block_out_channels"])
    resnet = {"conv_shortcut": "nin_shortcut"}
    for name in ["quant_conv", "post_quant_conv"]:
        add(out, name, {"." + k: v for k, v in shapes_under(state, name + ".").items()}, {})
    for side, blocks, theirs in [("encoder", "down_blocks", "down"), ("decoder", "up_blocks", "up")]:
        for ours, original in {"conv_in": "conv_in", "conv_norm_out": "norm_out",
                               "conv_out": "conv_out"}.items():
            for leaf, shape in shapes_under(state, f"{side}.{ours}.").items():
                out[f"{side}.{original}.{leaf}"] = shape
        for level in range(levels):
            original = level if side == "encoder" else levels - 1 - level
            for layer in range(4):
                add(out, f"{side}.{theirs}.{original}.block.{layer}",
                    shapes_under(state, f"{side}.{blocks}.{level}.resnets.{layer}."), resnet)
            for leaf, shape in shapes_under(
                    state, f"{side}.{blocks}.{level}.{theirs}samplers.0.conv.").items():
                out[f"{side}.{theirs}.{original}.{theirs}sample.conv.{leaf}"] = shape
        for i in range(2):
            add(out, f"{side}.mid.block_{i + 1}",
                shapes_under(state, f"{side}.mid_block.resnets.{i}."), resnet)
        attention = shapes_under(state, f"{side}.mid_block.attentions.0.")
        for name, shape in attention.items():  # matrices are 1x1 filters there
            module, leaf = name.rsplit(".", 1)
            out[f"{side}.mid.attn_1.{VAE_ATTENTION[module]}.{leaf}"] = (
                shape + [1, 1] if len(shape) == 2 else shape)
    out = {k.replace("..", "."): v for k, v in out.items()}
    return {"first_stage_model." + k: v for k, v in out.items()}


def clip_names(state, prefix):
    bare = "text_model." if not any(k.startswith("text_model.") for k in state) else ""
    return {prefix + bare + k: list(v.shape) for k, v in state.items()}


def open_clip_names(state, prefix, layers):
    """`layers` in the file, of which the last may be more than the model has."""
    text = {k.removeprefix("text_model."): list(v.shape) for k, v in state.items()}
    out = {"token_embedding.weight": text["embeddings.token_embedding.weight"],
           "positional_embedding": text["embeddings.position_embedding.weight"],
           "ln_final.weight": text["final_layer_norm.weight"],
           "ln_final.bias": text["final_layer_norm.bias"]}
    width = text["final_layer_norm.weight"][0]
    out["text_projection"] = text.get("text_projection.weight", [width, width])[::-1]
    one = {k[len("encoder.layers.0."):]: v for k, v in text.items()
           if k.startswith("encoder.layers.0.")}
    for layer in range(layers):
        block = f"transformer.resblocks.{layer}"
        for name, shape in one.items():
            module, leaf = name.rsplit(".", 1)
            if module in OPEN_CLIP:
                out[f"{block}.{OPEN_CLIP[module]}.{leaf}"] = shape
        out[f"{block}.attn.in_proj_weight"] = [3 * width, width]
        out[f"{block}.attn.in_proj_bias"] = [3 * width]
    return {prefix + k: v for k, v in out.items()}
