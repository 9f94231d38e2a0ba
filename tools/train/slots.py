"""What the last positions of a caption's text states must tell: one object each, as mentioned.

CLIP's text tower is causal: the state of "red" cannot know that "... to the left of ..." follows,
only states at the caption's end know all. These are the padding, and they would stay idle. Teaching
them to describe an object each, and to say where it is, gives the denoiser's cross-attention one
token an object.
"""

import re

import torch
import torch.nn.functional as F

from scene_labels import COLORS, KEYS, SHAPES

OBJECTS = 3  # the last positions
PLACES = ["left", "right", "front", "behind"]
CLASSES = [1 + len(names) for names in KEYS.values()] + [1 + len(PLACES)]  # class 0 is "not said"

_OBJECT = re.compile(
    rf"(?:(two|three) )?(?:(small|large) )?(shiny )?({'|'.join(COLORS)}) (?:(metal|matte) )?"
    rf"({'|'.join(SHAPES)}|tori)s?( on the left| on the right)?\b")
# Where the first object is, by what stands between the two.
_BETWEEN = {" to the left of ": "left", " to the right of ": "right", " in front of ": "front",
            " behind ": "behind"}
_OPPOSITE = {"left": "right", "right": "left", "front": "behind", "behind": "front"}


def slots(caption):
    """Colour, shape, material, size and place of up to three objects, as class numbers."""
    found, places, last = [], [], 0
    for m in _OBJECT.finditer(caption):
        count, size, shiny, color, material, shape, side = m.groups()
        between = next((p for words, p in _BETWEEN.items() if words in caption[last:m.start()]), "")
        if between and places:
            places[-1] = between
        place = side.split()[-1] if side else _OPPOSITE.get(between, "")
        described = [1 + COLORS.index(color), 1 + SHAPES.index("torus" if shape == "tori" else shape),
                     KEYS["material"].index("metal" if shiny else material) + 1
                     if shiny or material else 0,
                     KEYS["size"].index(size) + 1 if size else 0]
        for _ in range({"two": 2, "three": 3}.get(count, 1)):
            found.append(described)
            places.append(place)
        last = m.end()
    rows = [row + [PLACES.index(p) + 1 if p else 0] for row, p in zip(found, places)]
    rows = rows[:OBJECTS] + [[0] * len(CLASSES)] * (OBJECTS - len(rows))
    return rows  # OBJECTS lists of len(CLASSES)


class Slots(torch.nn.Module):
    """Reads the objects from the last text states; only for training."""

    def __init__(self, width):
        super().__init__()
        self.head = torch.nn.Linear(width, sum(CLASSES))
        self.known = {}

    def targets(self, captions):
        for c in captions:
            if c not in self.known:
                self.known[c] = slots(c)
        return torch.tensor([self.known[c] for c in captions])  # (b, OBJECTS, len(CLASSES))

    def forward(self, context):
        """context (b, t, width) -> scores of every class of each object"""
        return self.head(context[:, -OBJECTS:]).split(CLASSES, -1)

    def loss(self, scores, targets):
        return sum(F.cross_entropy(s.float().flatten(0, 1), targets[..., i].flatten())
                   for i, s in enumerate(scores))
