// The head mix of AttentionIo, for operators whose last softmax is not over io.v itself.
#pragma once

#include "attention/attention_op.h"

namespace fovea {

// out = a * out + b * v + e * mean of v over all keys, by io.mix; nothing where that is empty.
// Memory-bound. The tile kernel does the same in its epilogue.
void ApplyHeadMixCpu(const AttentionIo& io);

}  // namespace fovea
