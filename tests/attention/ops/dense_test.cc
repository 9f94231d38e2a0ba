// Dense attention against the double-precision reference: shapes, strides, masks, large scores.
#include "attention/ops/dense.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <random>

#include "attention/attention_runtime.h"
#include "tensor/machine/threads.h"
#include "tests/reference/reference_attention.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

struct Case {
  int batch, t, kv, heads, d;
  bool causal = false;
  float magnitude = 1;  // of q: larger makes the softmax sharper
};

HostTensor RandomTensor(const Shape& shape, float magnitude, uint32_t seed) {
  HostTensor x(shape, DType::kF32);
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, magnitude);
  for (int64_t i = 0; i < x.NumElements(); ++i) x.Data<float>()[i] = normal(generator);
  return x;
}

struct Output {
  HostTensor out, lse;
};

Output Run(Backend& backend, const Case& c, const HostTensor& q, const HostTensor& k,
           const HostTensor& v) {
  Arena arena(backend, 64 << 20);
  Context ctx{backend, arena};
  Output result{HostTensor({c.batch, c.t, c.heads, c.d}, DType::kF32),
                HostTensor({c.batch, c.heads, c.t}, DType::kF32)};
  std::fill_n(result.out.Data<float>(), result.out.NumElements(), NAN);
  AttentionSpec spec{c.batch, c.heads, c.d, TextLayout(c.t), TextLayout(c.kv)};
  spec.causal = c.causal;
  AttentionRuntime runtime;
  const AttentionSite site{"layer", 0, SiteKind::kSelf, c.heads, c.d, spec.q};
  runtime.Attend(ctx, site, spec,
                 {q.View(), k.View(), v.View(), result.out.View(), result.lse.View()});
  return result;
}

// Limit: 2e-6 of the values' magnitude, or three times what a plain f32 evaluation would lose on
// scores this large (each score carries about d * 2^-24 of its magnitude).
void Check(const Case& c) {
  CAPTURE(c.batch, c.t, c.kv, c.heads, c.d, c.causal, c.magnitude);
  const HostTensor q = RandomTensor({c.batch, c.t, c.heads, c.d}, c.magnitude, 1);
  const HostTensor k = RandomTensor({c.batch, c.kv, c.heads, c.d}, 1, 2);
  const HostTensor v = RandomTensor({c.batch, c.kv, c.heads, c.d}, 1, 3);
  const auto backend = MakeCpuBackend();
  const Output got = Run(*backend, c, q, k, v);
  const auto want = reference::Attention(q.View(), k.View(), v.View(), 1 / std::sqrt(double(c.d)),
                                         [&](int64_t i, int64_t j) { return !c.causal || j <= i; });
  const double limit = 2e-6 * std::max(1.0f, c.magnitude);
  Worst worst, worst_lse;
  for (size_t i = 0; i < want.out.size(); ++i) {
    worst.Add(got.out.Data<float>()[i], want.out[i]);
  }
  for (size_t i = 0; i < want.lse.size(); ++i) {
    worst_lse.Add(got.lse.Data<float>()[i], want.lse[i]);
  }
  CHECK(worst.Value() <= limit);
  CHECK(worst_lse.Value() <= 2 * limit);
}

TEST_CASE("dense attention equals the double-precision reference") {
  Check({1, 1, 1, 1, 8});
  Check({2, 7, 5, 3, 8});
  Check({1, 64, 64, 2, 40});
  Check({1, 65, 129, 1, 64});
  Check({2, 63, 77, 2, 40});
  Check({1, 130, 200, 2, 72});
  Check({1, 33, 300, 1, 160});
  Check({1, 70, 70, 1, 256});
  Check({1, 16, 16, 2, 12});
}

TEST_CASE("causal attention sees no later key") {
  Check({2, 77, 77, 2, 64, true});
  Check({1, 1, 1, 1, 8, true});
  Check({1, 200, 200, 1, 16, true});
}

TEST_CASE("sharp softmaxes keep their accuracy") {
  Check({1, 70, 140, 1, 64, false, 10});
  Check({1, 70, 140, 1, 64, false, 100});
}

TEST_CASE("attention reads strided views and does not depend on threads") {
  const Case c{2, 70, 70, 3, 16};
  const HostTensor qkv = RandomTensor({c.batch, c.t, 3 * c.heads, c.d}, 1, 7);
  const auto part = [&](int i) { return qkv.View().Slice(2, int64_t{i} * c.heads, c.heads); };
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 64 << 20);
  Context ctx{*backend, arena};
  AttentionSpec spec{c.batch, c.heads, c.d, GridLayout(7, 10), GridLayout(7, 10)};
  const AttentionSite site{"layer", 0, SiteKind::kSelf, c.heads, c.d, spec.q};
  std::vector<HostTensor> outs;
  const int threads = NumThreads();
  for (int n : {1, 2, 3}) {
    SetNumThreads(n);
    outs.emplace_back(Shape{c.batch, c.t, c.heads, c.d}, DType::kF32);
    AttentionRuntime().Attend(ctx, site, spec, {part(0), part(1), part(2), outs.back().View(), {}});
  }
  SetNumThreads(threads);
  const auto want =
      reference::Attention(part(0), part(1), part(2), 0.25, [](int64_t, int64_t) { return true; });
  Worst worst;
  for (size_t i = 0; i < want.out.size(); ++i) worst.Add(outs[0].Data<float>()[i], want.out[i]);
  CHECK(worst.Value() <= 2e-6);
  for (const HostTensor& out : outs) {
    CHECK(std::memcmp(out.data(), outs[0].data(), out.Bytes()) == 0);
  }
}

TEST_CASE("the registry names what exists") {
  CHECK(FindAttentionOp("dense").Name() == "dense");
  CHECK_THROWS_WITH(FindAttentionOp("dens"), Catch::Contains("there are: dense"));
  CHECK_THROWS_WITH(DenseAttention().Bind({{"r", "3"}})->Supports({}),
                    Catch::Contains("takes none"));
}

}  // namespace
}  // namespace fovea
