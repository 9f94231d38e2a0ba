#include "attention/ops/agent.h"

#include "attention/kernels/biased_attention.h"
#include "attention/kernels/head_mix.h"
#include "attention/kernels/pooling.h"
#include "attention/kernels/tile_attention.h"
#include "attention/ops/local_attention.h"
#include "attention/ops/softmax_matrix.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"agents", "7", "pooled queries on each axis of the grid"}};

constexpr int64_t kMostAgents = 1 << 16;

std::array<int, 3> AgentGrid(const std::array<int, 3>& grid, const OpParams& params) {
  std::array<int, 3> agents = OpArgs("agent", kArgs, params).PerAxis("agents", grid, 1, 4096);
  if (grid[0] == 1) agents[0] = 1;  // a single value is for the sides of a picture
  return agents;
}

const Tensor* FindWeight(const AttentionIo& io, const char* name) {
  if (io.weights == nullptr) return nullptr;
  const auto found = io.weights->find(name);
  return found == io.weights->end() ? nullptr : &found->second;
}

int64_t Count(const std::array<int, 3>& agents) {
  return int64_t{agents[0]} * agents[1] * agents[2];
}

class PreparedAgent final : public PreparedAttention {
 public:
  PreparedAgent(const AttentionSpec& spec, const std::array<int, 3>& agents)
      : agents_(agents), count_(static_cast<int>(Count(agents))), scale_(ScoreScale(spec)) {
    for (const Segment& segment : spec.q) {
      if (segment.kind == SegmentKind::kGrid) grid_ = segment;
    }
    const int tokens = TokenCount(spec.q);
    gather_ = DenseTileMap(count_, tokens, false);
    spread_ = DenseTileMap(tokens, count_, false);
  }

  void Run(Context& ctx, const AttentionIo& io) override {
    ENSURE(io.lse.Empty(), "agent attention has no lse");
    ArenaScope scope(ctx.arena);
    const Shape shape{io.q.shape[0], count_, io.q.shape[2], io.q.shape[3]};
    const Tensor agents = ctx.arena.New(shape, io.q.dtype);
    const Tensor values = ctx.arena.New(shape, io.q.dtype);
    const bool planning = ctx.backend.IsPlanning();
    if (!planning) AdaptivePoolCpu(io.q, grid_, agents_, agents);
    if (const Tensor* bias = FindWeight(io, "agent.bias"); bias && bias->shape[1] == count_) {
      RunLearned(ctx, io, agents, values);
    } else {
      TileAttentionCpu(ctx, gather_, scale_, {agents, io.k, io.v, values});
      TileAttentionCpu(ctx, spread_, scale_, {io.q, agents, values, io.out});
    }
    if (!planning) ApplyHeadMixCpu(io);
  }

  std::unique_ptr<AttentionMatrix> Matrix(Context&, const AttentionIo& io) override {
    HostTensor pooled({io.q.shape[0], count_, io.q.shape[2], io.q.shape[3]}, io.q.dtype);
    AdaptivePoolCpu(io.q, grid_, agents_, pooled.View());
    SoftmaxSource gather{.q = pooled.View(), .k = io.k, .scale = scale_, .map = &gather_};
    SoftmaxSource spread{.q = io.q, .k = pooled.View(), .scale = scale_, .map = &spread_};
    if (const Tensor* bias = FindWeight(io, "agent.bias"); bias && bias->shape[1] == count_) {
      gather.bias = bias->Slice(0, io.first_head, io.q.shape[2]);
      spread.bias = FindWeight(io, "query.bias")->Slice(0, io.first_head, io.q.shape[2]);
    }
    const auto right = SoftmaxMatrix(std::move(gather));
    spread.owned.push_back(std::move(pooled));
    return ProductMatrix(SoftmaxMatrix(std::move(spread)), *right);
  }

  double PairShare() const override {
    const auto tokens = static_cast<double>(spread_.q.tokens.size());
    return static_cast<double>(gather_.pairs + spread_.pairs) / (tokens * tokens);
  }

 private:
  void RunLearned(Context& ctx, const AttentionIo& io, const Tensor& agents,
                  const Tensor& values) const {
    ctx.backend.CountFlops(4.0 * static_cast<double>(gather_.pairs + spread_.pairs) *
                           static_cast<double>(io.q.shape[0] * io.q.shape[2] * io.q.shape[3]));
    if (ctx.backend.IsPlanning()) return;
    const Tensor gather = FindWeight(io, "agent.bias")->Slice(0, io.first_head, io.q.shape[2]);
    const Tensor spread = FindWeight(io, "query.bias")->Slice(0, io.first_head, io.q.shape[2]);
    BiasedAttentionCpu(agents, io.k, io.v, scale_, gather, values);
    BiasedAttentionCpu(io.q, agents, values, scale_, spread, io.out);
    const int64_t d = io.q.shape[3], first = io.first_head * d, count = io.q.shape[2] * d;
    AddDepthwiseCpu(io.v, grid_, FindWeight(io, "dwc.weight")->Slice(0, first, count),
                    FindWeight(io, "dwc.bias")->Slice(0, first, count), io.out);
  }

  Segment grid_;
  std::array<int, 3> agents_;
  int count_;
  float scale_;
  TileMap gather_, spread_;
};

constexpr OpAbout kAbout = {
    "pooled queries between all queries and all keys: softmax(q AT / sqrt(d)) softmax(A kT / "
    "sqrt(d)) v; a network trained with as many agents adds its biases and convolution",
    "Han et al. 2023, Agent Attention, arXiv:2312.08874", "8 n d FLOPs a query for n agents",
    "cross-attention, causal attention; more than 65536 agents; has no lse"};

class Agent final : public AttentionOp {
 public:
  std::string_view Name() const override { return "agent"; }
  OpAbout About() const override { return kAbout; }
  std::span<const OpArg> Args() const override { return kArgs; }
  bool HasLse(const AttentionSpec&, const OpParams&) const override { return false; }

  Support Supports(const AttentionSpec& spec, const OpParams& params) const override {
    const Support support = SupportsLocal(Name(), spec);
    const auto agents =
        AgentGrid(support.ok ? *GridOf(spec.q) : std::array<int, 3>{1, 1, 1}, params);
    if (support.ok && Count(agents) > kMostAgents) {
      return {false, "agent makes at most " + std::to_string(kMostAgents) + " agents, not " +
                         std::to_string(Count(agents))};
    }
    return support;
  }

  std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec,
                                             const OpParams& params) const override {
    return std::make_unique<PreparedAgent>(spec, AgentGrid(*GridOf(spec.q), params));
  }
};

}  // namespace

const AttentionOp& AgentAttention() {
  static const Agent op;
  return op;
}

std::optional<OperatorSpec> LearnedAgent(const AttentionIo& io) {
  const Tensor* bias = FindWeight(io, "agent.bias");
  if (bias == nullptr) return std::nullopt;
  int side = 1;
  while (int64_t{side} * side < bias->shape[1]) ++side;
  ENSURE(int64_t{side} * side == bias->shape[1], bias->shape.ToString());
  const std::string text = std::to_string(side);
  return OperatorSpec{"agent", {{"agents", text + "x" + text}}};
}

}  // namespace fovea
