"""Writes tests/golden/png: small pictures with texts as Pillow and others write them.

Usage: python tools/golden/png.py
"""
import pathlib
import zlib

from PIL import Image, PngImagePlugin


def chunk(kind, data):
    return (len(data).to_bytes(4, "big") + kind + data
            + zlib.crc32(kind + data).to_bytes(4, "big"))


def main():
    out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/png"
    picture = Image.new("RGB", (3, 2))
    picture.putdata([(10 * i, 255 - i, i * i) for i in range(6)])

    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a cat\nNegative prompt: \nSteps: 20, Sampler: Euler a")
    info.add_text("latin", "Crème brûlée")  # fits Latin-1: tEXt
    info.add_text("wide", "猫 と 犬")  # does not: iTXt
    info.add_text("packed", "long " * 200, zip=True)  # zTXt
    info.add_itxt("packed wide", "猫" * 300, lang="ja", tkey="猫", zip=True)
    picture.save(out / "pillow.png", pnginfo=info)

    # Raw UTF-8 in tEXt, as some programs write it, and text behind the pixels.
    whole = (out / "pillow.png").read_bytes()
    end = whole.rindex(b"IEND") - 4
    (out / "utf8_behind.png").write_bytes(
        whole[:end] + chunk(b"tEXt", "prompt\0猫".encode()) + whole[end:])

    # Inflates to more than we read.
    (out / "bomb.zlib").write_bytes(zlib.compress(bytes(40 << 20), 9))

    picture.convert("RGBA").save(out / "alpha.png")
    picture.convert("L").save(out / "gray.png")


if __name__ == "__main__":
    main()
