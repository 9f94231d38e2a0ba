"""Writes tests/golden/pictures: files that people give us, and what Pillow and diffusers make of them.

  *.png, *.jpg            of every kind that is read: grey, palette, 16 bits, transparency, turned
  pictures.safetensors    NAME: (h,w,3) u8 as diffusers' load_image reads it
  resized.safetensors     HxW: the picture `tall` resized by Pillow's LANCZOS
  masks.safetensors       mask: (h,w) u8, `shapes` as diffusers' mask processor makes it at 40x24

Usage: python tools/golden/pictures.py
"""
import pathlib

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils import load_image
from PIL import Image, ImageDraw, ImageFilter
from safetensors.numpy import save_file

SIZES = [(13, 40), (64, 16), (7, 9), (1, 1), (29, 100), (90, 31), (29, 31), (200, 31), (29, 8),
         (5, 28), (20, 25), (9, 21), (8, 21)]  # the last two: either side of Pillow's change of order


def scene(width, height, seed):
    """Edges, gradients and a little noise."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (4 * width, 4 * height), (40, 60, 90))
    draw = ImageDraw.Draw(image)
    for _ in range(9):
        x, y = random.integers(0, 4 * width), random.integers(0, 4 * height)
        r = random.integers(2, 2 * min(width, height))
        draw.ellipse([x - r, y - r, x + r, y + r], fill=tuple(random.integers(0, 256, 3).tolist()))
    pixels = np.asarray(image.resize((width, height))).astype(int)
    pixels = pixels + random.integers(-9, 10, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def write_files(out):
    tall = scene(31, 29, 1)
    tall.save(out / "tall.png")
    tall.convert("L").save(out / "grey.png")
    tall.convert("LA").save(out / "grey_alpha.png")
    tall.quantize(7).save(out / "palette.png")
    tall.convert("1").save(out / "bits.png")
    alpha = tall.convert("RGBA")
    alpha.putalpha(Image.fromarray((np.arange(31 * 29) % 256).astype(np.uint8).reshape(29, 31)))
    alpha.save(out / "alpha.png")
    tall.save(out / "interlaced.png")
    smooth = tall.resize((35, 29), Image.BICUBIC).filter(ImageFilter.GaussianBlur(1))
    smooth.save(out / "full.jpg", quality=92, subsampling=0)
    smooth.save(out / "halved.jpg", quality=85, subsampling=2)
    smooth.save(out / "progressive.jpg", quality=90, progressive=True)
    smooth.convert("L").save(out / "grey.jpg", quality=90)
    smooth.convert("CMYK").save(out / "inks.jpg", quality=90)
    exif = Image.Exif()
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        tall.save(out / f"turned_{orientation}.png", exif=exif)
    exif[0x0112] = 6
    smooth.save(out / "turned.jpg", quality=92, subsampling=0, exif=exif)

    shapes = Image.new("L", (50, 31), 0)
    draw = ImageDraw.Draw(shapes)
    draw.ellipse([4, 3, 30, 28], fill=255)
    draw.rectangle([33, 10, 47, 29], fill=140)
    shapes.save(out / "shapes.png")


def write_deep(out):
    """16 bits a channel, which Pillow cannot write: its upper 8 are those of `tall`."""
    import zlib
    pixels = np.asarray(Image.open(out / "tall.png"))
    deep = pixels.astype(np.uint16) * 256 + np.arange(pixels.size).reshape(pixels.shape) % 256
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)

    def chunk(kind, data):
        return (len(data).to_bytes(4, "big") + kind + data
                + zlib.crc32(kind + data).to_bytes(4, "big"))

    header = (31).to_bytes(4, "big") + (29).to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    (out / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                                   + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def main():
    out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/pictures"
    out.mkdir(exist_ok=True)
    write_files(out)
    write_deep(out)
    pictures = {p.name: np.asarray(load_image(str(p))).copy()
                for p in sorted(out.iterdir()) if p.suffix in (".png", ".jpg")}
    save_file(pictures, out / "pictures.safetensors")

    tall = Image.open(out / "tall.png")
    save_file({f"{h}x{w}": np.asarray(tall.resize((w, h), Image.LANCZOS)).copy()
               for h, w in SIZES}, out / "resized.safetensors")

    processor = VaeImageProcessor(vae_scale_factor=8, do_normalize=False, do_binarize=True,
                                  do_convert_grayscale=True)
    mask = processor.preprocess(load_image(str(out / "shapes.png")), height=24, width=40)
    small = torch.nn.functional.interpolate(mask, size=(3, 5))
    save_file({"mask": mask[0, 0].numpy().astype(np.uint8),
               "latent_mask": small[0, 0].numpy().astype(np.uint8)}, out / "masks.safetensors")


if __name__ == "__main__":
    main()
