// What the probe says of heads whose attention is known, and what it keeps within its budget.
#include "attention/probe/attention_probe.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "attention/attention_runtime.h"
#include "attention/kernels/tile/score_block.h"
#include "attention/probe/matrix_passes.h"
#include "tests/support/operator_case.h"

namespace fovea {
namespace {

// A class token and a grid of 4x6; head 0 attends evenly, head 1 to each token itself.
struct Known {
  TokenLayout layout{{SegmentKind::kClass, 0, 1, {1, 1, 1}},
                     {SegmentKind::kGrid, 1, 24, {1, 4, 6}}};
  std::vector<AttentionSite> sites{{"block.0.attn", 0, SiteKind::kSelf, 2, 32, layout},
                                   {"block.1.attn", 1, SiteKind::kSelf, 2, 32, layout}};
  AttentionSpec spec;
  HostTensor q{{1, 25, 2, 32}, DType::kF32}, k = q, out = q;
  HostTensor v = RandomNormal({1, 25, 2, 32}, 3);
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  Arena arena{*backend, 16 << 20};
  Context ctx{*backend, arena};

  Known() {
    spec.heads = 2, spec.head_dim = 32;
    spec.q = spec.kv = layout;
    for (int64_t t = 0; t < 25; ++t) {
      q.Data<float>()[(t * 2 + 1) * 32 + t] = 400;
      k.Data<float>()[(t * 2 + 1) * 32 + t] = 1;
    }
  }
  void Run(AttentionListener& listener, int steps, const std::string& plan = {}) {
    AttentionRuntime runtime(AttentionPlan::Parse(plan), sites, steps, {1});
    runtime.SetListeners({&listener});
    for (int step = 0; step < steps; ++step) {
      runtime.BeginStep(step, steps);
      for (const AttentionSite& site : sites) {
        runtime.Attend(ctx, site, spec, {q.View(), k.View(), v.View(), out.View()});
      }
    }
  }
};

TEST_CASE("scalars of heads whose attention is known") {
  Known known;
  AttentionProbe probe({.rows_every = 1});
  known.Run(probe, 2);
  const auto snapshot = probe.Snapshot();
  REQUIRE(snapshot->calls.size() == 4);
  const CallScalars& call = *snapshot->calls[3];
  CHECK(call.path == "block.1.attn");
  CHECK(call.step == 1);
  const HeadScalars even = call.values[0], own = call.values[1];
  CHECK(even.entropy == Approx(std::log(25.0)).epsilon(1e-5));
  CHECK(even.lse == Approx(std::log(25.0)).epsilon(1e-5));
  CHECK(even.single == Approx(1 / 25.0).epsilon(1e-5));
  CHECK(even.text == 0);
  CHECK(std::abs(own.entropy) < 1e-5);
  CHECK(std::abs(own.distance) < 1e-5);
  double distance = 0;
  for (int i = 0; i < 24; ++i) {
    for (int j = 0; j < 24; ++j) distance += std::hypot(i / 6 - j / 6, i % 6 - j % 6) / (24 * 24);
  }
  CHECK(even.distance == Approx(distance).epsilon(1e-5));
  probe.Clear();
  CHECK(probe.Snapshot()->calls.empty());
  CHECK(snapshot->calls.size() == 4);  // what was handed out stays
}

TEST_CASE("operators that are no softmax over keys have no scalars") {
  Known known;
  AttentionProbe probe({.rows_every = 1});
  known.Run(probe, 1, "*#1: agent(agents=2)");
  const auto snapshot = probe.Snapshot();
  CHECK(std::isfinite(snapshot->calls[0]->values[0].entropy));
  CHECK(std::isnan(snapshot->calls[0]->values[1].entropy));
  CHECK(std::isnan(snapshot->calls[0]->values[1].lse));
}

TEST_CASE("pins keep within the budget, and the oldest go first") {
  Known known;
  const size_t one = 2 * 25 * 2 * 32 * sizeof(float) + 25 * 2 * sizeof(float);
  AttentionProbe probe(
      {.rows_every = 0, .pins = {{"*.{1,7}.attn", 1, 4, {}}}, .byte_budget = 2 * one + 100});
  known.Run(probe, 6);
  const auto snapshot = probe.Snapshot();
  CHECK(snapshot->calls.empty());
  CHECK(snapshot->kept_bytes == 2 * one);
  CHECK(snapshot->dropped == 2);
  CHECK(probe.Find("block.1.attn", 2) == nullptr);
  CHECK(probe.Find("block.0.attn", 4) == nullptr);
  const auto kept = probe.Find("block.1.attn", 4);
  REQUIRE(kept != nullptr);
  std::vector<float> rows(2 * 25);
  RowOfHeads(kept->Matrix(known.ctx), 0, 7, rows.data());
  CHECK(rows[7] == Approx(1 / 25.0));
  CHECK(rows[25 + 7] == Approx(1));
  AttentionProbe small({.rows_every = 0, .pins = {{"*", 0, 9, {}}}, .byte_budget = one - 1});
  known.Run(small, 1);
  CHECK(small.Snapshot()->kept_bytes == 0);
  CHECK(small.Snapshot()->dropped == 2);
}

TEST_CASE("sums over rows, rings and means of heads whose attention is known") {
  Known known;
  AttentionProbe probe({.rows_every = 0, .pins = {{"*", 0, 0, {}}}});
  known.Run(probe, 1);
  const AttentionMatrix& matrix = probe.Find("block.0.attn", 0)->Matrix(known.ctx);
  std::vector<double> weights(25);
  weights[3] = 2, weights[20] = 0.5;
  const auto even = WeightedRowSum(matrix, 0, 0, weights),
             own = WeightedRowSum(matrix, 0, 1, weights);
  for (size_t j = 0; j < 25; ++j) {
    CHECK(even[j] == Approx(2.5 / 25));
    CHECK(own[j] == Approx(weights[j]).margin(1e-6));
  }
  const RingProfile rings = RingsOf(matrix, 0, 0, known.layout, known.layout, AllQueries(25));
  REQUIRE(rings.share.size() == 6);
  double all = rings.outside;
  for (size_t k = 0; k < 6; ++k) {
    CHECK(rings.share[k] == Approx(rings.population[k] / 25));  // even attention
    all += rings.share[k];
  }
  CHECK(all == Approx(1));
  CHECK(rings.population[0] == 1);
  const RingProfile self = RingsOf(matrix, 0, 1, known.layout, known.layout, AllQueries(25));
  CHECK(self.share[0] == Approx(1));
  const int heads[] = {0, 1};
  const auto mean = MeanOfHeads(matrix, 0, heads);
  CHECK(mean[3 * 25 + 3] == Approx(0.5 + 0.5 / 25));
  CHECK(mean[3 * 25 + 4] == Approx(0.5 / 25));
  CHECK(EntropyOf(std::vector<float>{2, 0, 2, -1}) == Approx(std::log(2.0)));
  CHECK(std::isnan(EntropyOf(std::vector<float>{1, NAN})));
}

TEST_CASE("sums of positive weights times values") {
  std::vector<float> weights(19, 1), values(19);  // a whole vector or several, and a part of one
  weights[2] = -3;
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  CHECK(SumWeightsCpu(weights.data(), 19, values.data()).with_value == Approx(169));
  CHECK(SumWeightsCpu(weights.data(), 19).with_value == 0);
  CHECK(SumWeightsCpu(weights.data(), 19).weights == Approx(18));
}

}  // namespace
}  // namespace fovea
