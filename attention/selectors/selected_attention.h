// The operator around a selector: everything that selectors share.
//
// A tile that is left out of a row counts by its mean key and mean value, as heavy as its tokens,
// with rest=mean: the kernel adds ln(tokens) to the scores of such stand-in keys.
#pragma once

#include "attention/selectors/selector.h"

namespace fovea {

// As an entry of the operators' table. `entry` must outlive it.
std::unique_ptr<const AttentionOp> SelectedAttention(const SelectorEntry& entry);

}  // namespace fovea
