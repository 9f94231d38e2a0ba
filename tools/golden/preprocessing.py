"""Writes tests/golden/preprocessing: what transformers' image processors and timm's evaluation
transform make of pictures.

  resized.safetensors   FILTER HxW: the picture `tall` of tests/golden/pictures by each of Pillow's
                        filters
  NAME.json             a preprocessor_config.json, or a timm config.json, and the model's class
  NAME.safetensors      PICTURE: (3,h,w) f32 for each picture; processors in their Pillow form

Usage: python tools/golden/preprocessing.py
"""
import json
import pathlib

import numpy as np
import timm.data
import torch
import transformers
from PIL import Image
from safetensors.numpy import save_file

import reference

HERE = pathlib.Path(__file__).resolve().parent
PICTURES = HERE / "../../tests/golden/pictures"
NAMES = ["tall.png", "shapes.png", "full.jpg"]
SIZES = [(13, 40), (64, 16), (7, 9), (1, 1), (29, 100), (90, 31), (29, 31)]
CLIP = dict(image_mean=[0.48145466, 0.4578275, 0.40821073],
            image_std=[0.26862954, 0.26130258, 0.27577711])

# name, processor, the model's class, what stands in the file
PROCESSORS = [
    ("vit_old", "ViT", "ViTForImageClassification", dict(
        do_normalize=True, do_resize=True, image_mean=[0.5, 0.5, 0.5], image_std=[0.5, 0.5, 0.5],
        resample=2, size=20)),
    ("vit", "ViT", "ViTModel", dict(
        image_processor_type="ViTImageProcessor", size={"height": 17, "width": 24}, resample=3,
        do_rescale=False, do_normalize=False)),
    ("deit", "DeiT", "DeiTForImageClassificationWithTeacher", dict(
        feature_extractor_type="DeiTFeatureExtractor", crop_size=15, do_center_crop=True, size=21,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], resample=3)),
    ("clip", "CLIP", "CLIPVisionModelWithProjection", dict(
        crop_size=18, do_center_crop=True, do_normalize=True, do_resize=True,
        feature_extractor_type="CLIPFeatureExtractor", resample=3, size=18, **CLIP)),
    ("clip_padded", "CLIP", "CLIPVisionModel", dict(
        image_processor_type="CLIPImageProcessor", crop_size={"height": 27, "width": 40},
        size={"shortest_edge": 16}, do_convert_rgb=True, rescale_factor=0.01, resample=1, **CLIP)),
    ("dinov2", "Bit", "Dinov2Model", dict(
        image_processor_type="BitImageProcessor", crop_size={"height": 21, "width": 21},
        size={"shortest_edge": 24}, resample=3, image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225])),
    ("no_resize", "Bit", "Dinov2Model", dict(
        image_processor_type="BitImageProcessorFast", do_resize=False, do_center_crop=False,
        image_mean=0.4, image_std=0.3)),
    ("longest", "CLIP", "CLIPVisionModel", dict(
        image_processor_type="CLIPImageProcessor", do_center_crop=False,
        size={"shortest_edge": 24, "longest_edge": 30}, **CLIP)),
]
TIMM = [
    ("timm", dict(input_size=[3, 17, 17], crop_pct=0.875, interpolation="bicubic",
                  mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5])),
    ("timm_bilinear", dict(input_size=[3, 20, 20], crop_pct=0.9, interpolation="bilinear")),
    ("timm_squash", dict(input_size=[3, 18, 24], crop_pct=1.0, crop_mode="squash")),
]


def pictures():
    return {name: Image.open(PICTURES / name).convert("RGB") for name in NAMES}


def write(out, name, config, class_name, arrays):
    reference.write_json(out / f"{name}.json", {"class": class_name, "config": config})
    save_file({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in arrays.items()},
              out / f"{name}.safetensors")


def main():
    out = HERE / "../../tests/golden/preprocessing"
    out.mkdir(exist_ok=True)
    tall = Image.open(PICTURES / "tall.png")
    save_file({f"{filter.name} {h}x{w}": np.asarray(tall.resize((w, h), filter))
               for filter in map(Image.Resampling, range(6)) for h, w in SIZES},
              out / "resized.safetensors")
    for name, kind, class_name, config in PROCESSORS:
        processor = getattr(transformers, f"{kind}ImageProcessorPil").from_dict(dict(config))
        arrays = {k: processor(v, return_tensors="np").pixel_values[0]
                  for k, v in pictures().items()}
        write(out, name, config, class_name, arrays)
    for name, config in TIMM:
        data = timm.data.resolve_data_config(pretrained_cfg=config)
        transform = timm.data.create_transform(**data)
        arrays = {k: transform(v).numpy() for k, v in pictures().items()}
        write(out, name, {"architecture": "vit_tiny_patch16_224", "pretrained_cfg": config},
              "VisionTransformer", arrays)


if __name__ == "__main__":
    main()
