// One attention call, kept: what it takes to recompute any of its rows later, exactly.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "attention/attention_listener.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {

struct KeepOptions {
  int first_sample = 0, samples = 0;  // of the batch; 0: all from the first on
  bool values = false;                // v too
};

// Immutable but for what Matrix prepares at its first use; engine thread only.
class KeptAttention {
 public:
  KeptAttention(Context& ctx, const AttentionCall& call, const KeepOptions& options = {});
  ~KeptAttention();
  // What keeping `call` would take, before what rows on demand take later.
  static size_t BytesOf(const AttentionCall& call, const KeepOptions& options);

  const AttentionSite& Site() const { return site_; }
  const AttentionSpec& Spec() const { return spec_; }  // batch: the kept samples
  int Step() const { return step_; }
  size_t Bytes() const { return bytes_; }
  const HostTensor& Queries() const { return q_; }  // (b,heads,t,d)
  const HostTensor& Keys() const { return k_; }     // (b,heads,kv,d)
  const HostTensor& Values() const { return v_; }   // (b,heads,kv,d), or empty
  const HostTensor& Lse() const { return lse_; }    // (b,heads,t); NaN where there is none
  // Sample 0 is the first kept one. `ctx` gives scratch to operators that must match tokens again.
  const AttentionMatrix& Matrix(Context& ctx) const;
  // Tells `listener` of the call as it was, without v and out.
  void Replay(Context& ctx, AttentionListener& listener) const;

 private:
  AttentionSite site_;
  AttentionSpec spec_;
  int step_ = 0, steps_ = 1;
  size_t bytes_ = 0;
  BranchLayout branches_;  // of the kept samples
  HostTensor q_, k_, v_, hidden_, lse_;
  std::map<std::string, HostTensor> owned_weights_;
  OperatorTensors weights_;
  struct Part;
  std::vector<Part> parts_;
  const std::vector<AttentionPart>& Parts() const;  // made at the first use
  mutable std::vector<std::unique_ptr<PreparedAttention>> prepared_;
  mutable std::vector<AttentionPart> made_;
  mutable std::unique_ptr<AttentionMatrix> matrix_;
};

}  // namespace fovea
