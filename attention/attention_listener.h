// Who watches, or edits, what happens at every attention site of a run.
//
// AttentionRuntime::Attend tells its listeners after the operators have run. Looking never changes
// results: a listener that only reads leaves every byte as it is. One that wants to change what a
// head put out (ablations, replacements) writes to call.io.out. Engine thread only.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "attention/attention_op.h"
#include "attention/heads/branch_layout.h"
#include "attention/heads/perturbation.h"

namespace fovea {

// T of perturbed heads where another attention gave it: prepared->Run with the queries that `kind`
// asks with. spec.q has one token if one mean query served all rows.
struct PartStandIn {
  PerturbKind kind = PerturbKind::kOperator;
  double sigma = 0;
  std::shared_ptr<const BoundOp> op;
  PreparedAttention* prepared = nullptr;
  AttentionSpec spec;
  std::shared_ptr<const TileMaps> maps;  // as OperatorIo's
  float share = 1;
  RowRange rows;
};

// Neighbouring heads of neighbouring samples that ran under one operator and were handled alike.
// Views are of the call. probe/call_matrix.h shows what such a part did as a whole.
struct AttentionPart {
  std::shared_ptr<const BoundOp> op;
  PreparedAttention* prepared = nullptr;  // the runtime's; its Matrix may be asked for
  AttentionSpec spec;                     // of this part: batch = its samples, heads = its heads
  OperatorIo io;  // without mix; lse empty where the operator has none; maps: what it visited
  int first_sample = 0, first_head = 0;
  bool ran = true;  // whether the operator did: not where something else took the whole output
  std::vector<HeadMix> mix = {};             // samples * heads, or empty: none is mixed
  std::optional<PartStandIn> stand_in = {};  // or none; then nothing is mixed
};

struct AttentionCall {
  const AttentionSite& site;
  const AttentionSpec& spec;  // of the call: layouts of the tokens as they are at this size
  const AttentionIo& io;      // io.lse: NaN where an operator has none or no softmax was evaluated
  int step = 0, steps = 1;
  std::span<const AttentionPart> parts;  // every head of every sample is in one of them
  BranchLayout branches = {};  // whose the samples are; the last ones may be missing in this batch
};

class AttentionListener {
 public:
  virtual ~AttentionListener() = default;
  virtual void Attended(Context& ctx, const AttentionCall& call) = 0;
};

}  // namespace fovea
