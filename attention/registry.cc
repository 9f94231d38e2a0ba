// Every attention operator, in one explicit table: static libraries would drop self-registering
// ones.
#include "attention/attention_op.h"
#include "attention/ops/agent.h"
#include "attention/ops/agentsd.h"
#include "attention/ops/clear.h"
#include "attention/ops/dense.h"
#include "attention/ops/gna.h"
#include "attention/ops/halo.h"
#include "attention/ops/linear/linear_attention.h"
#include "attention/ops/radial.h"
#include "attention/ops/window.h"
#include "attention/selectors/selectors.h"

namespace fovea {

OperatorTable AttentionOps() {
  static const auto ops = [] {
    std::vector<const AttentionOp*> all = {&DenseAttention(), &WindowAttention(),
                                           &ClearAttention(), &GeneralizedNeighborhoodAttention(),
                                           &HaloAttention(),  &RadialAttention(),
                                           &AgentAttention(), &AgentSdAttention()};
    all.insert(all.end(), SelectorOps().begin(), SelectorOps().end());
    all.insert(all.end(), LinearOps().begin(), LinearOps().end());
    return all;
  }();
  return ops;
}

const AttentionOp& FindAttentionOp(std::string_view name, OperatorTable table) {
  std::string known;
  for (const AttentionOp* op : table) {
    if (op->Name() == name) return *op;
    known += (known.empty() ? "" : ", ") + std::string(op->Name());
  }
  throw Error(ErrorCode::kUsage,
              "no attention operator is called \"" + std::string(name) + "\"; there are: " + known);
}

std::shared_ptr<const BoundOp> BindOperator(const OperatorSpec& spec, OperatorTable table) {
  return FindAttentionOp(spec.name, table).Bind(spec.params);
}

}  // namespace fovea
