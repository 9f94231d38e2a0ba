"""The LoRA files of lora.py: which layers of which tiny model, under whose names."""

import re


def underscored(name):
    return name.replace(".", "_")


def kohya(component, layer, part):
    prefix = {"unet": "lora_unet_", "text_encoder": "lora_te_"}[component]
    return f"{prefix}{underscored(layer)}.lora_{part}.weight"


def kohya_xl(component, layer, part):
    """SDXL's: the U-Net under its original names, two text encoders."""
    if component != "unet":
        number = {"text_encoder": 1, "text_encoder_2": 2}[component]
        return f"lora_te{number}_{underscored(layer)}.lora_{part}.weight"
    match = re.match(r"(down|up)_blocks\.(\d)\.attentions\.(\d)\.(.*)", layer)
    if match:
        side, level, index = match[1], int(match[2]), int(match[3])
        number = 3 * level + index + (side == "down")
        block = f"{'input' if side == 'down' else 'output'}_blocks.{number}.1"
        layer = f"{block}.{match[4]}"
    elif layer.startswith("mid_block.attentions.0."):
        layer = "middle_block.1." + layer.removeprefix("mid_block.attentions.0.")
    else:
        raise ValueError(layer)
    return f"lora_unet_{underscored(layer)}.lora_{part}.weight"


def peft(component, layer, part):
    return f"{component}.{layer}.lora_{'A' if part == 'down' else 'B'}.weight"


def processors(component, layer, part):
    """diffusers before it used peft."""
    if component != "unet":
        return f"{component}.{layer}.lora_linear_layer.{part}.weight"
    block, projection = re.match(r"(.*\.attn\d)\.(to_\w+)", layer).groups()
    return f"{component}.{block}.processor.{projection}_lora.{part}.weight"


ATTENTION = r"attn\d\.to_(q|k|v|out\.0)$"
LINEAR = ATTENTION + r"|ff\.net\.(0\.proj|2)$|proj_(in|out)$"
CONVOLUTION = r"resnets\.\d\.(conv\d|conv_shortcut|time_emb_proj)$|samplers\.0\.conv$|^conv_(in|out)$"
TEXT = r"self_attn\.(q|k|v|out)_proj$"
TEXT_ALL = TEXT + r"|mlp\.fc\d$"

# name -> model of single_file.py, names, U-Net's layers, text encoders' layers, rank, alpha
FILES = {
    "kohya": ("sd15", kohya, LINEAR, TEXT_ALL, 3, 1.5),
    "locon": ("sd15", kohya, LINEAR + "|" + CONVOLUTION, None, 2, 1.0),
    "peft": ("sd15", peft, ATTENTION, TEXT, 4, None),
    "processors": ("sd15", processors, ATTENTION, TEXT, 2, None),
    "kohya_xl": ("sdxl", kohya_xl, LINEAR, TEXT_ALL, 2, 0.75),
}

# name -> files with their scales
CASES = {
    "kohya": {"kohya": 1.0},
    "locon": {"locon": 0.8},
    "peft": {"peft": 1.0},
    "processors": {"processors": 0.75},
    "kohya_xl": {"kohya_xl": 0.9},
    "two": {"kohya": 0.6, "locon": -0.5},
}
