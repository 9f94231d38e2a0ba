// Who watches, or edits, what happens at every attention site of a run.
//
// AttentionRuntime::Attend tells its listeners after the operators have run. Looking never changes
// results: a listener that only reads leaves every byte as it is. One that wants to change what a
// head put out (ablations, replacements) writes to call.io.out. Engine thread only.
#pragma once

#include <span>

#include "attention/attention_op.h"
#include "attention/plan.h"

namespace fovea {

// Neighbouring heads of neighbouring samples that ran under one operator. Views are of the call.
struct AttentionPart {
  OperatorSpec op;
  PreparedAttention* prepared = nullptr;  // the runtime's; its Matrix may be asked for
  AttentionSpec spec;                     // of this part: batch = its samples, heads = its heads
  AttentionIo io;  // without mix; lse empty where the operator has none; io.first_head is set
  int first_sample = 0, first_head = 0;
};

struct AttentionCall {
  const AttentionSite& site;
  const AttentionSpec& spec;  // of the call: layouts of the tokens as they are at this size
  const AttentionIo& io;      // io.mix: of all heads; io.lse: NaN where an operator has none
  int step = 0, steps = 1;
  std::span<const AttentionPart> parts;  // every head of every sample is in one of them
};

class AttentionListener {
 public:
  virtual ~AttentionListener() = default;
  virtual void Attended(Context& ctx, const AttentionCall& call) = 0;
};

}  // namespace fovea
