// Feature maps that are made in strips, over their own inputs, are those that are made whole.
#include "models/unet/resnet_block.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "tensor/ops/resample/upsample.h"

namespace fovea {
namespace {

HostTensor Noise(const Shape& shape, unsigned seed, float scale = 1) {
  HostTensor x(shape, DType::kF32);
  std::mt19937 bits(seed);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  for (int64_t i = 0; i < x.NumElements(); ++i) x.Data<float>()[i] = uniform(bits);
  return x;
}

bool SameBytes(const Tensor& a, const Tensor& b) {
  return a.shape == b.shape && std::memcmp(a.data, b.data, a.Bytes()) == 0;
}

TEST_CASE("a resnet over its own input shrinks it as it would elsewhere") {
  const int64_t in = 64, channels = 32;
  for (const Shape& size : {Shape{1, 70, 24, in}, Shape{2, 33, 21, in}, Shape{1, 3, 5, in}}) {
    INFO(size.ToString());
    const auto backend = MakeCpuBackend();
    Arena arena(*backend, size_t{64} << 20);
    Context ctx{*backend, arena};
    const HostTensor ones = Noise({in}, 1), conv1 = Noise({channels, in, 3, 3}, 2, 0.1f);
    const HostTensor conv2 = Noise({channels, channels, 3, 3}, 3, 0.1f);
    const HostTensor shortcut = Noise({channels, in}, 4, 0.2f), bias = Noise({channels}, 5);
    ResnetBlock2D block;
    block.norm1 = {ones.View(), ones.View(), 8, 1e-5f};
    block.norm2 = {bias.View(), bias.View(), 8, 1e-5f};
    block.conv1 = {conv1.View(), bias.View()};
    block.conv2 = {conv2.View(), bias.View()};
    block.conv_shortcut = Weight{shortcut.View(), bias.View()};
    const HostTensor x = Noise(size, 6);
    const Shape out_shape{size[0], size[1], size[2], channels};
    HostTensor apart(out_shape, DType::kF32), over(size, DType::kF32);
    block.Forward(ctx, x.View(), Tensor{}, apart.View());
    std::memcpy(over.View().data, x.View().data, x.View().Bytes());
    const Tensor result = ViewOf(over.View(), out_shape);
    block.Forward(ctx, over.View(), Tensor{}, result);
    CHECK(SameBytes(result, apart.View()));
  }
}

TEST_CASE("an upsampled map over its own input is the one that is made whole") {
  const int64_t channels = 256;
  for (const int64_t n : {1, 2}) {  // 4.6 million elements a sample: enough to be cut
    const auto backend = MakeCpuBackend();
    Arena arena(*backend, size_t{256} << 20);
    Context ctx{*backend, arena};
    const HostTensor filters = Noise({channels, channels, 3, 3}, 1, 0.05f);
    const Upsample2D upsample{Weight{filters.View(), {}}};
    const HostTensor x = Noise({n, 70, 64, channels}, 2);
    const Shape out_shape{n, 140, 128, channels};
    HostTensor resized(out_shape, DType::kF32), whole(out_shape, DType::kF32);
    HostTensor over(out_shape, DType::kF32);
    ops::UpsampleNearest(ctx, x.View(), resized.View());
    SameConv2d(ctx, resized.View(), upsample.conv, whole.View());
    std::memcpy(over.View().data, x.View().data, x.View().Bytes());
    upsample.Forward(ctx, ViewOf(over.View(), x.shape()), over.View());
    CHECK(SameBytes(over.View(), whole.View()));
  }
}

}  // namespace
}  // namespace fovea
