// The single choke point through which every model's attention goes.
//
// One runtime serves one run: it resolves which operator a site uses at this step, prepares it once
// per geometry, runs it, and lets observers look. Used by the engine's thread only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "attention/attention_op.h"

namespace fovea {

class AttentionRuntime {
 public:
  AttentionRuntime();
  ~AttentionRuntime();
  AttentionRuntime(const AttentionRuntime&) = delete;
  AttentionRuntime& operator=(const AttentionRuntime&) = delete;

  void BeginStep(int step, int steps);  // 0-based
  void Attend(Context& ctx, const AttentionSite& site, const AttentionSpec& spec,
              const AttentionIo& io);

 private:
  int step_ = 0, steps_ = 1;
  std::map<std::string, std::unique_ptr<PreparedAttention>> prepared_;  // by spec
};

}  // namespace fovea
