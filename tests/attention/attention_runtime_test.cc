// Operators that share the heads of one layer, and what becomes of their heads afterwards.
#include "attention/attention_runtime.h"

#include <catch2/catch.hpp>

#include "attention/ops/window.h"
#include "tests/support/operator_case.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

constexpr int kHeads = 8, kDim = 16, kBatch = 2;

// One self-attention site of 8x8 tokens, run under a plan.
struct Layer {
  std::vector<AttentionSite> sites{
      {"block.3.attn1", 0, SiteKind::kSelf, kHeads, kDim, GridLayout(8, 8)}};
  HostTensor q = RandomNormal({kBatch, 64, kHeads, kDim}, 1);
  HostTensor k = RandomNormal({kBatch, 64, kHeads, kDim}, 2);
  HostTensor v = RandomNormal({kBatch, 64, kHeads, kDim}, 3);
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  Arena arena{*backend, 16 << 20};
  Context ctx{*backend, arena};

  HostTensor Run(const std::string& plan, const Perturbation& perturbation = {}, int step = 0,
                 std::vector<uint64_t> seeds = {11}, HostTensor* lse = nullptr) {
    AttentionRuntime runtime(AttentionPlan::Parse(plan), sites, 10, std::move(seeds));
    runtime.BeginStep(step, 10);
    runtime.SetPerturbation(BranchKind::kConditional, perturbation);
    AttentionSpec spec;
    spec.batch = kBatch, spec.heads = kHeads, spec.head_dim = kDim;
    spec.q = spec.kv = sites[0].tokens;
    HostTensor out(q.shape(), DType::kF32);
    std::fill_n(out.Data<float>(), out.NumElements(), NAN);
    AttentionIo io{q.View(), k.View(), v.View(), out.View()};
    if (lse != nullptr) {
      *lse = HostTensor({kBatch, kHeads, 64}, DType::kF32);
      io.lse = lse->View();
    }
    runtime.Attend(ctx, sites[0], spec, io);
    return out;
  }
};

double At(const HostTensor& x, int64_t b, int64_t t, int64_t h, int64_t c) {
  return x.Data<float>()[((b * 64 + t) * kHeads + h) * kDim + c];
}

// The largest difference in one head of one sample; NaN if any.
double Difference(const HostTensor& x, const HostTensor& y, int64_t b, int64_t h) {
  Worst worst;
  for (int64_t t = 0; t < 64; ++t) {
    for (int64_t c = 0; c < kDim; ++c) worst.Add(At(x, b, t, h, c), At(y, b, t, h, c));
  }
  return worst.Value();
}

TEST_CASE("heads of one layer run different operators, as if each ran alone") {
  Layer layer;
  const HostTensor got =
      layer.Run("*#0,3-4: clear(r=2); *#3-5: halo(block=4,halo=1); *@0-4#7: agent(agents=2)");
  const HostTensor dense = layer.Run(""), clear = layer.Run("*: clear(r=2)");
  const HostTensor halo = layer.Run("*: halo(block=4,halo=1)"),
                   agent = layer.Run("*: agent(agents=2)");
  const HostTensor* want[kHeads] = {&clear, &dense, &dense, &clear, &clear, &halo, &dense, &agent};
  for (int b = 0; b < kBatch; ++b) {
    for (int h = 0; h < kHeads; ++h) {
      CAPTURE(b, h);
      CHECK(Difference(got, *want[h], b, h) == 0);
      CHECK(Difference(clear, dense, b, h) > 1e-2);
    }
  }
}

TEST_CASE("steps and tokens choose, and else takes over from an operator that refuses") {
  Layer layer;
  const HostTensor dense = layer.Run(""), halo = layer.Run("*: halo(block=4)");
  const auto same = [&](const HostTensor& x, const HostTensor& y, int head) {
    return Difference(x, y, 1, head) == 0;
  };
  CHECK(same(layer.Run("*@20%-50%: halo(block=4)", {}, 1), dense, 0));
  CHECK(same(layer.Run("*@20%-50%: halo(block=4)", {}, 2), halo, 0));
  CHECK(same(layer.Run("*@20%-50%: halo(block=4)", {}, 5), dense, 0));
  CHECK(same(layer.Run("* tokens>=64: halo(block=4)"), halo, 0));
  CHECK(same(layer.Run("* tokens>=65: halo(block=4)"), dense, 0));
  CHECK(same(layer.Run("* tokens<64: halo(block=4)"), dense, 0));
  CHECK(same(layer.Run("*#2: clear(down=3) else halo(block=4)"), halo, 2));
  CHECK(same(layer.Run("*#2: clear(down=3) else halo(block=4)"), dense, 3));
  CHECK_THROWS_WITH(layer.Run("*#2: clear(down=3)"),
                    Catch::Contains("block.3.attn1") && Catch::Contains("divides"));
  CHECK_THROWS_WITH(layer.Run("*#2: clear(down=3) else clear(down=5)"), Catch::Contains("else"));
  CHECK_THROWS_WITH(layer.Run("*#8: halo"), Catch::Contains("matches no"));
  CHECK_THROWS_WITH(layer.Run("*: halo(rim=1)"), Catch::Contains("rim"));
  CHECK_THROWS_WITH(layer.Run("*: dense else clear(q=1)"), Catch::Contains("no argument"));
}

TEST_CASE("parts of the heads give their part of the log-sum-exps") {
  Layer layer;
  HostTensor lse, dense_lse, clear_lse;
  layer.Run("*#1,5-6: clear(r=2)", {}, 0, {11}, &lse);
  layer.Run("", {}, 0, {11}, &dense_lse);
  layer.Run("*: clear(r=2)", {}, 0, {11}, &clear_lse);
  for (int64_t i = 0; i < lse.NumElements(); ++i) {
    const int64_t head = i / 64 % kHeads;
    const HostTensor& want = head == 1 || head == 5 || head == 6 ? clear_lse : dense_lse;
    CHECK(lse.Data<float>()[i] == want.Data<float>()[i]);
  }
}

TEST_CASE("operators that draw give each picture of a batch its own draw") {
  Layer layer;
  uint64_t other = 12;
  while (StepQuarter(other, 3, 0) == StepQuarter(11, 3, 0)) ++other;
  for (const char* plan : {"*: window", "*: agentsd(sx=2,sy=2)"}) {
    CAPTURE(plan);
    const HostTensor both = layer.Run(plan, {}, 3, {11, other});
    const HostTensor first = layer.Run(plan, {}, 3, {11}), second = layer.Run(plan, {}, 3, {other});
    CHECK(Difference(both, first, 0, 2) == 0);
    CHECK(Difference(both, second, 1, 2) == 0);
    CHECK(Difference(first, second, 0, 2) > 1e-3);
  }
}

}  // namespace
}  // namespace fovea
