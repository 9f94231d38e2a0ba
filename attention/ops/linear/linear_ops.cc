#include "attention/ops/linear/linear_attention.h"

namespace fovea {

const std::vector<const AttentionOp*>& LinearOps() {
  static const auto owned = [] {
    std::vector<std::unique_ptr<const AttentionOp>> made;
    for (const LinearEntry* entry : {&kFlow, &kLightning, &kLightNet}) {
      made.push_back(LinearAttention(*entry));
    }
    return made;
  }();
  static const auto ops = [] {
    std::vector<const AttentionOp*> all;
    for (const auto& op : owned) all.push_back(op.get());
    return all;
  }();
  return ops;
}

}  // namespace fovea
