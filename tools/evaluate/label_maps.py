"""Do class-specific maps show the object that is asked for, and not another one?

    python3 tools/evaluate/label_maps.py SCENES [--fovea build/bin/fovea] [--model NAME] [--count 100]

SCENES is a folder of fovea-scenes that the model was not trained on; those with several objects that
differ in their descriptions are used. Of each object the map that `inspect --maps chefer` makes of its
description ("a large orange metal torus") is scored against that object's mask and against the masks of
the others: where the largest value lies (pointing), and the share of the weight. Beside it the map of
another object of the scene, maps that know of no class, a random one and the picture's middle. Means
and 1.96 standard errors. Needs numpy and Pillow.
"""

import tempfile

import numpy as np
from PIL import Image

import word_maps

CLASSLESS = ["cls", "rollout", "relevance"]


def describe(thing):
    return f"a {thing['size']} {thing['color']} {thing['material']} {thing['shape']}"


def maps(args, picture, labels, folder):
    """The map of every label, and the others by kind."""
    flags = ["-i", picture, "--maps", ",".join(CLASSLESS + ["chefer"])]
    for label in labels:
        flags += ["--label", label]
    made = word_maps.inspect(args, flags, folder)
    return [made["chefer", label] for label in labels], {k: made[k, None] for k in CLASSLESS}


def main():
    args = word_maps.new_parser(__doc__).parse_args()
    images, masks, scenes = word_maps.load_scenes(args.scenes)
    rng, scores, used, folder = np.random.default_rng(0), {}, 0, tempfile.mkdtemp()
    for picture, mask, scene in zip(images, masks, scenes):
        labels = [describe(thing) for thing in scene["objects"]]
        if len(labels) < 2 or len(set(labels)) < len(labels):
            continue
        if used == args.count:
            break
        used += 1
        Image.fromarray(np.asarray(picture)).save(f"{folder}/scene.png")
        own, others = maps(args, f"{folder}/scene.png", labels, folder)
        rows, columns = own[0].shape
        cells = [(np.asarray(mask) == k + 1).reshape(rows, len(mask) // rows, columns, -1).mean((1, 3))
                 for k in range(len(labels))]
        ground = word_maps.baselines(np.asarray(picture, float), own[0].shape, rng)
        for k, on in enumerate(cells):
            rest = sum(cells[:k] + cells[k + 1:])
            for name, values in {"chefer": own[k],
                                 "chefer of another object": own[(k + 1) % len(labels)],
                                 **others, **ground}.items():
                (hit, share, _), (miss, stray, _) = (word_maps.score(values, m) for m in (on, rest))
                scores.setdefault(name, []).append((hit, miss, share, stray))
    print(f"{used} scenes, {len(scores['chefer'])} objects; pointing at it, at another one; weight on "
          "it, on others")
    for name, each in scores.items():
        each = np.array(each)
        error = 1.96 * each.std(0, ddof=1) / np.sqrt(len(each))
        print(f"{name:26s}" + " ".join(f"{m:7.2f} ± {e:.2f}" for m, e in zip(each.mean(0), error)))


if __name__ == "__main__":
    main()
