"""Retrieval among 100 unseen captions, and whether wrong colours and shapes score lower."""

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

import common
import scene_labels
import tokenizer as bpe


def swap(scene, names, key, rng):
    """The scene's caption of colours and shapes with one object's word exchanged, and the right one."""
    words = [f"a {o['color']} {o['shape']}".replace("a orange", "an orange") for o in scene["objects"]]
    i = rng.integers(len(words))
    o = dict(scene["objects"][i])
    o[key] = rng.choice([n for n in names if n != o[key]])
    wrong = list(words)
    wrong[i] = f"a {o['color']} {o['shape']}".replace("a orange", "an orange")
    return " and ".join(words), " and ".join(wrong)


@torch.no_grad()
def main():
    parser = common.new_parser(__doc__)
    parser.add_argument("--unseen", required=True, help="scene set")
    parser.add_argument("--clip", required=True, help="exported folder")
    parser.add_argument("--logs", required=True)
    parser.add_argument("--count", type=int, default=500, help="pictures, in hundreds")
    parser.add_argument("--step", type=int, default=0, help="noted in the log")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    text = CLIPTextModelWithProjection.from_pretrained(f"{args.clip}/text_encoder").float().eval()
    image = CLIPVisionModelWithProjection.from_pretrained(f"{args.clip}/image_encoder").float().eval()
    encode = bpe.Encoder(f"{args.clip}/tokenizer")
    embed = lambda captions: F.normalize(text(encode(captions)).text_embeds, dim=-1)
    scenes = common.SceneSet(args.unseen)
    hits, five, hits_full, color, shape = [], [], [], [], []
    for i in range(0, args.count, 100):
        pictures = F.normalize(image(scenes.pictures(range(i, i + 100))).image_embeds, dim=-1)
        here = scenes.scenes[i:i + 100]
        for kind, target in (("drawn", hits), ("full", hits_full)):
            captions = [s["captions"][rng.integers(len(s["captions"])) if kind == "drawn" else 0]
                        for s in here]
            scores = pictures @ embed(captions).T
            order = scores.argsort(1, descending=True)
            target += [captions[order[j, 0]] == captions[j] for j in range(100)]
            if kind == "drawn":
                five += [captions[j] in [captions[k] for k in order[j, :5]] for j in range(100)]
        for names, key, target in ((scene_labels.COLORS, "color", color), (scene_labels.SHAPES, "shape", shape)):
            both = [swap(s, names, key, rng) for s in here if len(s["objects"]) == 1]
            rows = [j for j, s in enumerate(here) if len(s["objects"]) == 1]
            a, b = embed([r for r, _ in both]), embed([w for _, w in both])
            target += ((pictures[rows] * (a - b)).sum(1) > 0).tolist()
    log = common.Log(f"{args.logs}/clip_evaluation.csv",
                     ["step", "pictures", "top1", "top5", "top1_full_captions", "color", "shape"])
    log.row(step=args.step, pictures=args.count, top1=float(np.mean(hits)), top5=float(np.mean(five)),
            top1_full_captions=float(np.mean(hits_full)), color=float(np.mean(color)),
            shape=float(np.mean(shape)))


if __name__ == "__main__":
    main()
