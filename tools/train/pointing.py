"""Teaches the denoiser's cross-attention which part of the picture each object of the text is.

The masks say where every object lies, and the last text states name the objects (slots.py): where a
cell shows the second object, its scores should prefer the second state. At high noise only the words
"left" and "behind" can tell, so relations are learned by the attention itself; from the loss on
latents alone they were not, in 140,000 samples. After "Attend-and-Excite"-like guidance, as a loss.
"""

import torch
import torch.nn.functional as F

from slots import OBJECTS


class PointingAttnProcessor:
    """diffusers' plain attention; keeps the cross-attention scores of the object states."""

    def __init__(self):
        self.scores = None

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None,
                 **_):
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = attn.to_q(hidden_states), attn.to_k(text), attn.to_v(text)
        q, k, v = (x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for x in (q, k, v))
        scores = (q @ k.transpose(-1, -2)) * attn.scale  # (b, heads, cells, tokens)
        self.scores = None if encoder_hidden_states is None else scores[..., -OBJECTS:].mean(1)
        out = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](out))


class PointingJointAttnProcessor:
    """diffusers' joint attention, picture first; keeps the scores of the object states."""

    def __init__(self):
        self.scores = None

    def __call__(self, attn, hidden_states, encoder_hidden_states, attention_mask=None, **_):
        cells = hidden_states.shape[1]
        streams = zip((attn.to_q(hidden_states), attn.to_k(hidden_states),
                       attn.to_v(hidden_states)),
                      (attn.add_q_proj(encoder_hidden_states),
                       attn.add_k_proj(encoder_hidden_states),
                       attn.add_v_proj(encoder_hidden_states)),
                      (attn.norm_q, attn.norm_k, None), (attn.norm_added_q, attn.norm_added_k, None))
        joint = []
        for *pair, norm, added in streams:
            image, text = (x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for x in pair)
            joint.append(torch.cat([image if norm is None else norm(image),
                                    text if added is None else added(text)], 2))
        q, k, v = joint
        scores = (q @ k.transpose(-1, -2)) * attn.scale  # (b, heads, tokens, tokens)
        self.scores = scores[:, :, :cells, -OBJECTS:].mean(1)
        out = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        image, text = out[:, :cells], out[:, cells:]
        image = attn.to_out[1](attn.to_out[0](image))
        return image, text if attn.context_pre_only else attn.to_add_out(text)


def shares(labels, said):
    """Which object each cell shows, by what the caption says of it; cells of several or none are 0.

    labels (b, 4, h, w) and said (b, OBJECTS, 5) as scene_labels and slots -> (b, OBJECTS, h, w)
    """
    told = said[:, :, :labels.shape[1], None, None]
    fits = ((labels[:, None] == told) | (told == 0)).all(2) & (said[:, :, 0, None, None] > 0)
    return (fits & (fits.sum(1, keepdim=True) == 1)).float()


def grid_of(cells, rows, columns):
    """Rows and columns of a layer with so many cells, in a network that halves, rounding up."""
    while rows * columns > cells:
        rows, columns = -(-rows // 2), -(-columns // 2)
    if rows * columns != cells:
        raise ValueError(f"{cells} cells are none of the picture's levels")
    return rows, columns


def loss(processors, labels, said):
    """Cross-entropy of object states against what the cells show, mean over layers."""
    target = shares(labels, said)
    total = target.new_zeros(())
    layers = [p.scores for p in processors if p.scores is not None]
    for scores in layers:  # (b, cells, OBJECTS)
        grid = grid_of(scores.shape[1], *labels.shape[-2:])
        pooled = F.adaptive_avg_pool2d(target, grid).flatten(2).transpose(1, 2)
        cross = -(pooled * scores.float().log_softmax(-1)).sum(-1)
        total = total + cross.sum() / pooled.sum().clamp(min=1)
    return total / len(layers)
