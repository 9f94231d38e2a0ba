// Softmax attention over all keys.
//
// Vaswani et al., "Attention Is All You Need" (2017): out = softmax(q kᵀ / sqrt(d)) v.
// Cost: 4 t kv d FLOPs a head. Serves every site and any head size.
#pragma once

#include "attention/attention_op.h"

namespace fovea {

const AttentionOp& DenseAttention();

}  // namespace fovea
