// An attention operator: what it accepts, what it must prepare, how it runs.
//
// The set is open and is the product: one file an operator in attention/ops, one line in
// registry.cc. Operators are stateless; PreparedAttention holds host work done once per geometry.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attention/attention_matrix.h"
#include "attention/attention_site.h"
#include "attention/op_args.h"
#include "tensor/context.h"

namespace fovea {

struct TileMap;

struct AttentionSpec {
  int batch = 1, heads = 1, head_dim = 64;
  TokenLayout q, kv;
  DType dtype = DType::kF32;
  DeviceKind device = DeviceKind::kCpu;
  float scale = 0;      // of the scores; 0: 1/sqrt(head_dim)
  bool causal = false;  // key j is seen by query i only if j <= i (text encoders)
};

// What becomes of one head of one sample: a * attention + b * v + e * mean of v over all keys.
// Identity (b = 1), uniform (e = 1) and interpolated heads of perturbed-attention guidance.
struct HeadMix {
  float a = 1, b = 0, e = 0;
};

// Where in a run a call stands: operators that change from step to step read it, and nothing else
// makes them change.
struct RunPoint {
  int step = 0, steps = 1;
  uint64_t seed = 0;
  int layer = 0;     // AttentionSite::index
  int64_t draw = 0;  // counts the calls of window(schedule=upstream) before this one in the run
};

// q, out (b,t,heads,d); k, v (b,kv,heads,d). Strided, the last axis dense.
// lse (b,heads,t) f32 or empty: natural log of the sum of exponentials of the scaled scores.
struct AttentionIo {
  Tensor q, k, v, out, lse{};
  Tensor extra_k{}, extra_v{};  // (b,n,heads,d) more keys, made by the operator; or empty
  // (b,t,c) what the block was given, before its norm: token merging compares it; or empty.
  Tensor hidden{};
  int first_head = 0;  // of the layer: the one that q's head 0 is, for what `weights` has by head
  std::span<const HeadMix> mix{};  // batch * heads, self-attention only; empty: plain
  const std::map<std::string, Tensor>* weights =
      nullptr;  // an operator's own tensors, f32, by name
  RunPoint at{};
};

struct Support {
  bool ok = true;
  std::string reason;  // a refusal always says why
};

// What `info --operators` says of an operator, beside its arguments; a line each.
struct OpAbout {
  std::string_view what, source, cost, refuses;
};

class PreparedAttention {
 public:
  virtual ~PreparedAttention() = default;
  // Scratch comes from ctx.arena, also under the PlanningBackend, which only reserves and counts.
  virtual void Run(Context& ctx, const AttentionIo& io) = 0;
  virtual const TileMap* Map() const { return nullptr; }  // where the operator has one
  // What Run does to v, as a matrix of each head (attention_matrix.h), for looking at: io.q, io.k
  // and what else the operator reads, of any of its calls; io.v and io.out may be empty, io.mix
  // does not count. Views both this and `io`'s tensors, which must outlive it.
  virtual std::unique_ptr<AttentionMatrix> Matrix(Context& ctx, const AttentionIo& io) = 0;
  // Without a map: pairs that are multiplied, over the pairs of all queries and all keys.
  virtual double PairShare() const { return 1; }
};

class AttentionOp {
 public:
  virtual ~AttentionOp() = default;
  virtual std::string_view Name() const = 0;
  virtual OpAbout About() const = 0;
  virtual std::span<const OpArg> Args() const { return {}; }
  // Whether it is a softmax over a set of keys in a supported case, and so can give io.lse.
  virtual bool HasLse(const AttentionSpec&, const OpParams&) const { return true; }
  // Whether RunPoint::seed changes what it does: pictures of a batch are then attended one by one,
  // each with its own seed.
  virtual bool UsesSeed(const OpParams&) const { return false; }
  // Whether AttentionIo::hidden changes what it does.
  virtual bool UsesHidden() const { return false; }
  // Throws kUsage for arguments that do not parse; what is well-formed but cannot run is refused.
  virtual Support Supports(const AttentionSpec& spec, const OpParams& params) const = 0;
  virtual std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec,
                                                     const OpParams& params) const = 0;
};

std::span<const AttentionOp* const> AttentionOps();         // explicit table in registry.cc
const AttentionOp& FindAttentionOp(std::string_view name);  // throws kUsage listing what exists

}  // namespace fovea
