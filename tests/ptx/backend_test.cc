// Every operation of the CUDA backend but products, executed by the interpreter with all checks,
// against the references in double.
#include "tests/ptx/cuda_op_test.h"

#include "tensor/cpu/kernels.h"
#include "tensor/ops/activation.h"
#include "tensor/ops/embed.h"
#include "tensor/ops/norm/group_norm.h"
#include "tensor/ops/norm/layer_norm.h"
#include "tensor/ops/norm/rms_norm.h"
#include "tensor/ops/resample/average_pool.h"
#include "tensor/ops/resample/resize_bicubic.h"
#include "tensor/ops/resample/upsample.h"
#include "tensor/ops/rotate.h"

namespace fovea::ptx {
namespace {

constexpr Act kActs[] = {Act::kNone,     Act::kSilu,      Act::kGeluErf,
                         Act::kGeluTanh, Act::kQuickGelu, Act::kRelu};

TEST_CASE("cuda backend: activations over their whole range") {
  FOVEA_NEEDS_KERNELS();
  CudaOpTest test;
  HostTensor x({4001}, DType::kF32);
  for (int i = 0; i <= 4000; ++i) x.Data<float>()[i] = static_cast<float>(i - 2000) * 0.05f;
  for (const Act act : kActs) {
    INFO(Name(act));
    const ArenaScope scope(test.arena);
    const Tensor y = test.Out(x.shape(), DType::kF32);
    ops::Activate(test.ctx, test.Put(x), act, y);
    const HostTensor got = test.Get(y);
    const Reference want = ReferenceActivate(x.View(), act);
    Worst worst, relative;
    for (int i = 0; i <= 4000; ++i) {
      const double w = want.v[static_cast<size_t>(i)], g = got.Data<float>()[i];
      worst.Add(g, w, std::max(1.0, std::fabs(w)));
      if (std::fabs(w) > 1e-25) relative.Add(g, w, std::fabs(w));
    }
    CHECK(worst.Value() <= 5e-7);
    CHECK(relative.Value() <= 4e-5);
  }
}

TEST_CASE("cuda backend: activations keep NaN and infinity, and take every size and type") {
  FOVEA_NEEDS_KERNELS();
  CudaOpTest test;
  for (const Act act : kActs) {
    INFO(Name(act));
    const ArenaScope scope(test.arena);
    const Tensor x = test.Put(HostTensor({3}, std::vector<float>{NAN, INFINITY, -200.0f}));
    ops::Activate(test.ctx, x, act, x);
    const HostTensor y = test.Get(x);
    CHECK(std::isnan(y.Data<float>()[0]));
    CHECK(y.Data<float>()[1] == INFINITY);
    if (act != Act::kNone) CHECK(std::fabs(y.Data<float>()[2]) < 1e-30f);
  }
  for (const DType dtype : kCudaTypes) {
    for (const int64_t size : {1, 7, 33, 2049}) {
      const ArenaScope scope(test.arena);
      const HostTensor x = Random({size}, dtype, 5, 2), wide = Random({3, 2 * size}, dtype, 6);
      const Tensor y = test.Out({size}, dtype), z = test.Out({3, size}, dtype);
      ops::Activate(test.ctx, test.Put(x), Act::kSilu, y);
      RequireClose(test.Get(y), ReferenceActivate(x.View(), Act::kSilu));
      ops::GatedAct(test.ctx, test.Put(wide), Act::kGeluErf, z);
      RequireClose(test.Get(z), ReferenceGatedAct(wide.View(), Act::kGeluErf));
    }
  }
}

TEST_CASE("cuda backend: sums and gated sums, strided too") {
  FOVEA_NEEDS_KERNELS();
  CudaOpTest test;
  for (const DType dtype : kCudaTypes) {
    for (const Shape& shape : {Shape{1, 1, 1}, Shape{2, 5, 33}, Shape{2, 7, 64}}) {
      INFO(shape.ToString() << " " << Name(dtype));
      const ArenaScope scope(test.arena);
      Shape wide = shape;
      wide[-1] *= 2;
      const int64_t c = shape[-1];
      const HostTensor a = Random(shape, dtype, 1), both = Random(wide, dtype, 2);
      const Tensor b = test.Put(both).Slice(2, c, c), out = test.Out(shape, dtype);
      const Tensor host_b = both.View().Slice(2, c, c);
      ops::Add(test.ctx, test.Put(a), b, out);
      RequireClose(test.Get(out), ReferenceAdd(a.View(), host_b));
      const HostTensor gate = Random({shape[0], c}, dtype, 3);
      const Tensor sum = test.Put(a);
      ops::GatedAdd(test.ctx, b, test.Put(gate), sum);
      RequireClose(test.Get(sum), ReferenceGatedAdd(host_b, gate.View(), a.View()));
    }
  }
}

TEST_CASE("cuda backend: copies between types, strides and sides keep every value") {
  FOVEA_NEEDS_KERNELS();
  CudaOpTest test;
  for (const DType from : kCudaTypes) {
    for (const DType to : kCudaTypes) {
      INFO(Name(from) << " to " << Name(to));
      const ArenaScope scope(test.arena);
      const HostTensor x = Random({2, 3, 5, 7}, from, 4);
      HostTensor want(x.shape(), to);
      CopyCpu(x.View(), want.View());
      const Tensor there = test.Put(x), converted = test.Out(x.shape(), to);
      ops::Copy(test.ctx, there, converted);
      const HostTensor got = test.Get(converted);
      CHECK(std::memcmp(got.data(), want.data(), want.Bytes()) == 0);
      // Turned on the device, and back on the way to the host.
      const Tensor turned = test.Out({2, 5, 7, 3}, to);
      ops::Copy(test.ctx, there.Permute({0, 2, 3, 1}), turned);
      HostTensor back(x.shape(), to);
      ops::Copy(test.ctx, turned.Permute({0, 3, 1, 2}), back.View());
      CHECK(std::memcmp(back.data(), want.data(), want.Bytes()) == 0);
      // From the host into a part of a larger tensor.
      const Tensor larger = test.Out({2, 3, 5, 14}, to);
      ops::Copy(test.ctx, x.View(), larger.Slice(3, 7, 7));
      HostTensor part(x.shape(), to);
      ops::Copy(test.ctx, larger.Slice(3, 7, 7), part.View());
      CHECK(std::memcmp(part.data(), want.data(), want.Bytes()) == 0);
    }
  }
}

TEST_CASE("cuda backend: norms with everything fused, in place too") {
  FOVEA_NEEDS_KERNELS();
  CudaOpTest test;
  for (const DType dtype : kCudaTypes) {
    for (const auto& [shape, groups] :
         {std::pair<Shape, int>{{1, 1, 1, 4}, 2}, {{2, 3, 5, 32}, 32}, {{2, 7, 9, 30}, 6}}) {
      INFO(shape.ToString() << " " << Name(dtype));
      const ArenaScope scope(test.arena);
      const int64_t n = shape[0], c = shape[-1];
      const HostTensor x = Random(shape, dtype, 1, 2, 1), add = Random({n, c}, dtype, 4);
      const HostTensor gamma = Random({c}, DType::kF32, 2), beta = Random({c}, DType::kF32, 3);
      const HostTensor both = Random({n, 2 * c}, dtype, 6, 0.5f);
      GroupNormParams params{gamma.View(), beta.View(), groups, 1e-5f, Act::kNone, {}, {}, {}};
      const Tensor y = test.Out(shape, dtype), there = test.Put(x), scales = test.Put(both);
      ops::GroupNorm(test.ctx, there, params, y);
      RequireClose(test.Get(y), ReferenceGroupNorm(x.View(), params));
      params.act = Act::kSilu;
      params.add = add.View();
      params.scale = both.View().Slice(1, 0, c);
      params.shift = both.View().Slice(1, c, c);
      const Reference want = ReferenceGroupNorm(x.View(), params);
      params.add = test.Put(add);
      params.scale = scales.Slice(1, 0, c);
      params.shift = scales.Slice(1, c, c);
      ops::GroupNorm(test.ctx, there, params, there);
      RequireClose(test.Get(there), want);
    }
    for (const Shape& shape : {Shape{1, 1, 1}, Shape{2, 5, 33}, Shape{2, 9, 320}}) {
      INFO(shape.ToString() << " " << Name(dtype));
      const ArenaScope scope(test.arena);
      const int64_t n = shape[0], c = shape[-1];
      const HostTensor x = Random(shape, dtype, 1, 2, 1), both = Random({n, 2 * c}, dtype, 6, 0.5f);
      const HostTensor gamma = Random({c}, DType::kF32, 2), beta = Random({c}, DType::kF32, 3);
      const Tensor y = test.Out(shape, dtype), there = test.Put(x), scales = test.Put(both);
      ops::LayerNorm(test.ctx, there, gamma.View(), beta.View(), 1e-5f, y);
      RequireClose(test.Get(y), ReferenceLayerNorm(x.View(), gamma.View(), beta.View(), 1e-5f));
      ops::RmsNorm(test.ctx, there, gamma.View(), 1e-6f, y);
      RequireClose(test.Get(y), ReferenceRmsNorm(x.View(), gamma.View(), 1e-6f));
      LayerNormParams params{{}, {}, 1e-6f, both.View().Slice(1, 0, c), both.View().Slice(1, c, c)};
      const Reference want = ReferenceModulatedLayerNorm(x.View(), params);
      params.scale = scales.Slice(1, 0, c);
      params.shift = scales.Slice(1, c, c);
      ops::ModulatedLayerNorm(test.ctx, there, params, there);
      RequireClose(test.Get(there), want);
    }
  }
}

TEST_CASE("cuda backend: rotations, resampling and embeddings") {
  FOVEA_NEEDS_KERNELS();
  CudaOpTest test;
  for (const DType dtype : kCudaTypes) {
    INFO(Name(dtype));
    const ArenaScope scope(test.arena);
    const HostTensor q = Random({2, 5, 3, 8}, dtype, 1);
    HostTensor tables({5, 2, 8}, DType::kF32);
    for (int i = 0; i < 20; ++i) {
      float* const at = tables.Data<float>() + i / 4 * 16 + i % 4 * 2;
      at[0] = at[1] = std::cos(static_cast<float>(i));
      at[9] = std::sin(static_cast<float>(i));
      at[8] = -at[9];
    }
    const Tensor turned = test.Put(q);
    ops::Rotate(test.ctx, turned, tables.View(), turned);
    INFO("rotated");
    RequireClose(test.Get(turned), ReferenceRotate(q.View(), tables.View()));

    const HostTensor image = Random({2, 5, 7, 6}, dtype, 3);
    const Tensor there = test.Put(image);
    for (const auto& [h, w] : {std::pair{10, 14}, {9, 8}, {3, 4}, {5, 7}}) {
      const Tensor out = test.Out({2, h, w, 6}, dtype);
      INFO(h << " x " << w);
      ops::UpsampleNearest(test.ctx, there, out);
      RequireClose(test.Get(out), ReferenceUpsampleNearest(image.View(), h, w));
      ops::ResizeBicubic(test.ctx, there, out);
      RequireClose(test.Get(out), ReferenceResizeBicubic(image.View(), h, w));
    }
    const Tensor pooled = test.Out({2, 3, 4, 6}, dtype);
    ops::AveragePool2x2(test.ctx, there, pooled);
    RequireClose(test.Get(pooled), ReferenceAveragePool2x2(image.View()));

    const HostTensor table = Random({11, 6}, DType::kF32, 4);
    const HostTensor ids({1, 3}, std::vector<int32_t>{10, 0, 4});
    const Tensor rows = test.Out({1, 3, 6}, dtype);
    ops::Embed(test.ctx, ids.View(), table.View(), rows);
    const HostTensor got = test.Get(rows);
    HostTensor want(got.shape(), DType::kF32);
    for (int i = 0; i < 3; ++i) {
      std::memcpy(want.Data<float>() + 6 * i, table.Data<float>() + 6 * ids.Data<int32_t>()[i], 24);
    }
    RequireClose(got, Reference::Of(want.View()));
  }
}

TEST_CASE("cuda backend: a parameter that changed its values is not the old one") {
  FOVEA_NEEDS_KERNELS();
  CudaOpTest test;
  HostTensor gamma({8}, std::vector<float>(8, 1));
  const HostTensor x = Random({3, 8}, DType::kF32, 1);
  const Tensor there = test.Put(x), out = test.Out({3, 8}, DType::kF32);
  for (const float value : {1.f, 2.f, 1.f}) {
    for (int i = 0; i < 8; ++i) gamma.Data<float>()[i] = value;
    ops::RmsNorm(test.ctx, there, gamma.View(), 1e-6f, out);
    RequireClose(test.Get(out), ReferenceRmsNorm(x.View(), gamma.View(), 1e-6f));
  }
}

TEST_CASE("cuda backend: what fails says so and stays failed") {
  FOVEA_NEEDS_KERNELS();
  FOVEA_EMULATED_ONLY();
  CHECK_THROWS_WITH(cuda::Device(EmulatedDriver(), 1), Catch::Contains("lists 1 device"));
  {
    CudaOpTest test;
    CHECK_THROWS_AS(Arena(*test.backend, size_t{1} << 40), Error);
    Tensor x = test.Put(Random({64}, DType::kF32, 1)), beyond = x;
    beyond.data = static_cast<float*>(x.data) + (size_t{4} << 18);
    CHECK_THROWS_WITH(ops::Activate(test.ctx, x, Act::kSilu, beyond),
                      Catch::Contains("activate_f32") && Catch::Contains("writes"));
    CHECK_THROWS_AS(test.backend->Synchronize(), Error);
  }
  CHECK(TheEmulated().in_use == 0);
  TheEmulated().Clear();
}

}  // namespace
}  // namespace fovea::ptx
