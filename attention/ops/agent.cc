#include "attention/ops/agent.h"

#include "attention/kernels/biased_attention.h"
#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/pooling.h"
#include "attention/kernels/tile/tile_attention.h"
#include "attention/matrix/softmax_matrix.h"
#include "attention/ops/local_attention.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"agents", "7", "pooled queries on each axis of the grid"}};

constexpr int64_t kMostAgents = 1 << 16;

std::array<int, 3> AgentsOn(const AxisValues& values, const std::array<int, 3>& grid) {
  std::array<int, 3> agents = values.On(grid);
  if (grid[0] == 1) agents[0] = 1;  // a single value is for the sides of a picture
  return agents;
}

const Tensor* FindWeight(const OperatorIo& io, const char* name) {
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
    grid_ = *GridSegment(spec.q);
    const int tokens = TokenCount(spec.q);
    gather_ = DenseTileMap(count_, tokens, false);
    spread_ = DenseTileMap(tokens, count_, false);
  }

  bool HasLse() const override { return false; }

  void Run(Context& ctx, const OperatorIo& io, OpState*) override {
    ENSURE(io.lse.Empty(), "agent attention has no lse");
    ArenaScope scope(ctx.arena);
    const Shape shape{io.q.shape[0], count_, io.q.shape[2], io.q.shape[3]};
    const Tensor agents = ctx.arena.New(shape, io.q.dtype);
    const Tensor values = ctx.arena.New(shape, io.q.dtype);
    AdaptivePool(ctx, io.q, grid_, agents_, agents);
    if (const Tensor* bias = FindWeight(io, "agent.bias"); bias && bias->shape[1] == count_) {
      return RunLearned(ctx, io, agents, values);
    }
    TileAttention(ctx, gather_, scale_, {.q = agents, .k = io.k, .v = io.v, .out = values});
    TileAttention(ctx, spread_, scale_, {.q = io.q, .k = agents, .v = values, .out = io.out});
  }

  std::unique_ptr<AttentionMatrix> Matrix(Context&, const OperatorIo& io) override {
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
  void RunLearned(Context& ctx, const OperatorIo& io, const Tensor& agents,
                  const Tensor& values) const {
    const Tensor gather = FindWeight(io, "agent.bias")->Slice(0, io.first_head, io.q.shape[2]);
    const Tensor spread = FindWeight(io, "query.bias")->Slice(0, io.first_head, io.q.shape[2]);
    BiasedAttention(ctx, agents, io.k, io.v, scale_, gather, values);
    BiasedAttention(ctx, io.q, agents, values, scale_, spread, io.out);
    const int64_t d = io.q.shape[3], first = io.first_head * d, count = io.q.shape[2] * d;
    AddDepthwise(ctx, io.v, grid_, FindWeight(io, "dwc.weight")->Slice(0, first, count),
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

class BoundAgent final : public BoundOp {
 public:
  BoundAgent(OperatorSpec spec, AxisValues agents)
      : BoundOp(std::move(spec),
                {.tensors = {"agent.bias", "query.bias", "dwc.weight", "dwc.bias"}}),
        agents_(std::move(agents)) {}

  Support Supports(const AttentionSpec& spec) const override {
    const Support support = SupportsLocal("agent", spec);
    if (!support.ok) return support;
    const int64_t count = Count(AgentsOn(agents_, *GridOf(spec.q)));
    if (count <= kMostAgents) return support;
    return {false, "agent makes at most " + std::to_string(kMostAgents) + " agents, not " +
                       std::to_string(count)};
  }
  std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec) const override {
    return std::make_unique<PreparedAgent>(spec, AgentsOn(agents_, *GridOf(spec.q)));
  }

 private:
  AxisValues agents_;
};

class Agent final : public AttentionOp {
 public:
  std::string_view Name() const override { return "agent"; }
  OpAbout About() const override { return kAbout; }
  std::span<const OpArg> Args() const override { return kArgs; }
  std::unique_ptr<const BoundOp> Bind(const OpParams& params) const override {
    return std::make_unique<BoundAgent>(OperatorSpec{"agent", params},
                                        OpArgs(Name(), kArgs, params).PerAxis("agents", 1, 4096));
  }
};

}  // namespace

const AttentionOp& AgentAttention() {
  static const Agent op;
  return op;
}

}  // namespace fovea
