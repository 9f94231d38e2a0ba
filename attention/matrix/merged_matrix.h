// The attention of tokens that were merged before and take their group's output after: agentsd.
#pragma once

#include <memory>
#include <vector>

#include "attention/kernels/token_merge.h"
#include "attention/matrix/attention_matrix.h"

namespace fovea {

struct MergedSample {
  TokenGroups groups;
  std::unique_ptr<AttentionMatrix> matrix;  // of the groups: one sample, all heads
};

// A token's row is its group's, and a group's weight is shared out evenly among its tokens; `share`
// of the group's own values is added.
std::unique_ptr<AttentionMatrix> MergedMatrix(std::vector<MergedSample> samples, float share);

}  // namespace fovea
