#include "attention/ops/agentsd.h"

#include <algorithm>
#include <cmath>

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/tile/tile_attention.h"
#include "attention/kernels/token_merge.h"
#include "attention/matrix/merged_matrix.h"
#include "attention/matrix/softmax_matrix.h"
#include "attention/ops/local_attention.h"
#include "attention/random_bits.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {
    {"ratio", "0.4", "share of the tokens that is merged away, 0 to 1"},
    {"sx", "4", "columns of a cell; one token of each cell stays"},
    {"sy", "4", "rows of a cell"},
    {"agents", "0.95", "share that is merged away to make the agents, 0 to 1"},
    {"k", "0.075", "share of v that is added to the output"},
    {"scale2", "0.3", "the second softmax has the scale to this power"},
    {"random", "on", "on: the token of a cell that stays is drawn by seed; off: its upper left"}};

struct Settings {
  double ratio, agents, shortcut, scale2;
  int rows, columns;  // of a cell
  bool random;
};

Settings Read(const OpArgs& args) {
  Settings settings{};
  settings.ratio = args.Number("ratio", 0, 1);
  settings.agents = args.Number("agents", 0, 1);
  settings.shortcut = args.Number("k", -16, 16);
  settings.scale2 = args.Number("scale2", 0, 16);
  settings.columns = args.Int("sx", 1, 4096);
  settings.rows = args.Int("sy", 1, 4096);
  settings.random = args.Word("random", {"on", "off"}) == "on";
  return settings;
}

class PreparedAgentSd final : public PreparedAttention {
 public:
  PreparedAgentSd(const AttentionSpec& spec, const Settings& settings)
      : settings_(settings), grid_(*GridOf(spec.q)), scale_(ScoreScale(spec)) {
    const int64_t tokens = TokenCount(spec.q);
    all_pairs_ = static_cast<double>(tokens) * static_cast<double>(tokens);
    cell_rows_ = grid_[1] / settings.rows;
    cell_columns_ = grid_[2] / settings.columns;
    counts_ =
        CountAgentSd(tokens, int64_t{cell_rows_} * cell_columns_, settings.ratio, settings.agents);
    const int merged = static_cast<int>(counts_.tokens), agents = static_cast<int>(counts_.agents);
    if (counts_.with_agents) {
      gather_ = DenseTileMap(agents, merged, false);
      spread_ = DenseTileMap(merged, agents, false);
    } else {
      spread_ = DenseTileMap(merged, merged, false);
    }
  }

  bool HasLse() const override { return false; }

  void Run(Context& ctx, const OperatorIo& io, OpState*) override {
    ENSURE(io.lse.Empty(), "agentsd has no lse");
    if (counts_.tokens == io.q.shape[1] && !counts_.with_agents) {
      return TileAttention(ctx, spread_, scale_, CallOf(io));
    }
    const int64_t batch = io.q.shape[0], heads = io.q.shape[2], d = io.q.shape[3];
    const DType dtype = io.q.dtype;
    ArenaScope scope(ctx.arena);
    const Shape merged{batch, counts_.tokens, heads, d};
    const Tensor q = ctx.arena.New(merged, dtype), k = ctx.arena.New(merged, dtype);
    const Tensor v = ctx.arena.New(merged, dtype), out = ctx.arena.New(merged, dtype);
    const Shape few{batch, counts_.agents, heads, d};
    const Tensor agents = counts_.with_agents ? ctx.arena.New(few, dtype) : Tensor{};
    const Tensor values = counts_.with_agents ? ctx.arena.New(few, dtype) : Tensor{};

    std::vector<TokenGroups> groups;
    const std::vector<int32_t> destinations = Destinations(io.at);
    for (int64_t b = 0; b < batch; ++b) {
      const TokenMatching matching = MatchTokens(ctx, Compared(io, b), destinations);
      groups.push_back(GroupTokens(matching, io.q.shape[1] - counts_.tokens));
      MergeTokens(ctx, Sample(io.q, b), groups.back(), Sample(q, b));
      MergeTokens(ctx, Sample(io.k, b), groups.back(), Sample(k, b));
      MergeTokens(ctx, Sample(io.v, b), groups.back(), Sample(v, b));
      if (!counts_.with_agents) continue;
      MergeTokens(ctx, Sample(io.q, b), GroupTokens(matching, io.q.shape[1] - counts_.agents),
                  Sample(agents, b));
    }
    if (counts_.with_agents) {
      TileAttention(ctx, gather_, scale_, {.q = agents, .k = k, .v = v, .out = values});
      const float scale = static_cast<float>(std::pow(double{scale_}, settings_.scale2));
      TileAttention(ctx, spread_, scale, {.q = q, .k = agents, .v = values, .out = out});
      AddShare(ctx, v, static_cast<float>(settings_.shortcut), out);
    } else {
      TileAttention(ctx, spread_, scale_, {.q = q, .k = k, .v = v, .out = out});
    }
    for (int64_t b = 0; b < batch; ++b) {
      UnmergeTokens(ctx, Sample(out, b), groups[static_cast<size_t>(b)], Sample(io.out, b));
    }
  }

  std::unique_ptr<AttentionMatrix> Matrix(Context& ctx, const OperatorIo& io) override {
    if (counts_.tokens == io.q.shape[1] && !counts_.with_agents) {
      return SoftmaxMatrix({.q = io.q, .k = io.k, .scale = scale_, .map = &spread_});
    }
    const int64_t tokens = io.q.shape[1], heads = io.q.shape[2], d = io.q.shape[3];
    const std::vector<int32_t> destinations = Destinations(io.at);
    std::vector<MergedSample> samples;
    for (int64_t b = 0; b < io.q.shape[0]; ++b) {
      const TokenMatching matching = MatchTokens(ctx, Compared(io, b), destinations);
      MergedSample sample{GroupTokens(matching, tokens - counts_.tokens), nullptr};
      const auto merge = [&](const Tensor& x, const TokenGroups& groups) {
        HostTensor merged({1, groups.Count(), heads, d}, x.dtype);
        MergeTokensCpu(Sample(x, b), groups, Sample(merged.View(), 0));
        return merged;
      };
      HostTensor q = merge(io.q, sample.groups), k = merge(io.k, sample.groups);
      SoftmaxSource first{.q = q.View(), .k = k.View(), .scale = scale_, .map = &spread_};
      if (counts_.with_agents) {
        HostTensor agents = merge(io.q, GroupTokens(matching, tokens - counts_.agents));
        SoftmaxSource gather{.q = agents.View(), .k = k.View(), .scale = scale_, .map = &gather_};
        const auto right = SoftmaxMatrix(std::move(gather));
        first.k = agents.View();
        first.scale = static_cast<float>(std::pow(double{scale_}, settings_.scale2));
        first.owned.push_back(std::move(q));
        first.owned.push_back(std::move(agents));
        sample.matrix = ProductMatrix(SoftmaxMatrix(std::move(first)), *right);
      } else {
        first.owned.push_back(std::move(q));
        first.owned.push_back(std::move(k));
        sample.matrix = SoftmaxMatrix(std::move(first));
      }
      samples.push_back(std::move(sample));
    }
    return MergedMatrix(std::move(samples),
                        counts_.with_agents ? static_cast<float>(settings_.shortcut) : 0.0f);
  }

  double PairShare() const override {
    return static_cast<double>(gather_.pairs + spread_.pairs) / all_pairs_;
  }

 private:
  // x (b,t,heads,d) -> (t,heads,d)
  static Tensor Sample(const Tensor& x, int64_t b) {
    Tensor one = x.Slice(0, b, 1);
    Tensor sample = one;
    sample.shape = {x.shape[1], x.shape[2], x.shape[3]};
    for (size_t axis = 0; axis < 3; ++axis) sample.stride[axis] = one.stride[axis + 1];
    return sample;
  }

  // What tokens are compared by: (t,parts,d).
  static Tensor Compared(const OperatorIo& io, int64_t b) {
    if (io.hidden.Empty()) return Sample(io.k, b);
    return Sample(
        io.hidden.Reshape({io.hidden.shape[0], io.hidden.shape[1], 1, io.hidden.shape[2]}), b);
  }

  std::vector<int32_t> Destinations(const RunPoint& at) const {
    std::vector<int32_t> tokens;
    RandomBits random(at.seed, at.step, at.layer);
    const uint64_t size =
        static_cast<uint64_t>(settings_.rows) * static_cast<uint64_t>(settings_.columns);
    for (int row = 0; row < cell_rows_; ++row) {
      for (int column = 0; column < cell_columns_; ++column) {
        const int pick = settings_.random ? static_cast<int>(random.Below(size)) : 0;
        const int y = row * settings_.rows + pick / settings_.columns;
        const int x = column * settings_.columns + pick % settings_.columns;
        tokens.push_back(y * grid_[2] + x);
      }
    }
    return tokens;
  }

  double all_pairs_ = 1;
  Settings settings_;
  std::array<int, 3> grid_;
  float scale_;
  int cell_rows_ = 0, cell_columns_ = 0;
  AgentSdCounts counts_;
  TileMap gather_, spread_;
};

constexpr OpAbout kAbout = {
    "tokens merged by similarity, and agents merged further, without training, for U-Nets",
    "Han et al. 2023, arXiv:2312.08874, over Bolya & Hoffman 2023, Token Merging, arXiv:2303.17604",
    "8 (1 - ratio) a d FLOPs a query for a agents, and 2 c / (sx sy) for each pair to compare",
    "cross-attention, causal attention; text tokens; several frames; grids smaller than a cell; "
    "has no lse"};

class BoundAgentSd final : public BoundOp {
 public:
  BoundAgentSd(OperatorSpec spec, const Settings& settings)
      : BoundOp(std::move(spec), {.seed = settings.random, .hidden = true}), settings_(settings) {}

  Support Supports(const AttentionSpec& spec) const override {
    if (spec.device != DeviceKind::kCpu) return {false, "agentsd merges tokens on the CPU alone"};
    const Support support = SupportsLocal("agentsd", spec);
    if (!support.ok) return support;
    const auto grid = *GridOf(spec.q);
    if (spec.q.size() > 1 || grid[0] != 1) {
      return {false, "agentsd merges the tokens of one frame alone, without text or class tokens"};
    }
    if (grid[1] < settings_.rows || grid[2] < settings_.columns) {
      return {false, "agentsd needs a grid of at least one cell of " +
                         std::to_string(settings_.rows) + "x" + std::to_string(settings_.columns) +
                         ", not " + std::to_string(grid[1]) + "x" + std::to_string(grid[2])};
    }
    return {};
  }
  std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec) const override {
    return std::make_unique<PreparedAgentSd>(spec, settings_);
  }

 private:
  Settings settings_;
};

class AgentSd final : public AttentionOp {
 public:
  std::string_view Name() const override { return "agentsd"; }
  OpAbout About() const override { return kAbout; }
  std::span<const OpArg> Args() const override { return kArgs; }
  std::unique_ptr<const BoundOp> Bind(const OpParams& params) const override {
    return std::make_unique<BoundAgentSd>(OperatorSpec{"agentsd", params},
                                          Read(OpArgs(Name(), kArgs, params)));
  }
};

}  // namespace

AgentSdCounts CountAgentSd(int64_t tokens, int64_t cells, double ratio, double agents) {
  const auto left = [tokens, cells](double share) {
    const int64_t merged = static_cast<int64_t>(static_cast<double>(tokens) * share);
    return tokens - std::min(merged, tokens - cells);
  };
  AgentSdCounts counts{left(ratio), left(agents)};
  counts.with_agents = 2 * counts.agents < counts.tokens;
  return counts;
}

const AttentionOp& AgentSdAttention() {
  static const AgentSd op;
  return op;
}

}  // namespace fovea
