// An attention operator: what it accepts, what it must prepare, how it runs.
//
// The set is open and is the product: one file an operator in attention/ops, one line in
// registry.cc. Three objects, from text to bytes:
//   AttentionOp        one an operator; reads arguments, once for each rule of a plan;
//   BoundOp            an operator with its arguments; says in OpTraits what it needs of a run;
//   PreparedAttention  the same for one geometry, with the host work done.
// All three are stateless. What an operator remembers from call to call is an OpState of the
// caller.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attention/attention_site.h"
#include "attention/kernels/head_mix.h"
#include "attention/matrix/attention_matrix.h"
#include "attention/op_args.h"
#include "tensor/context.h"

namespace fovea {

struct TileMap;
struct TileMaps;

struct AttentionSpec {
  int batch = 1, heads = 1, head_dim = 64;
  TokenLayout q, kv;
  DType dtype = DType::kF32;
  DeviceKind device = DeviceKind::kCpu;
  float scale = 0;      // of the scores; 0: 1/sqrt(head_dim)
  bool causal = false;  // key j is seen by query i only if j <= i (text encoders)
};
bool SameSpec(const AttentionSpec& a, const AttentionSpec& b);

// Where in a run a call stands: operators that change from step to step read it, and nothing else
// makes them change.
struct RunPoint {
  int step = 0, steps = 1;
  uint64_t seed = 0;
  int layer = 0;     // AttentionSite::index
  int64_t draw = 0;  // counts the calls of operators that draw (OpTraits::draws) before this one
};

// An operator's own tensors, f32, by the names that OpTraits::tensors lists.
using OperatorTensors = std::map<std::string, Tensor>;

// What a model gives at a site. q, out (b,t,heads,d); k, v (b,kv,heads,d). Strided, the last axis
// dense. lse (b,heads,t) f32 or empty: natural log of the sum of exponentials of the scaled scores.
struct AttentionIo {
  Tensor q, k, v, out, lse{};
  // (b,t,c) what the block was given, before its norm: token merging compares it; or empty.
  Tensor hidden{};
  const OperatorTensors* weights = nullptr;  // that the layer was trained with, or null
};

// What an operator gets: some samples and heads of that, and what the runtime knows.
struct OperatorIo : AttentionIo {
  int first_head = 0;              // index in the layer of q's head 0; `weights` are indexed by it
  int layer_heads = 0;             // that the layer has; 0: those of q
  std::span<const HeadMix> mix{};  // batch * heads; empty: plain. See OpTraits::mixes
  RunPoint at{};
  // Of operators that choose tiles: what ChooseTiles chose for this call. Null for all others.
  std::shared_ptr<const TileMaps> maps = {};

  int LayerHeads() const { return layer_heads > 0 ? layer_heads : static_cast<int>(q.shape[2]); }
};

struct Support {
  bool ok = true;
  std::string reason;  // a refusal always says why
};

// What `info --operators` says of an operator, beside its arguments; a line each.
struct OpAbout {
  std::string_view what, source, cost, refuses;
};

// What an operator remembers from one call to the next of the same site, heads, branch of guidance
// and picture. Belongs to the runtime, which drops it when a run ends.
class OpState {
 public:
  virtual ~OpState() = default;
};

// What an operator needs of a run, with its arguments.
struct OpTraits {
  bool seed =
      false;  // RunPoint::seed changes it: pictures are attended one by one, each with its own
  bool draws = false;   // RunPoint::draw changes it: its calls are counted in the order of a run
  bool state = false;   // NewState gives something: pictures are attended one by one
  bool hidden = false;  // AttentionIo::hidden changes it
  bool mixes = false;  // Run applies OperatorIo::mix; for all others the runtime does so afterwards
  bool cross =
      false;  // serves keys of another sequence: rules reach cross-attention with such alone
  // Every so many steps from the rule's first on, its calls cost more than at the steps between; 0:
  // all steps cost the same. Dry runs then price both kinds.
  int refresh = 0;
  std::vector<std::string_view> tensors = {};  // names in AttentionIo::weights that it reads
};

class PreparedAttention {
 public:
  virtual ~PreparedAttention() = default;

  // Empty, or what the next two get at every call of one site, head range, branch and picture.
  virtual std::unique_ptr<OpState> NewState() const { return nullptr; }
  // Only operators that choose tiles by content: what this call visits. On the PlanningBackend,
  // which has no content, a bound from above (TileMaps::planned_pairs).
  virtual std::shared_ptr<const TileMaps> ChooseTiles(Context& /*ctx*/, const OperatorIo& /*io*/,
                                                      OpState* /*state*/) {
    return nullptr;
  }
  // Scratch comes from ctx.arena, also under the PlanningBackend, which only reserves and counts.
  virtual void Run(Context& ctx, const OperatorIo& io, OpState* state) = 0;
  void Run(Context& ctx, const OperatorIo& io) { Run(ctx, io, nullptr); }

  // What Run does to v, as a matrix of each head (attention_matrix.h), for looking at: io.q, io.k
  // and what else the operator reads, of any of its calls; io.v and io.out may be empty, io.mix
  // does not count. All on the host. Views both this and `io`'s tensors, which must outlive it.
  virtual std::unique_ptr<AttentionMatrix> Matrix(Context& ctx, const OperatorIo& io) = 0;

  virtual const TileMap* Map() const { return nullptr; }  // where the operator has one, fixed
  // Without a map: pairs that are multiplied, over the pairs of all queries and all keys.
  virtual double PairShare() const { return 1; }
  // Whether it is a softmax over a set of keys, and so can give io.lse.
  virtual bool HasLse() const { return true; }
  // Why a row is not softmax(scale q kT) over some of the layer's own keys at the spec's scale;
  // empty if it is. Gradients are taken through such rows only.
  virtual std::string_view NotPlainSoftmax() const {
    return HasLse() ? "" : "is not one softmax over the layer's keys";
  }
};

class BoundOp {
 public:
  virtual ~BoundOp() = default;
  BoundOp(const BoundOp&) = delete;
  BoundOp& operator=(const BoundOp&) = delete;

  const OperatorSpec& Spec() const { return spec_; }
  const std::string& Text() const { return text_; }  // "clear(r=16)"
  const OpTraits& Traits() const { return traits_; }

  virtual Support Supports(const AttentionSpec& spec) const = 0;
  // Only for what it supports.
  virtual std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec) const = 0;

 protected:
  BoundOp(OperatorSpec spec, OpTraits traits)
      : spec_(std::move(spec)), text_(spec_.Text()), traits_(std::move(traits)) {}

 private:
  OperatorSpec spec_;
  std::string text_;
  OpTraits traits_;
};

class AttentionOp {
 public:
  virtual ~AttentionOp() = default;
  virtual std::string_view Name() const = 0;
  virtual OpAbout About() const = 0;
  virtual std::span<const OpArg> Args() const { return {}; }
  // Reads the arguments. Throws kUsage for those that do not parse; what is well-formed but cannot
  // run is refused later, by BoundOp::Supports.
  virtual std::unique_ptr<const BoundOp> Bind(const OpParams& params) const = 0;
};

using OperatorTable = std::span<const AttentionOp* const>;
OperatorTable AttentionOps();  // explicit table in registry.cc
// Throws kUsage listing what exists.
const AttentionOp& FindAttentionOp(std::string_view name, OperatorTable table = AttentionOps());
std::shared_ptr<const BoundOp> BindOperator(const OperatorSpec& spec,
                                            OperatorTable table = AttentionOps());

}  // namespace fovea
