// The tile kernel itself: head mixes, bf16, strides, odd sizes, queries that see nothing.
#include "attention/kernels/tile/tile_attention.h"

#include <hwy/targets.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <functional>

#include "tensor/machine/threads.h"
#include "tests/reference/reference_attention.h"
#include "tests/support/operator_case.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

HostTensor ToBFloat16Tensor(const HostTensor& x) {
  HostTensor y(x.shape(), DType::kBF16);
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    y.Data<BFloat16>()[i] = ToBFloat16(x.Data<float>()[i]);
  }
  return y;
}

struct Case {
  int batch, t, kv, heads, d;
};

struct Inputs {
  HostTensor q, k, v;
  explicit Inputs(const Case& c, float magnitude = 1)
      : q(RandomNormal({c.batch, c.t, c.heads, c.d}, 1, magnitude)),
        k(RandomNormal({c.batch, c.kv, c.heads, c.d}, 2)),
        v(RandomNormal({c.batch, c.kv, c.heads, c.d}, 3)) {}
  void Round() { q = ToBFloat16Tensor(q), k = ToBFloat16Tensor(k), v = ToBFloat16Tensor(v); }
};

void Attend(const TileMap& map, float scale, const TileCall& io) {
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 64 << 20);
  Context ctx{*backend, arena};
  TileAttention(ctx, map, scale, io);
}

// For every instruction set that this processor has and we compile.
void ForEachTarget(const std::function<void()>& body) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    INFO("target " << hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
}

bool All(int64_t, int64_t) {
  return true;
}

// out[b,t,h,c] of a * attention + b * v + e * mean(v), in double.
std::vector<double> Mixed(const Inputs& in, const std::vector<HeadMix>& mix, double scale) {
  const Shape shape = in.v.shape();
  const auto plain = reference::Attention(in.q.View(), in.k.View(), in.v.View(), scale, All);
  std::vector<double> want;
  for (int64_t b = 0; b < shape[0]; ++b) {
    for (int64_t t = 0; t < shape[1]; ++t) {
      for (int64_t h = 0; h < shape[2]; ++h) {
        const HeadMix& m = mix[static_cast<size_t>(b * shape[2] + h)];
        for (int64_t c = 0; c < shape[3]; ++c) {
          double mean = 0;
          for (int64_t j = 0; j < shape[1]; ++j) mean += reference::At(in.v.View(), {b, j, h, c});
          mean /= double(shape[1]);
          want.push_back(m.a * plain.out[want.size()] +
                         m.b * reference::At(in.v.View(), {b, t, h, c}) + m.e * mean);
        }
      }
    }
  }
  return want;
}

void CheckMix(const Case& c, const std::vector<HeadMix>& mix) {
  CAPTURE(c.batch, c.t, c.heads, c.d);
  const Inputs in(c);
  HostTensor out(in.q.shape(), DType::kF32);
  TileCall io{in.q.View(), in.k.View(), in.v.View(), out.View()};
  io.mix = mix;
  const float scale = 1 / std::sqrt(float(c.d));
  const std::vector<double> want = Mixed(in, mix, scale);
  ForEachTarget([&] {
    std::fill_n(out.Data<float>(), out.NumElements(), NAN);
    Attend(DenseTileMap(c.t, c.kv, false), scale, io);
    CHECK(MaxDifference(out, want) <= 2e-6);
  });
}

TEST_CASE("a head can be replaced by its values, their mean, or a mix") {
  const HeadMix plain, identity{0, 1, 0}, uniform{0, 0, 1}, between{0.25f, 0.5f, 0.25f};
  const HeadMix halfway{0.5f, 0, 0.5f}, beyond{1.5f, -0.5f, 0};
  CheckMix({1, 7, 7, 1, 8}, {identity});
  CheckMix({1, 65, 65, 1, 12}, {uniform});
  CheckMix({1, 64, 64, 2, 40}, {between, halfway});
  CheckMix({2, 77, 77, 3, 24}, {plain, identity, uniform, between, halfway, beyond});
  CheckMix({2, 130, 130, 2, 64}, {identity, plain, plain, beyond});
  CheckMix({1, 1, 1, 2, 5}, {uniform, between});
}

TEST_CASE("identity and uniform heads are exact") {
  const Case c{1, 70, 70, 2, 16};
  const Inputs in(c);
  HostTensor out(in.q.shape(), DType::kF32);
  const std::vector<HeadMix> mix{{0, 1, 0}, {0, 1, 0}};
  TileCall io{in.q.View(), in.k.View(), in.v.View(), out.View()};
  io.mix = mix;
  Attend(DenseTileMap(c.t, c.kv, false), 0.25f, io);
  CHECK(std::memcmp(out.data(), in.v.data(), out.Bytes()) == 0);
}

// What rounding probabilities and the output to bf16 may cost: |error| <= 1.6 * 2^-8 sum(p |v|).
// Probabilities are off by 2^-9 each, in the sum and in its divisor, and the output by 2^-9.
void CheckBf16(const Case& c, float magnitude = 1, bool causal = false) {
  CAPTURE(c.batch, c.t, c.kv, c.heads, c.d, magnitude, causal);
  Inputs in(c, magnitude);
  in.Round();
  HostTensor size = in.v;
  for (int64_t i = 0; i < size.NumElements(); ++i) size.Data<BFloat16>()[i].bits &= 0x7fff;
  const float scale = 1 / std::sqrt(float(c.d));
  const auto sees = [causal](int64_t i, int64_t j) { return !causal || j <= i; };
  const auto want = reference::Attention(in.q.View(), in.k.View(), in.v.View(), scale, sees);
  const auto weight = reference::Attention(in.q.View(), in.k.View(), size.View(), scale, sees);
  ForEachTarget([&] {
    HostTensor out(in.q.shape(), DType::kBF16), lse({c.batch, c.heads, c.t}, DType::kF32);
    std::memset(out.data(), 0xff, out.Bytes());
    Attend(DenseTileMap(c.t, c.kv, causal), scale,
           {in.q.View(), in.k.View(), in.v.View(), out.View(), lse.View()});
    Worst worst;  // in shares of each value's own limit
    double square = 0, norm = 0;
    for (size_t i = 0; i < want.out.size(); ++i) {
      const double got = ToFloat(out.Data<BFloat16>()[i]);
      const double error = got - want.out[i];
      worst.Add(got, want.out[i], 1.6 / 256 * weight.out[i] + 1e-30);
      square += error * error;
      norm += want.out[i] * want.out[i];
    }
    CHECK(worst.Value() <= 1);
    CHECK(std::sqrt(square / norm) <= 4e-3);
    // The sum is of rounded probabilities: 2^-9 at worst, when they are all alike.
    CHECK(MaxDifference(lse, want.lse) <= 2.1e-3);
  });
}

TEST_CASE("bf16 attention stays within the rounding of its probabilities") {
  CheckBf16({1, 1, 1, 1, 8});
  CheckBf16({2, 7, 5, 3, 8});
  CheckBf16({1, 64, 64, 2, 40});
  CheckBf16({1, 65, 129, 1, 64});
  CheckBf16({2, 63, 77, 2, 40});
  CheckBf16({1, 130, 201, 2, 72});
  CheckBf16({1, 33, 300, 1, 160});
  CheckBf16({1, 70, 71, 1, 256});
  CheckBf16({1, 16, 17, 2, 5});  // odd head sizes have half a pair left over
  CheckBf16({1, 20, 31, 1, 33});
  CheckBf16({2, 77, 77, 2, 64}, 1, true);
  CheckBf16({1, 70, 140, 1, 64}, 10);
}

TEST_CASE("bf16 attention mixes heads and reads strided views") {
  const Case c{2, 70, 70, 3, 24};
  Inputs in({2, 70, 70, 9, 24});
  in.Round();
  const auto part = [&](int i) { return in.q.View().Slice(2, int64_t{i} * c.heads, c.heads); };
  Inputs copies(c);
  for (auto* x : {&copies.q, &copies.k, &copies.v}) *x = HostTensor(x->shape(), DType::kF32);
  for (int64_t i = 0; i < copies.q.NumElements(); ++i) {
    const int64_t row = i / (c.heads * c.d), rest = i % (c.heads * c.d);
    const auto value = [&](int p) {
      return ToFloat(in.q.Data<BFloat16>()[(row * 9 + p * c.heads) * c.d + rest]);
    };
    copies.q.Data<float>()[i] = value(0), copies.k.Data<float>()[i] = value(1);
    copies.v.Data<float>()[i] = value(2);
  }
  const std::vector<HeadMix> mix{{1, 0, 0},       {0, 1, 0},       {0, 0, 1},
                                 {0.5f, 0.5f, 0}, {0.5f, 0, 0.5f}, {1, 0, 0}};
  HostTensor out(copies.q.shape(), DType::kBF16);
  TileCall io{part(0), part(1), part(2), out.View()};
  io.mix = mix;
  Attend(DenseTileMap(c.t, c.kv, false), 0.2f, io);
  const auto want = Mixed(copies, mix, 0.2f);
  Worst worst;
  for (size_t i = 0; i < want.size(); ++i) worst.Add(ToFloat(out.Data<BFloat16>()[i]), want[i]);
  CHECK(worst.Value() <= 2e-2);  // values reach 4; 2^-8 of that
}

TEST_CASE("a query that sees no key gives zero and an lse of minus infinity") {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const Case c{1, 64, 64, 1, 16};
    Inputs in(c);
    if (dtype == DType::kBF16) in.Round();
    TileMap map = DenseTileMap(c.t, c.kv, true);
    for (size_t j = 0; j < kTileTokens; ++j) map.masks[0][j] &= ~uint64_t{1} << 4;  // 0 to 4
    map.visits.push_back(map.visits[0]);  // once more: nothing seen before or after
    map.rows[0].end = 2;
    HostTensor out(in.q.shape(), dtype), lse({1, 1, c.t}, DType::kF32);
    Attend(map, 0.25f, {in.q.View(), in.k.View(), in.v.View(), out.View(), lse.View()});
    for (int64_t i = 0; i < c.t; ++i) {
      const bool blind = i < 5;
      CHECK(std::isinf(lse.Data<float>()[i]) == blind);
      for (int64_t j = 0; j < c.d; ++j) {
        const double value = reference::At(out.View(), {0, i, 0, j});
        CHECK((blind ? value == 0 : std::isfinite(value) && value != 0));
      }
    }
  }
}

TEST_CASE("NaN in a query or a key is not hidden by the softmax") {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const Case c{1, 70, 70, 1, 16};
    for (const bool in_key : {false, true}) {
      Inputs in(c);
      (in_key ? in.k : in.q).Data<float>()[66 * c.d] = NAN;  // of token 66
      if (dtype == DType::kBF16) in.Round();
      ForEachTarget([&] {
        HostTensor out(in.q.shape(), dtype), lse({1, 1, c.t}, DType::kF32);
        Attend(DenseTileMap(c.t, c.kv, false), 0.25f,
               {in.q.View(), in.k.View(), in.v.View(), out.View(), lse.View()});
        for (int64_t i = 0; i < c.t; ++i) {
          CHECK(std::isnan(reference::At(out.View(), {0, i, 0, 3})) == (in_key || i == 66));
          CHECK(std::isnan(lse.Data<float>()[i]) == (in_key || i == 66));
        }
      });
    }
  }
}

TEST_CASE("the bytes do not depend on the number of threads") {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const Case c{1, 600, 600, 3, 40};
    Inputs in(c);
    if (dtype == DType::kBF16) in.Round();
    const TileMap map = DenseTileMap(c.t, c.kv, false);
    const int threads = NumThreads();
    std::vector<HostTensor> outs;
    for (int n : {1, 2, 5, 13}) {
      SetNumThreads(n);
      outs.emplace_back(in.q.shape(), dtype);
      Attend(map, 0.2f, {in.q.View(), in.k.View(), in.v.View(), outs.back().View()});
      CHECK(std::memcmp(outs.back().data(), outs[0].data(), outs[0].Bytes()) == 0);
    }
    SetNumThreads(threads);
  }
}

}  // namespace
}  // namespace fovea
