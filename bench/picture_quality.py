"""How far pictures are from a reference: PSNR and SSIM.

    python3 bench/picture_quality.py REFERENCE PICTURE...

SSIM as Wang et al. 2004 define it: luma, Gaussian window of 11 with sigma 1.5, the mean over the
picture where the window fits. Needs numpy and Pillow.
"""

import sys

import numpy as np
from PIL import Image


def read(path):
    return np.asarray(Image.open(path).convert("RGB"), dtype=np.float64)  # (h, w, 3)


def psnr(a, b):
    error = np.mean((a - b) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255 ** 2 / error)


def blur(x):
    """Separable; only where the window fits."""
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    taps /= taps.sum()
    for axis in (0, 1):
        windows = np.lib.stride_tricks.sliding_window_view(x, 11, axis)
        x = windows @ taps
    return x


def ssim(a, b):
    a, b = (x @ [0.299, 0.587, 0.114] for x in (a, b))
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a ** 2, blur(b * b) - mean_b ** 2
    both = blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    same = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float(np.mean(same / ((mean_a ** 2 + mean_b ** 2 + c1) * (var_a + var_b + c2))))


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    reference = read(sys.argv[1])
    for path in sys.argv[2:]:
        picture = read(path)
        if picture.shape != reference.shape:
            raise SystemExit(f"{path} is {picture.shape[1]}x{picture.shape[0]}, the reference is not")
        print(f"{path}: {psnr(reference, picture):.2f} dB, SSIM {ssim(reference, picture):.4f}")


if __name__ == "__main__":
    main()
