"""What the masks tell about each square cell of a picture, as class numbers."""

import numpy as np

COLORS = ["red", "green", "blue", "yellow", "purple", "cyan", "orange", "white"]
SHAPES = ["sphere", "cube", "cylinder", "cone", "torus"]
MATERIALS, SIZES = ["matte", "metal"], ["small", "large"]
KEYS = {"color": COLORS, "shape": SHAPES, "material": MATERIALS, "size": SIZES}
CLASSES = [1 + len(names) for names in KEYS.values()]  # class 0 is "no object"


def cell_labels(mask, objects, cell, least=0.2):
    """Colour, shape, material and size of each cell's main object; 0 where it covers less than
    `least` of the cell.  (4, h / cell, w / cell) u8"""
    rows, columns = (s // cell for s in mask.shape)
    cells = np.asarray(mask).reshape(rows, cell, columns, cell).transpose(0, 2, 1, 3)
    area = np.stack([(cells == k + 1).sum((2, 3)) for k in range(len(objects))])
    kind = np.where(area.max(0) >= least * cell * cell, 1 + area.argmax(0), 0)
    table = np.zeros((len(KEYS), 1 + len(objects)), np.uint8)
    for k, o in enumerate(objects):
        table[:, k + 1] = [1 + names.index(o[key]) for key, names in KEYS.items()]
    return table[:, kind]


def cell_shares(masks, cell):
    """Of each cell, how much objects cover, and how much of an outline crosses it: 1 for a straight
    one from side to side.  masks (n, h, w) -> (n, 2, h / cell, w / cell) f16"""
    masks = np.asarray(masks)
    edge = np.zeros(masks.shape, bool)
    edge[:, 1:] = masks[:, 1:] != masks[:, :-1]
    edge[:, :, 1:] |= masks[:, :, 1:] != masks[:, :, :-1]
    n, rows, columns = len(masks), masks.shape[1] // cell, masks.shape[2] // cell
    cells = lambda x: x.reshape(n, rows, cell, columns, cell).sum((2, 4))
    inside, outline = cells(masks > 0) / cell**2, np.minimum(cells(edge) / cell, 1.0)
    return np.stack([inside, outline], 1).astype(np.float16)
