"""Lists prompts that training never saw, about scenes that it never saw.

There are too few things to say of one object for its caption to be new, so single objects are asked
for in a frame that no caption has ("a photo of ... on a table": captions have one end or the other).

Writes single.txt (one object each) and pairs.txt (two objects in a relation), one prompt a line,
for tools/evaluate/study.sh.
"""

import os

import numpy as np

import common
from evaluate_unet import prompts


def framed(scene, rng):
    """A full description in a frame that the caption grammar never makes."""
    return f"a {rng.choice(['photo', 'picture'])} of {scene['captions'][0]} on a table"


def singles(unseen, trained, count, seed=1):
    known = {c for s in trained for scene in s.scenes for c in scene["captions"]}
    rng, chosen = np.random.default_rng(seed), []
    for i in rng.permutation(len(unseen)):
        scene = unseen.scenes[i]
        text = framed(scene, rng)
        if len(scene["objects"]) == 1 and text not in known and text not in chosen:
            chosen.append(text)
        if len(chosen) == count:
            break
    return chosen


def main():
    parser = common.new_parser(__doc__)
    parser.add_argument("--data", required=True, help="folder of scene sets")
    parser.add_argument("--sets", nargs="+", required=True, help="what training saw")
    parser.add_argument("--unseen", required=True, help="set that it did not see")
    parser.add_argument("--count", type=int, default=64, help="of each kind")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    trained = [common.SceneSet(f"{args.data}/{name}") for name in args.sets]
    unseen = common.SceneSet(args.unseen)
    os.makedirs(args.out, exist_ok=True)
    lists = {"single": singles(unseen, trained, args.count),
             "pairs": [c for c, _ in prompts(unseen, trained, args.count, 2)]}
    for name, chosen in lists.items():
        with open(f"{args.out}/{name}.txt", "w", encoding="utf-8") as f:
            f.writelines(caption + "\n" for caption in chosen)
        print(f"{name}: {len(chosen)} of {args.count}")


if __name__ == "__main__":
    main()
