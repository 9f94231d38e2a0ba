// Every operator that chooses tiles, in one explicit table.
#pragma once

#include <vector>

#include "attention/attention_op.h"

namespace fovea {

const std::vector<const AttentionOp*>& SelectorOps();

}  // namespace fovea
