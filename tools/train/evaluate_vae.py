"""PSNR of unseen scenes through encoder and decoder, from the exported folder as users load it."""

import numpy as np
import torch
from diffusers import AutoencoderKL

import common


@torch.no_grad()
def main():
    parser = common.new_parser(__doc__)
    parser.add_argument("--unseen", required=True, help="scene set")
    parser.add_argument("--vae", required=True, help="exported folder")
    parser.add_argument("--logs", required=True)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--step", type=int, default=0, help="noted in the log")
    args = parser.parse_args()
    torch.set_num_threads(1)
    vae = AutoencoderKL.from_pretrained(args.vae).float().eval()
    scenes = common.SceneSet(args.unseen)
    errors, objects = [], []
    for i in range(0, min(args.count, len(scenes)), 10):
        wanted = scenes.pictures(range(i, i + 10))
        picture = vae.decode(vae.encode(wanted).latent_dist.mode()).sample.clamp(-1, 1)
        picture = ((picture + 1) * 127.5).round() / 127.5 - 1  # as saved
        square = (picture - wanted).square()
        mask = torch.from_numpy(np.array(scenes.masks[i:i + 10]) > 0)[:, None].float()
        errors += square.mean((1, 2, 3)).tolist()
        objects += ((square * mask).sum((1, 2, 3)) / (3 * mask.sum((1, 2, 3)).clamp(min=1))).tolist()
    psnr = lambda e: 10 * np.log10(4 / np.array(e))
    log = common.Log(f"{args.logs}/vae_evaluation.csv",
                     ["step", "scenes", "psnr", "psnr_of_mean", "psnr_objects", "worst"])
    log.row(step=args.step, scenes=len(errors), psnr=float(psnr(errors).mean()),
            psnr_of_mean=float(psnr(np.mean(errors))), psnr_objects=float(psnr(objects).mean()),
            worst=float(psnr(errors).min()))


if __name__ == "__main__":
    main()
