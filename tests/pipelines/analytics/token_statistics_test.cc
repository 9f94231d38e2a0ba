#include "pipelines/analytics/token_statistics.h"

#include <catch2/catch.hpp>

#include <cmath>

#include "tensor/memory/arena.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {
namespace {

constexpr int kGrid = 15, kTokens = 17, kWidth = 500;  // a class token, a register, 3 x 5 patches

struct Pass {
  HostTensor hidden{Shape{1, kTokens, kWidth}, DType::kF32};
  AttentionSite site;
  AttentionSpec spec;
  AttentionIo io;

  Pass() {
    site.path = "layer.3";
    site.index = 3;
    spec.q = spec.kv = {{SegmentKind::kClass, 0, 1, {1, 1, 1}},
                        {SegmentKind::kRegister, 1, 1, {1, 1, 1}},
                        {SegmentKind::kGrid, 2, kGrid, {1, 3, 5}}};
    for (int t = 0; t < kTokens; ++t) {
      for (int d = 0; d < kWidth; ++d) At(t, d) = 0.1f * (((t * 7 + d * 3) % 5) < 2 ? -1.0f : 1.0f);
    }
  }
  float& At(int token, int dim) { return hidden.Data<float>()[token * kWidth + dim]; }
  void Show(TokenStatistics* statistics) {
    const std::unique_ptr<Backend> backend = MakeCpuBackend();
    Arena arena{*backend, size_t{1} << 12};
    Context ctx{*backend, arena, {}, DType::kF32};
    io.hidden = hidden.View();
    statistics->Attended(ctx, {site, spec, io, 0, 1, {}});
  }
};

}  // namespace

TEST_CASE("token statistics find planted outliers and nothing else") {
  Pass pass;
  TokenStatistics statistics;
  pass.Show(&statistics);
  const TokenPattern even = statistics.Finish().at(0);
  CHECK(even.layer == "layer.3");
  CHECK(even.median_norm == Approx(0.1 * std::sqrt(kWidth)));
  CHECK(even.massive_dims.empty());
  CHECK(even.sink_dims.empty());
  CHECK(even.max_phi == Approx(1).epsilon(1e-3));
  CHECK(even.above_30 == 0);

  pass.At(5, 123) = -160;  // massive, a register by both cutoffs, and a sink
  pass.At(0, 44) = 120;    // massive on the class token
  pass.At(1, 9) = 99;      // a sink, but not massive
  for (int d = 0; d < kWidth; ++d) pass.At(8, d) *= 20;  // norm 44.7, spread evenly
  pass.Show(&statistics);
  const TokenPattern two = statistics.Finish().at(0);
  CHECK(two.passes == 2);
  CHECK(two.grid_tokens == 2 * kGrid);
  CHECK(two.massive.grid == 1);
  CHECK(two.massive.cls == 1);
  CHECK(two.massive.registers == 0);
  CHECK(two.massive_dims == std::set<int64_t>{44, 123});
  CHECK(two.sinks.grid == 1);
  CHECK(two.sinks.cls == 1);
  CHECK(two.sinks.registers == 1);
  CHECK(two.sink_dims == std::set<int64_t>{9, 44, 123});
  CHECK(two.above_150 == Approx(1.0 / 30));
  CHECK(two.above_30 == Approx(2.0 / 30));
  CHECK(two.above_otsu == Approx(2.0 / 30));
  CHECK(two.otsu_cut > 2.3);
  CHECK(two.otsu_cut < 44);
  CHECK(two.max_value == Approx(160));
}

TEST_CASE("massive activations are measured against the median") {
  Pass pass;
  for (int t = 0; t < kTokens; ++t) {
    for (int d = 0; d < kWidth; ++d) pass.At(t, d) *= 10;
  }
  pass.At(5, 123) = 999;  // less than 1000 times 1
  TokenStatistics statistics;
  pass.Show(&statistics);
  CHECK(statistics.Finish().at(0).massive.grid == 0);
  pass.At(5, 123) = 1001;
  pass.Show(&statistics);
  CHECK(statistics.Finish().at(0).massive.grid == 1);
}

TEST_CASE("token statistics leave out cross attention and calls without hidden states") {
  Pass pass;
  TokenStatistics statistics;
  pass.site.kind = SiteKind::kCross;
  pass.Show(&statistics);
  CHECK(statistics.Finish().empty());
}

TEST_CASE("Otsu's cut") {
  const std::vector<float> two{5, 1, 1.5f, 5.5f, 1};
  CHECK(FindOtsuCut(two).cut == Approx(3.25));
  CHECK(FindOtsuCut(two).separation > 0.95);
  CHECK(FindOtsuCut(std::vector<float>{2, 2, 2}).cut == 2);
  CHECK(FindOtsuCut(std::vector<float>{2, 2, 2}).separation == 0);
  CHECK(FindOtsuCut(std::vector<float>{7}).cut == 7);
  CHECK(FindOtsuCut({}).separation == 0);
}

}  // namespace fovea
