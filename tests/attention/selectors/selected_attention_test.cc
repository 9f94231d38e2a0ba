// What all operators that choose tiles share: stand-ins, memory over steps, refusals.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <numeric>

#include "tests/attention/selectors/selected_case.h"

namespace fovea {
namespace {

TEST_CASE("combiner and razor see near tiles, and stand-ins for all others") {
  for (const int ring : {0, 1}) {
    for (const std::string name : {"combiner", "razor"}) {
      for (const bool text_first : {true, false}) {
        Selected s({name,
                    {{"ring", std::to_string(ring)}, {"tile", "5x6"}},
                    {1, 23, 50},
                    7,
                    text_first,
                    2,
                    2,
                    16},
                   {1, 5, 6});
        s.Run();
        CAPTURE(name, ring, text_first);
        const Bits bits = s.BitsOf(0, 0);
        for (size_t i = 0; i < s.Count(); ++i) {
          for (size_t j = 0; j < s.Count(); ++j) {
            const auto& a = s.tiles.tiles[size_t(s.tiles.grid_begin) + i].index;
            const auto& b = s.tiles.tiles[size_t(s.tiles.grid_begin) + j].index;
            CHECK(bits[i][j] == (std::abs(a[1] - b[1]) <= ring && std::abs(a[2] - b[2]) <= ring));
          }
        }
        s.CheckOutput(name == "combiner", name == "razor");
      }
    }
  }
}

TEST_CASE("power sees tiles at power-of-two distances") {
  Selected s({"power", {}, {1, 128, 128}, 0, true, 1, 1, 8});
  s.Run();
  const Bits bits = s.BitsOf(0, 0);
  std::vector<std::pair<size_t, size_t>> seen;
  for (size_t j = 0; j < 256; ++j) {
    if (bits[5 * 16 + 3][j]) seen.emplace_back(j / 16, j % 16);
  }
  CHECK(seen == std::vector<std::pair<size_t, size_t>>{{1, 3},
                                                       {3, 3},
                                                       {4, 2},
                                                       {4, 3},
                                                       {4, 4},
                                                       {5, 1},
                                                       {5, 2},
                                                       {5, 3},
                                                       {5, 4},
                                                       {5, 5},
                                                       {5, 7},
                                                       {5, 11},
                                                       {6, 2},
                                                       {6, 3},
                                                       {6, 4},
                                                       {7, 3},
                                                       {9, 3},
                                                       {13, 3}});
  CHECK(s.MapOf(0, 0).VisitedShare() == Approx(0.066).margin(6e-4));
  Selected product({"power", {{"rule", "product"}}, {1, 64, 64}, 0, true, 1, 1, 8});
  CHECK(product.prepared->Map()->VisitedShare() == Approx(0.431).margin(5e-4));
}

TEST_CASE("a stand-in weighs as much as its tokens: the hand check") {
  Selected s({"combiner", {{"tile", "1x2"}}, {1, 1, 4}, 0, true, 1, 1, 8}, {1, 1, 2});
  std::fill_n(s.q.Data<float>(), 32, 0.0f);
  std::fill_n(s.k.Data<float>(), 32, 0.0f);
  std::fill_n(s.v.Data<float>(), 32, 0.0f);
  for (int i = 0; i < 4; ++i) s.q.Data<float>()[i * 8] = std::sqrt(8.0f);
  s.k.Data<float>()[16] = std::log(2.0f), s.k.Data<float>()[24] = std::log(8.0f);
  s.v.Data<float>()[16] = 1, s.v.Data<float>()[24] = 3;
  s.Run();
  CHECK(s.out.Data<float>()[0] == Approx(1.6).epsilon(1e-6));
  CHECK(s.lse.Data<float>()[0] == Approx(std::log(10.0)).epsilon(1e-6));
}

TEST_CASE("chosen tiles do not depend on the batch, and NaN makes a head dense") {
  for (const std::string name : {"probe", "xattn", "sparge", "draft", "svg2", "sparsed"}) {
    CAPTURE(name);
    OpParams params{{"rest", "mean"}};
    if (name == "svg2") params.emplace_back("p", "0.3");
    Selected two({name, params, {1, 24, 24}, 3, true, 2, 2, 16});
    two.Run();
    Selected one({name, params, {1, 24, 24}, 3, true, 1, 2, 16});
    const auto half = static_cast<size_t>(one.q.NumElements());
    for (auto [to, from] : {std::pair{&one.q, &two.q}, {&one.k, &two.k}, {&one.v, &two.v}}) {
      std::memcpy(to->Data<float>(), from->Data<float>() + half, half * sizeof(float));
    }
    one.Run();
    CHECK(std::memcmp(one.out.Data<float>(), two.out.Data<float>() + half, half * 4) == 0);
    one.k.Data<float>()[100 * 32 + 16] = NAN;  // a token of the grid, head 1
    one.Run();
    CHECK(one.MapOf(0, 1).pairs == 579 * 579);
    CHECK(one.MapOf(0, 0).pairs < one.MapOf(0, 1).pairs);
  }
}

TEST_CASE("sparsed is dense at the step that chooses, and refresh chooses again") {
  const std::vector<AttentionSite> sites{
      {"a.attn1", 0, SiteKind::kSelf, 2, 16, GridLayout(24, 24)}};
  const auto backend = MakeCpuBackend();
  const auto planning = MakePlanningBackend(*backend);
  const auto flops_of = [&](const std::string& plan) {
    AttentionRuntime runtime(AttentionPlan::Parse(plan), sites, 5, {1});
    AttentionSpec spec;
    spec.heads = 2, spec.head_dim = 16;
    spec.q = spec.kv = sites[0].tokens;
    const HostTensor x = RandomNormal({1, 576, 2, 16}, 3), out({1, 576, 2, 16}, DType::kF32);
    Arena arena(*planning, kPlanningArenaBytes);
    Context dry{*planning, arena};
    std::vector<double> flops;
    for (int step = 0; step < 5; ++step) {
      const double before = planning->TotalCost().flops;
      runtime.BeginStep(step, 5, {});
      runtime.Attend(dry, sites[0], spec, {x.View(), x.View(), x.View(), out.View()});
      flops.push_back(planning->TotalCost().flops - before);
    }
    return flops;
  };
  // 9 tiles, of which int(9 * 0.3) + 1 = 3 are kept.
  const double dense = 4.0 * 16 * 2 * 576 * 576, chosen = 1.5 * dense, sparse = dense / 3;
  CHECK(flops_of("*@1-4: sparsed") == std::vector<double>{dense, chosen, sparse, sparse, sparse});
  CHECK(flops_of("*@1-4: sparsed(refresh=2)") ==
        std::vector<double>{dense, chosen, sparse, chosen, sparse});
  // A run after a dry one reports what it visited, not the bound.
  AttentionRuntime runtime(AttentionPlan::Parse("*: draft(keep=0.1)"), sites, 5, {1});
  AttentionSpec spec;
  spec.heads = 2, spec.head_dim = 16;
  spec.q = spec.kv = sites[0].tokens;
  const HostTensor x = RandomNormal({1, 576, 2, 16}, 3), out({1, 576, 2, 16}, DType::kF32);
  Arena plan(*planning, kPlanningArenaBytes), arena(*backend, 64 << 20);
  Context dry{*planning, plan}, ctx{*backend, arena};
  for (Context* each : {&dry, &ctx}) {
    runtime.BeginStep(0, 5, {});
    runtime.Attend(*each, sites[0], spec, {x.View(), x.View(), x.View(), out.View()});
    CHECK((runtime.Report()[0].visited < 0.4) == (each == &ctx));
  }
}

TEST_CASE("selectors say what they refuse") {
  AttentionSpec spec;
  spec.q = spec.kv = GridLayout(16, 16);
  const auto refuses = [&spec](const OpParams& params) {
    return BindOperator({"probe", params})->Supports(spec).reason;
  };
  CHECK(refuses({}).empty());
  CHECK(refuses({{"tile", "16x8"}}) == "probe: tile has 128 tokens; at most 64 fit");
  spec.causal = true;
  CHECK(refuses({}) == "probe does not serve causal attention");
  spec.causal = false;
  spec.q = spec.kv = GridLayout(8, 8);
  CHECK(refuses({}) == "probe needs 2 tiles or more; on this grid dense is faster");
  spec.kv = TextLayout(77);
  CHECK(refuses({}).find("cross-attention") != std::string::npos);
  CHECK_THROWS_AS(BindOperator({"sparge", {{"keep", "0.5"}, {"cdf", "0.9"}}}), Error);
  CHECK_THROWS_AS(BindOperator({"probe", {{"keep", "0"}}}), Error);
  CHECK_THROWS_AS(BindOperator({"combiner", {{"rest", "drop"}}}), Error);
}

}  // namespace
}  // namespace fovea
