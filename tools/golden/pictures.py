"""Writes tests/golden/pictures: files that people give us, and what Pillow and diffusers make of them.

  *.png, *.jpg            of every kind that is read: grey, palette, 16 bits, transparency, turned
  *.webp, *.gif, ...      the other formats that are read
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


def write_others(out):
    """The formats beside PNG and JPEG. Pillow writes no PSD and no HDR."""
    tall = Image.open(out / "tall.png")
    alpha = Image.open(out / "alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    tall.save(out / "lossless.webp", lossless=True)
    alpha.save(out / "alpha.webp", lossless=True, exact=True)
    tall.save(out / "lossy.webp", quality=90)
    tall.save(out / "turned.webp", lossless=True, exif=exif)
    tall.save(out / "moving.webp", lossless=True, save_all=True,
              append_images=[tall.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    few = tall.quantize(60)
    few.save(out / "few.gif")
    few.save(out / "moving.gif", save_all=True, interlace=1,
             append_images=[few.transpose(Image.Transpose.FLIP_TOP_BOTTOM)])
    tall.save(out / "plain.bmp")
    tall.convert("L").save(out / "grey.bmp")
    tall.save(out / "plain.tga")
    tall.save(out / "packed.tga", compression="tga_rle")
    tall.save(out / "plain.ppm")
    tall.convert("L").save(out / "grey.pgm")
    tall.save(out / "plain.tif")
    tall.save(out / "lzw.tif", compression="tiff_lzw")
    tall.convert("L").save(out / "deflated.tif", compression="tiff_deflate")
    tall.save(out / "turned.tif", tiffinfo={274: 6})
    rows = np.asarray(tall)
    head = b"8BPS" + (1).to_bytes(2, "big") + bytes(6) + (3).to_bytes(2, "big")
    head += (29).to_bytes(4, "big") + (31).to_bytes(4, "big") + (8).to_bytes(2, "big")
    head += (3).to_bytes(2, "big") + bytes(12) + bytes(2)
    (out / "plain.psd").write_bytes(head + rows.transpose(2, 0, 1).tobytes())
    light = np.concatenate([rows, np.full((29, 31, 1), 128, np.uint8)], axis=2)  # times 2^0 / 256
    (out / "plain.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 29 +X 31\n"
                                    + light.tobytes())


def main():
    out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/pictures"
    out.mkdir(exist_ok=True)
    write_files(out)
    write_deep(out)
    write_others(out)
    pictures = {p.name: np.asarray(load_image(str(p))).copy()
                for p in sorted(out.iterdir()) if p.suffix not in (".safetensors", ".hdr")}
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
