// Every attention operator, in one explicit table: static libraries would drop self-registering
// ones.
#include "attention/attention_op.h"
#include "attention/ops/agent.h"
#include "attention/ops/agentsd.h"
#include "attention/ops/clear.h"
#include "attention/ops/dense.h"
#include "attention/ops/gna.h"
#include "attention/ops/halo.h"
#include "attention/ops/radial.h"
#include "attention/ops/window.h"

namespace fovea {

std::span<const AttentionOp* const> AttentionOps() {
  static const AttentionOp* const ops[] = {
      &DenseAttention(), &WindowAttention(), &ClearAttention(), &GeneralizedNeighborhoodAttention(),
      &HaloAttention(),  &RadialAttention(), &AgentAttention(), &AgentSdAttention()};
  return ops;
}

const AttentionOp& FindAttentionOp(std::string_view name) {
  std::string known;
  for (const AttentionOp* op : AttentionOps()) {
    if (op->Name() == name) return *op;
    known += (known.empty() ? "" : ", ") + std::string(op->Name());
  }
  throw Error(ErrorCode::kUsage,
              "no attention operator is called \"" + std::string(name) + "\"; there are: " + known);
}

}  // namespace fovea
