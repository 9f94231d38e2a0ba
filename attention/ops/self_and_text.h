// Grid tokens see themselves and all text; text sees everything. What "identity" means in
// diffusers' perturbed-attention guidance of SD3 (perturbation.h, kImageRenorm). Not in the table
// of plans.
#pragma once

#include "attention/attention_op.h"

namespace fovea {

const AttentionOp& SelfAndTextAttention();

}  // namespace fovea
