// CLEAR: attention within a circle, with all text.
//
// Liu et al., "CLEAR: Conv-Like Linearization Revs Pre-Trained Diffusion Transformers Up" (2024).
// A query at (y, x) sees the keys with (dy)^2 + (dx)^2 < r^2, cut by the border, and every text
// token. `down` = D adds keys and values pooled over D x D cells (learned weights "spatial_weight"
// [1,1,1,D,1,D,1], else 1/D^2; those of another D are refused), seen by grid queries only.
// `proportional` replaces the scale by sqrt(log_4608(n) / dim), n all tokens, ten times as many
// with pooled keys (the official code). Cost: about 4 d pi r^2 a query. Refuses more than one
// frame, and sides that D does not divide.
#pragma once

#include "attention/attention_op.h"

namespace fovea {

const AttentionOp& ClearAttention();

}  // namespace fovea
