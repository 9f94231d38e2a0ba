// An operator that chooses tiles by content, for each head its own, and remembers its choice: added
// here, in a test, to a table of operators. Nothing in attention/ knows of it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "attention/attention_runtime.h"
#include "attention/matrix/softmax_matrix.h"
#include "attention/ops/local_attention.h"
#include "attention/probe/call_matrix.h"
#include "attention/probe/kept_attention.h"
#include "tensor/planning_backend.h"
#include "tests/support/operator_case.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"keep", "2", "tiles that a tile of queries visits beside its own"},
                           {"refresh", "0", "steps that a choice is kept for; 0: one"}};

struct Remembered final : OpState {
  int chosen_at = -1;
  std::shared_ptr<const TileMaps> maps;
};

class PreparedTop final : public PreparedAttention {
 public:
  PreparedTop(const AttentionSpec& spec, int keep, int refresh)
      : keep_(keep),
        refresh_(refresh),
        scale_(ScoreScale(spec)),
        tiles_(CutIntoTiles(spec.q, ChooseBox(*GridOf(spec.q)))) {}

  std::unique_ptr<OpState> NewState() const override { return std::make_unique<Remembered>(); }

  std::shared_ptr<const TileMaps> ChooseTiles(Context& ctx, const OperatorIo& io,
                                              OpState* state) override {
    auto& remembered = *static_cast<Remembered*>(state);
    if (remembered.maps != nullptr && io.at.step < remembered.chosen_at + std::max(1, refresh_)) {
      return remembered.maps;
    }
    // What choosing costs, which steps that only remember do without.
    ctx.backend.CountFlops(kChoosing);
    auto maps = std::make_shared<TileMaps>();
    if (ctx.backend.IsPlanning()) {
      const double tokens = static_cast<double>(tiles_.tokens.size());
      maps->planned_pairs = tokens * std::min(tokens, kTileTokens * (keep_ + 1.0));
    } else {
      for (int64_t b = 0; b < io.q.shape[0]; ++b) {
        for (int64_t h = 0; h < io.q.shape[2]; ++h) maps->each.push_back(Choose(io, b, h));
      }
    }
    remembered.chosen_at = io.at.step;
    remembered.maps = maps;
    return maps;
  }

  void Run(Context& ctx, const OperatorIo& io, OpState*) override {
    TileAttention(ctx, *io.maps, scale_, CallOf(io));
  }
  std::unique_ptr<AttentionMatrix> Matrix(Context&, const OperatorIo& io) override {
    return SoftmaxMatrix({.q = io.q, .k = io.k, .lse = io.lse, .scale = scale_, .maps = io.maps});
  }

  static constexpr double kChoosing = 1e6;

 private:
  // The tiles whose mean key has the largest product with the tile's mean query.
  std::shared_ptr<const TileMap> Choose(const OperatorIo& io, int64_t b, int64_t h) const {
    auto map = std::make_shared<TileMap>();
    map->q = map->kv = tiles_;
    const size_t count = tiles_.tiles.size();
    for (size_t i = 0; i < count; ++i) {
      std::vector<std::pair<double, int32_t>> order;
      for (size_t j = 0; j < count; ++j) {
        order.emplace_back(i == j ? -INFINITY : -Product(io, b, h, i, j), static_cast<int32_t>(j));
      }
      std::sort(order.begin(), order.end());
      map->rows.push_back({static_cast<int64_t>(map->visits.size()), 0});
      for (size_t n = 0; n < std::min(count, static_cast<size_t>(keep_) + 1); ++n) {
        map->visits.push_back({order[n].second, -1});
        map->pairs += int64_t{tiles_.tiles[i].count} *
                      tiles_.tiles[static_cast<size_t>(order[n].second)].count;
      }
      map->rows.back().end = static_cast<int64_t>(map->visits.size());
    }
    map->visited_pairs = map->pairs;
    return map;
  }

  double Product(const OperatorIo& io, int64_t b, int64_t h, size_t i, size_t j) const {
    double sum = 0;
    for (int64_t c = 0; c < io.q.shape[3]; ++c) {
      sum += Mean(io.q, b, h, i, c) * Mean(io.k, b, h, j, c);
    }
    return sum;
  }
  double Mean(const Tensor& x, int64_t b, int64_t h, size_t tile, int64_t c) const {
    const TokenTile& own = tiles_.tiles[tile];
    double sum = 0;
    for (int32_t t = 0; t < own.count; ++t) {
      sum += reference::At(x, {b, tiles_.tokens[static_cast<size_t>(own.begin + t)], h, c});
    }
    return sum / own.count;
  }

  int keep_, refresh_;
  float scale_;
  TokenTiles tiles_;
};

class BoundTop final : public BoundOp {
 public:
  BoundTop(OperatorSpec spec, int keep, int refresh)
      : BoundOp(std::move(spec), {.state = true, .mixes = true, .refresh = refresh}),
        keep_(keep),
        refresh_(refresh) {}
  Support Supports(const AttentionSpec& spec) const override { return SupportsLocal("top", spec); }
  std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec) const override {
    return std::make_unique<PreparedTop>(spec, keep_, refresh_);
  }

 private:
  int keep_, refresh_;
};

class Top final : public AttentionOp {
 public:
  std::string_view Name() const override { return "top"; }
  OpAbout About() const override { return {"a test's", "", "", ""}; }
  std::span<const OpArg> Args() const override { return kArgs; }
  std::unique_ptr<const BoundOp> Bind(const OpParams& params) const override {
    const OpArgs args(Name(), kArgs, params);
    return std::make_unique<BoundTop>(OperatorSpec{"top", params}, args.Int("keep", 0, 1000),
                                      args.Int("refresh", 0, 1000));
  }
};

constexpr int kHeads = 3, kDim = 16, kSteps = 6;

// Two pictures in two branches of guidance at one site; every step has tensors of its own.
struct Layer final : AttentionListener {
  explicit Layer(const std::string& plan) {
    static const Top top;
    operators.assign(AttentionOps().begin(), AttentionOps().end());
    operators.push_back(&top);
    runtime = std::make_unique<AttentionRuntime>(AttentionPlan::Parse(plan), sites, kSteps,
                                                 std::vector<uint64_t>{3, 4}, operators);
    runtime->SetListeners({this});
    spec.batch = 4, spec.heads = kHeads, spec.head_dim = kDim;
    spec.q = spec.kv = sites[0].tokens;
  }

  HostTensor Run(int step, Backend* planning = nullptr) {
    q = RandomNormal({4, TokenCount(spec.q), kHeads, kDim}, 10u + unsigned(step), 2);
    k = RandomNormal(q.shape(), 20u + unsigned(step)), v = RandomNormal(q.shape(), 30u);
    HostTensor out(q.shape(), DType::kF32);
    const AttentionIo io{q.View(), k.View(), v.View(), out.View()};
    runtime->BeginStep(step, kSteps, BranchLayout(order, 2));
    if (planning != nullptr) {
      Arena plan(*planning, kPlanningArenaBytes);
      Context dry{*planning, plan};
      runtime->Attend(dry, sites[0], spec, io);
    } else {
      runtime->Attend(ctx, sites[0], spec, io);
    }
    return out;
  }

  void Attended(Context& context, const AttentionCall& call) override {
    maps.clear();
    for (const AttentionPart& part : call.parts) maps.push_back(part.io.maps);
    kept = std::make_unique<KeptAttention>(context, call, KeepOptions{.first_sample = 1});
    const auto matrix = MatrixOf(context, call);
    error = ErrorOf(*matrix, call.io.out, 0);
    kept_error = ErrorOf(kept->Matrix(context), call.io.out, 1);
  }

  // The largest difference between rows times values and the output, NaN if any.
  double ErrorOf(const AttentionMatrix& matrix, const Tensor& out, int64_t first) const {
    Worst worst;
    std::vector<int32_t> some;
    for (int32_t i = 0; i < matrix.Queries(); i += 23) some.push_back(i);
    std::vector<float> rows(some.size() * static_cast<size_t>(matrix.Keys()));
    for (int64_t b = 0; b < matrix.Samples(); ++b) {
      for (int64_t h = 0; h < kHeads; ++h) {
        matrix.Rows(b, h, some, rows.data());
        for (size_t n = 0; n < some.size(); ++n) {
          const int64_t i = some[n];
          for (int64_t c = 0; c < kDim; ++c) {
            double sum = 0;
            for (int64_t j = 0; j < matrix.Keys(); ++j) {
              sum += double(rows[n * static_cast<size_t>(matrix.Keys()) + static_cast<size_t>(j)]) *
                     reference::At(v.View(), {first + b, j, h, c});
            }
            worst.Add(reference::At(out, {first + b, i, h, c}), sum);
          }
        }
      }
    }
    return worst.Value();
  }

  std::vector<AttentionSite> sites{
      {"a.attn1", 2, SiteKind::kSelf, kHeads, kDim, GridLayout(18, 20)}};
  std::vector<const AttentionOp*> operators;
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  Arena arena{*backend, 64 << 20};
  Context ctx{*backend, arena};
  std::vector<BranchKind> order{BranchKind::kUnconditional, BranchKind::kConditional};
  AttentionSpec spec;
  std::unique_ptr<AttentionRuntime> runtime;
  HostTensor q, k, v;
  std::vector<std::shared_ptr<const TileMaps>> maps;
  std::unique_ptr<KeptAttention> kept;
  double error = NAN, kept_error = NAN;
};

std::vector<int32_t> Visited(const TileMap& map) {
  std::vector<int32_t> tiles;
  for (const TileMap::Visit& visit : map.visits) tiles.push_back(visit.tile);
  return tiles;
}

TEST_CASE("an operator chooses tiles for each head, and what is shown is what ran") {
  Layer layer("*: top(keep=2)");
  const HostTensor out = layer.Run(0);
  REQUIRE(layer.maps.size() == 4);  // rows alone
  REQUIRE(layer.maps[0]->each.size() == kHeads);
  CHECK(Visited(layer.maps[0]->Of(0)) != Visited(layer.maps[0]->Of(1)));
  CHECK(layer.error <= 4e-6);
  CHECK(layer.kept_error <= 4e-6);
  // Tiles of 18x20 tokens: 9 boxes, of which each visits 3.
  const AttentionUse& use = layer.runtime->Report()[0];
  CHECK(use.visited > 0.15);
  CHECK(use.visited < 0.6);
  // Every tile is the dense result.
  Layer all("*: top(keep=100)"), dense("");
  const HostTensor got = all.Run(0), want = dense.Run(0);
  Worst worst;
  for (int64_t i = 0; i < got.NumElements(); ++i) {
    worst.Add(got.Data<float>()[i], want.Data<float>()[i]);
  }
  CHECK(worst.Value() <= 4e-6);
}

TEST_CASE("a choice is kept for as many steps as asked, of each branch and picture") {
  Layer layer("*: top(keep=1,refresh=3)"), each("*: top(keep=1)");
  layer.Run(0), each.Run(0);
  const auto first = layer.maps;
  for (size_t row = 0; row < 4; ++row) {
    CHECK(Visited(first[row]->Of(1)) == Visited(each.maps[row]->Of(1)));
  }
  layer.Run(1), layer.Run(2);
  CHECK(layer.maps == first);  // the same objects
  CHECK(layer.error <= 4e-6);
  CHECK(layer.kept_error <= 4e-6);
  // Rows that change places keep what belongs to their branch.
  std::swap(layer.order[0], layer.order[1]);
  layer.Run(2);
  CHECK(layer.maps == std::vector{first[2], first[3], first[0], first[1]});
  layer.Run(3);
  CHECK(layer.maps[0] != first[2]);
  CHECK(layer.runtime->Remembers());
  CHECK_FALSE(Layer("").runtime->Remembers());
}

TEST_CASE("dry runs price the steps that choose and those that remember") {
  Layer layer("*@1-5: top(keep=1,refresh=2)");
  CHECK(layer.runtime->StepsOfChange() == std::vector<int>{0, 1, 2, 3, 4, 5});
  CHECK(Layer("*@1-4: top(keep=1,refresh=4)").runtime->StepsOfChange() ==
        std::vector<int>{0, 1, 2, 5});
  CHECK(Layer("*@1-4: halo").runtime->StepsOfChange() == std::vector<int>{0, 1, 5});
  std::vector<double> flops;
  const auto planning = MakePlanningBackend(*layer.backend);
  for (int step = 0; step < 4; ++step) {
    const double before = planning->TotalCost().flops;
    layer.Run(step, planning.get());
    flops.push_back(planning->TotalCost().flops - before);
  }
  const double tokens = 360, head = 4.0 * kDim * 4 * kHeads;
  CHECK(flops[0] == head * tokens * tokens);
  CHECK(flops[1] == head * tokens * 128 + 4 * PreparedTop::kChoosing);
  CHECK(flops[2] == head * tokens * 128);
  CHECK(flops[3] == flops[1]);
}

}  // namespace
}  // namespace fovea
