#include "tensor/ops/conv/conv2d.h"

#include <cstring>
#include <optional>

#include <catch2/catch.hpp>

#include "tensor/ops/elementwise.h"
#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

struct Case {
  Shape x;
  int64_t out, kernel;
  Conv2dParams params;
};

const Case kCases[] = {
    {{1, 1, 1, 1}, 1, 1, {}},
    {{1, 1, 1, 5}, 3, 3, {1, 1, 1, 1, 1}},
    {{2, 8, 8, 4}, 32, 3, {1, 1, 1, 1, 1}},
    {{1, 7, 9, 33}, 17, 3, {1, 1, 1, 1, 1}},
    {{2, 9, 6, 32}, 4, 3, {1, 1, 1, 1, 1}},
    {{1, 13, 12, 48}, 64, 3, {2, 1, 1, 1, 1}},
    {{1, 12, 13, 16}, 16, 3, {2, 0, 0, 1, 1}},  // the VAE's downsampling
    {{1, 10, 11, 64}, 40, 1, {}},
    {{1, 10, 11, 24}, 40, 1, {2, 0, 0, 0, 0}},
    {{1, 32, 32, 3}, 48, 8, {8, 0, 0, 0, 0}},  // patches
    {{1, 6, 6, 160}, 96, 3, {1, 1, 1, 1, 1}},
    {{1, 13, 10, 48}, 48, 3, {4, 2, 2, 2, 2, 2}},  // the re-dilated convolution of RAU-Net
    {{2, 5, 1, 33}, 17, 3, {4, 2, 2, 2, 2, 2}},
    {{1, 9, 8, 20}, 12, 3, {1, 3, 3, 3, 3, 3}},
    {{1, 41, 40, 160}, 9, 3, {1, 1, 1, 1, 1}},  // patches in two bands of rows
    // Winograd's algorithm: whole tiles, ragged ones, half blocks of channels, several strips.
    {{1, 16, 16, 16}, 16, 3, {1, 1, 1, 1, 1}},
    {{2, 13, 18, 80}, 48, 3, {1, 1, 1, 1, 1}},
    {{1, 19, 30, 32}, 32, 3, {1, 0, 1, 1, 0}},
    {{1, 62, 90, 16}, 32, 3, {1, 1, 1, 1, 1}},
    // Few outputs: whole and ragged groups of pixels and of outputs, padding on some sides.
    {{1, 1, 1, 16}, 1, 3, {1, 1, 1, 1, 1}},
    {{2, 5, 7, 48}, 3, 3, {1, 1, 1, 1, 1}},
    {{1, 4, 9, 160}, 4, 3, {1, 0, 1, 1, 0}},
    {{1, 3, 6, 32}, 7, 3, {1, 1, 1, 1, 1}},
};

Shape OutShape(const Case& c) {
  const auto& p = c.params;
  const int64_t reach = p.dilation * (c.kernel - 1) + 1;
  return {c.x[0], (c.x[1] + p.pad_top + p.pad_bottom - reach) / p.stride + 1,
          (c.x[2] + p.pad_left + p.pad_right - reach) / p.stride + 1, c.out};
}

HostTensor Filters(const Case& c, DType dtype) {
  const float fan_in = static_cast<float>(c.x[3] * c.kernel * c.kernel);
  return Random({c.out, c.x[3], c.kernel, c.kernel}, dtype, 11, 1 / std::sqrt(fan_in));
}

// Winograd's algorithm rounds more than a plain sum: 9e-6 was seen.
constexpr double kLimit = 1.5e-5;

TEST_CASE("convolution agrees with the definition for every dtype") {
  OpTest test;
  const int before = NumThreads();
  for (const int threads : {1, 2}) {
    SetNumThreads(threads);
    for (const Case& c : kCases) {
      for (const DType wtype : {DType::kF32, DType::kF16, DType::kBF16}) {
        for (const DType dtype : kActivationTypes) {
          INFO(c.x.ToString() << " to " << c.out << " kernel " << c.kernel << ", weights "
                              << Name(wtype) << ", activations " << Name(dtype) << ", threads "
                              << threads);
          const HostTensor x = Random(c.x, dtype, 1), w = Filters(c, wtype);
          const HostTensor bias = Random({c.out}, DType::kF32, 2);
          HostTensor w16(w.shape(), DType::kBF16);
          ops::Copy(test.ctx, w.View(), w16.View());
          const Weight weight{w.View(), bias.View()};
          const Weight rounded{dtype == DType::kBF16 ? w16.View() : w.View(), bias.View()};
          HostTensor y = Poisoned(OutShape(c), dtype);
          ops::Conv2d(test.ctx, x.View(), weight, c.params, y.View());
          REQUIRE_WITHIN(y.View(), ReferenceConv2d(x.View(), rounded, c.params, {}), kLimit);
          HostTensor residual = Random(y.shape(), dtype, 3);
          const Tensor view = residual.View();
          const Reference want = ReferenceConv2d(x.View(), rounded, c.params, {Act::kNone, &view});
          ops::Conv2d(test.ctx, x.View(), weight, c.params, y.View(), {Act::kNone, &view});
          REQUIRE_WITHIN(y.View(), want, kLimit);
          ops::Conv2d(test.ctx, x.View(), weight, c.params, view, {Act::kNone, &view});
          REQUIRE_WITHIN(view, want, kLimit);
        }
      }
    }
  }
  SetNumThreads(before);
}

TEST_CASE("narrow filters of an f32 file are held in bf16, widened exactly") {
  OpTest test;
  test.ctx.narrow_weights = true;
  for (const Case& c : kCases) {
    if (c.kernel == 3 && c.out <= 8) continue;  // a kernel of its own, on a few f32 filters
    INFO(c.x.ToString() << " to " << c.out << " kernel " << c.kernel);
    const HostTensor x = Random(c.x, DType::kF32, 1), w = Filters(c, DType::kF32);
    HostTensor w16(w.shape(), DType::kBF16);
    ops::Copy(test.ctx, w.View(), w16.View());
    HostTensor y = Poisoned(OutShape(c), DType::kF32);
    const Weight weight{w.View(), {}}, rounded{w16.View(), {}};
    const size_t before = test.backend->PackedBytes();
    ops::Conv2d(test.ctx, x.View(), weight, c.params, y.View());
    REQUIRE_WITHIN(y.View(), ReferenceConv2d(x.View(), rounded, c.params, {}), kLimit);
    CHECK(test.backend->PackedBytes() - before == w16.Bytes());
  }
}

TEST_CASE("16-bit filters for f32 arithmetic have no copy in f32") {
  OpTest test;
  for (const DType type : {DType::kF16, DType::kBF16}) {
    for (const Case& c : kCases) {
      if (c.kernel == 3 && c.out <= 8) continue;
      INFO(Name(type) << " " << c.x.ToString() << " to " << c.out << " kernel " << c.kernel);
      const HostTensor x = Random(c.x, DType::kF32, 1), w = Filters(c, type);
      HostTensor y = Poisoned(OutShape(c), DType::kF32);
      const Weight weight{w.View(), {}};
      const size_t before = test.backend->PackedBytes();
      ops::Conv2d(test.ctx, x.View(), weight, c.params, y.View());
      CHECK(test.backend->PackedBytes() - before <= w.Bytes());
    }
  }
}

TEST_CASE("convolution fuses activations, with and without a residual") {
  OpTest test;
  for (const Act act : {Act::kSilu, Act::kGeluErf, Act::kGeluTanh, Act::kQuickGelu}) {
    for (const Case& c : kCases) {
      INFO(Name(act) << " " << c.x.ToString());
      const HostTensor x = Random(c.x, DType::kF32, 1, 2), w = Filters(c, DType::kF16);
      const Weight weight{w.View(), {}};
      HostTensor y = Poisoned(OutShape(c), DType::kF32);
      const HostTensor residual = Random(y.shape(), DType::kF32, 3);
      const Tensor view = residual.View();
      ops::Conv2d(test.ctx, x.View(), weight, c.params, y.View(), {act, nullptr});
      REQUIRE_WITHIN(y.View(), ReferenceConv2d(x.View(), weight, c.params, {act, nullptr}), kLimit);
      ops::Conv2d(test.ctx, x.View(), weight, c.params, y.View(), {act, &view});
      REQUIRE_WITHIN(y.View(), ReferenceConv2d(x.View(), weight, c.params, {act, &view}), kLimit);
    }
  }
}

TEST_CASE("convolution takes slices of channels in and out") {
  OpTest test;
  for (const int64_t kernel : {1, 3}) {
    HostTensor wide = Random({2, 6, 7, 50}, DType::kF32, 1);
    HostTensor y = Poisoned({2, 6, 7, 40}, DType::kF32);
    const HostTensor w = Random({24, 32, kernel, kernel}, DType::kF32, 2, 0.1f);
    const Weight weight{w.View(), {}};
    const int pad = static_cast<int>(kernel / 2);
    const Conv2dParams params{1, pad, pad, pad, pad};
    const Tensor x = wide.View().Slice(3, 9, 32), out = y.View().Slice(3, 8, 24);
    ops::Conv2d(test.ctx, x, weight, params, out);
    REQUIRE_WITHIN(out, ReferenceConv2d(x, weight, params, {}), kLimit);
    CHECK(std::isnan(Reference::Of(y.View().Slice(3, 32, 1)).v[0]));
  }
}

TEST_CASE("convolutions of our own agree on every instruction set, on slices too") {
  OpTest test;
  ForEachTarget([&] {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const int64_t out : {1, 3, 4, 6, 32}) {  // few outputs, Winograd's algorithm
        INFO(out << " outputs, " << Name(dtype));
        HostTensor wide = Random({2, 17, 18, 50}, dtype, 1);
        HostTensor y = Poisoned({2, 17, 18, out + 2}, dtype);
        const HostTensor w = Random({out, 32, 3, 3}, DType::kBF16, 2, 0.06f);
        const HostTensor bias = Random({out}, DType::kF32, 3);
        const Weight weight{w.View(), bias.View()};
        const Conv2dParams params{1, 1, 1, 1, 1};
        const Tensor x = wide.View().Slice(3, 9, 32), to = y.View().Slice(3, 1, out);
        ops::Conv2d(test.ctx, x, weight, params, to);
        REQUIRE_WITHIN(to, ReferenceConv2d(x, weight, params, {}), kLimit);
        CHECK(std::isnan(Reference::Of(y.View().Slice(3, 0, 1)).v[0]));
        CHECK(std::isnan(Reference::Of(y.View().Slice(3, out + 1, 1)).v[0]));
      }
    }
  });
}

// A mapped file may put a bias at any multiple of 4 bytes.
TEST_CASE("a convolution reads a bias wherever it stands") {
  OpTest test;
  for (const Conv2dParams& params : {Conv2dParams{1, 1, 1, 1, 1}, Conv2dParams{2, 1, 1, 1, 1}}) {
    for (const int64_t offset : {0, 1, 2, 3}) {
      INFO(offset);
      const Case c{{1, 6, 5, 32}, 32, 3, params};
      const HostTensor x = Random(c.x, DType::kF32, 1), w = Filters(c, DType::kF32);
      const HostTensor wide = Random({c.out + 3}, DType::kF32, 2);
      const Weight weight{w.View(), wide.View().Slice(0, offset, c.out)};
      HostTensor y = Poisoned(OutShape(c), DType::kF32);
      ops::Conv2d(test.ctx, x.View(), weight, params, y.View());
      REQUIRE_WITHIN(y.View(), ReferenceConv2d(x.View(), weight, params, {}), kLimit);
    }
  }
}

// The layouts that oneDNN prefers depend on the size of the image.
TEST_CASE("a picture's convolution does not depend on its batch") {
  OpTest test;
  for (const int64_t side : {6, 8, 12, 16}) {
    INFO(side);
    const Case c{{4, side, side, 32}, 32, 3, {1, 1, 1, 1, 1}};
    const HostTensor x = Random(c.x, DType::kF32, 1), w = Filters(c, DType::kF32);
    const Weight weight{w.View(), {}};
    HostTensor all(c.x, DType::kF32), one({1, side, side, 32}, DType::kF32);
    ops::Conv2d(test.ctx, x.View(), weight, c.params, all.View());
    ops::Conv2d(test.ctx, x.View().Slice(0, 3, 1), weight, c.params, one.View());
    CHECK(std::memcmp(one.Data<float>(), all.Data<float>() + 3 * one.NumElements(),
                      static_cast<size_t>(one.NumElements()) * sizeof(float)) == 0);
  }
}

TEST_CASE("one weight serves images of different sizes and dtypes in turn") {
  OpTest test;
  const HostTensor w = Random({96, 64, 3, 3}, DType::kF16, 2, 0.05f);
  const Weight weight{w.View(), {}};
  const Conv2dParams params{1, 1, 1, 1, 1};
  for (int round = 0; round < 2; ++round) {
    for (const int64_t size : {3, 4, 8, 16, 21, 32}) {
      INFO(size);
      const HostTensor x = Random({1, size, size + 1, 64}, DType::kF32, 1);
      HostTensor y = Poisoned({1, size, size + 1, 96}, DType::kF32);
      ops::Conv2d(test.ctx, x.View(), weight, params, y.View());
      REQUIRE_WITHIN(y.View(), ReferenceConv2d(x.View(), weight, params, {}), kLimit);
    }
    const DType other = DType::kBF16;
    const HostTensor x = Random({1, 5, 6, 64}, other, 1);
    HostTensor y = Poisoned({1, 5, 6, 96}, other);
    ops::Conv2d(test.ctx, x.View(), weight, params, y.View());
    REQUIRE_WITHIN(y.View(), ReferenceConv2d(x.View(), weight, params, {}), kLimit);
  }
}

// RAU-Net runs a downsampler re-dilated for some steps, then as it was.
TEST_CASE("one weight serves different strides and dilations in turn, packed at most once") {
  OpTest test;
  for (const DType type : {DType::kF32, DType::kF16}) {
    const HostTensor w = Random({64, 64, 3, 3}, type, 2, 0.05f);
    const Weight weight{w.View(), {}};
    std::optional<size_t> packed;
    for (int round = 0; round < 2; ++round) {
      for (const Conv2dParams& params :
           {Conv2dParams{4, 2, 2, 2, 2, 2}, Conv2dParams{2, 1, 1, 1, 1, 1}}) {
        const Case c{{2, 17, 15, 64}, 64, 3, params};
        const HostTensor x = Random(c.x, DType::kF32, 1);
        HostTensor y = Poisoned(OutShape(c), DType::kF32);
        ops::Conv2d(test.ctx, x.View(), weight, c.params, y.View());
        REQUIRE_WITHIN(y.View(), ReferenceConv2d(x.View(), weight, params, {}), kLimit);
        if (!packed) packed = test.backend->PackedBytes();
        CHECK(test.backend->PackedBytes() == *packed);
      }
    }
  }
}

TEST_CASE("convolution refuses shapes that do not fit") {
  OpTest test;
  HostTensor x({1, 5, 5, 4}, DType::kF32), w({8, 4, 3, 3}, DType::kF32);
  HostTensor y({1, 5, 5, 8}, DType::kF32);
  const Weight weight{w.View(), {}};
  CHECK_THROWS_AS(ops::Conv2d(test.ctx, x.View(), weight, {}, y.View()), Error);
  HostTensor tiny({1, 2, 2, 4}, DType::kF32);
  CHECK_THROWS_AS(ops::Conv2d(test.ctx, tiny.View(), weight, {}, y.View()), Error);
}

}  // namespace
}  // namespace fovea
