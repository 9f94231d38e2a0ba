// Products and convolutions of the CUDA backend, executed by the interpreter with all checks.
#include "tests/ptx/cuda_op_test.h"

#include "tensor/cpu/kernels.h"
#include "tensor/ops/conv/conv2d.h"
#include "tensor/ops/product/linear.h"

namespace fovea::ptx {
namespace {

// The weight as the device multiplies it.
HostTensor Rounded(const HostTensor& w, DType dtype) {
  HostTensor rounded(w.shape(), dtype);
  CopyCpu(w.View(), rounded.View());
  return rounded;
}

TEST_CASE("cuda products: linear layers of every type, size and epilogue") {
  FOVEA_NEEDS_KERNELS();
  CudaOpTest test;
  const std::pair<Shape, int64_t> cases[] = {{{1, 1}, 1},         {{5, 33}, 17},
                                             {{1, 7, 9, 24}, 50}, {{2, 77, 48}, 96},
                                             {{70, 200}, 130},    {{1, 130, 64}, 64}};
  for (const DType dtype : kCudaTypes) {
    for (const auto& [shape, outs] : cases) {
      INFO(shape.ToString() << " to " << outs << " " << Name(dtype));
      const ArenaScope scope(test.arena);
      Shape out_shape = shape;
      out_shape[-1] = outs;
      const HostTensor x = Random(shape, dtype, 1);
      const HostTensor w =
          Random({outs, shape[-1]}, DType::kF32, 2, 1 / std::sqrt(static_cast<float>(shape[-1])));
      const HostTensor bias = Random({outs}, DType::kF32, 3),
                       residual = Random(out_shape, dtype, 4);
      const HostTensor rounded = Rounded(w, dtype);
      const Weight weight{w.View(), bias.View()}, same{rounded.View(), bias.View()};
      const Tensor there = test.Put(x), y = test.Out(out_shape, dtype);
      ops::Linear(test.ctx, there, weight, y);
      RequireClose(test.Get(y), ReferenceLinear(x.View(), same, {}));
      Tensor host_residual = residual.View();
      const Epilogue on_host{Act::kGeluTanh, &host_residual};
      const Tensor in_place = test.Put(residual);
      ops::Linear(test.ctx, there, weight, in_place, {Act::kGeluTanh, &in_place});
      RequireClose(test.Get(in_place), ReferenceLinear(x.View(), same, on_host));
    }
  }
}

TEST_CASE("cuda products: rows of strided inputs and outputs") {
  FOVEA_NEEDS_KERNELS();
  CudaOpTest test;
  for (const DType dtype : kCudaTypes) {
    INFO(Name(dtype));
    const ArenaScope scope(test.arena);
    const HostTensor x = Random({2, 9, 96}, dtype, 1), w = Random({40, 32}, DType::kF32, 2, 0.2f);
    const HostTensor rounded = Rounded(w, dtype);
    const Tensor out = test.Out({2, 9, 120}, dtype);
    ops::Linear(test.ctx, test.Put(x).Slice(2, 32, 32), Weight{w.View(), {}}, out.Slice(2, 40, 40));
    const HostTensor all = test.Get(out);
    HostTensor part({2, 9, 40}, dtype);
    CopyCpu(all.View().Slice(2, 40, 40), part.View());
    RequireClose(part, ReferenceLinear(x.View().Slice(2, 32, 32), Weight{rounded.View(), {}}, {}));
    // What lies beside the slice was not touched.
    CHECK(std::isnan(Reference::Of(all.View()).v[39]));
    CHECK(std::isnan(Reference::Of(all.View()).v[80]));
  }
}

TEST_CASE("cuda products: convolutions of every kind that models have") {
  FOVEA_NEEDS_KERNELS();
  CudaOpTest test;
  struct Case {
    Shape x;
    int64_t out, kernel;
    Conv2dParams params;
  };
  const Case cases[] = {{{1, 1, 1, 1}, 1, 1, {}},
                        {{2, 8, 8, 4}, 32, 3, {1, 1, 1, 1, 1}},
                        {{1, 7, 9, 33}, 17, 3, {1, 1, 1, 1, 1}},
                        {{2, 9, 6, 32}, 4, 3, {1, 1, 1, 1, 1}},
                        {{1, 13, 12, 48}, 64, 3, {2, 1, 1, 1, 1}},
                        {{1, 12, 13, 16}, 16, 3, {2, 0, 0, 1, 1}},
                        {{1, 10, 11, 24}, 40, 1, {2, 0, 0, 0, 0}},
                        {{1, 16, 16, 3}, 24, 8, {8, 0, 0, 0, 0}},
                        {{1, 13, 10, 24}, 24, 3, {4, 2, 2, 2, 2, 2}},
                        {{1, 9, 8, 20}, 12, 3, {1, 3, 3, 3, 3, 3}}};
  for (const DType dtype : kCudaTypes) {
    for (const Case& c : cases) {
      INFO(c.x.ToString() << " to " << c.out << ", kernel " << c.kernel << " " << Name(dtype));
      const ArenaScope scope(test.arena);
      const Conv2dParams& p = c.params;
      const auto size = [&](int64_t in, int before, int after) {
        return (in + before + after - p.dilation * (c.kernel - 1) - 1) / p.stride + 1;
      };
      const Shape shape{c.x[0], size(c.x[1], p.pad_top, p.pad_bottom),
                        size(c.x[2], p.pad_left, p.pad_right), c.out};
      const HostTensor x = Random(c.x, dtype, 1), residual = Random(shape, dtype, 4);
      const HostTensor w = Random({c.out, c.x[3], c.kernel, c.kernel}, DType::kF32, 2, 0.1f);
      const HostTensor bias = Random({c.out}, DType::kF32, 3), rounded = Rounded(w, dtype);
      const Weight weight{w.View(), bias.View()}, same{rounded.View(), bias.View()};
      Tensor host_residual = residual.View();
      const Tensor y = test.Put(residual);
      ops::Conv2d(test.ctx, test.Put(x), weight, p, y, {Act::kSilu, &y});
      RequireClose(test.Get(y), ReferenceConv2d(x.View(), same, p, {Act::kSilu, &host_residual}));
    }
  }
}

TEST_CASE("cuda products: a row has the same bits whatever stands beside it") {
  FOVEA_NEEDS_KERNELS();
  CudaOpTest test;
  const HostTensor w = Random({72, 40}, DType::kF32, 2, 0.2f);
  for (const DType dtype : kCudaTypes) {
    const ArenaScope scope(test.arena);
    const HostTensor x = Random({131, 40}, dtype, 1);
    const Weight weight{w.View(), {}};
    const Tensor there = test.Put(x), all = test.Out({131, 72}, dtype);
    ops::Linear(test.ctx, there, weight, all);
    const Tensor few = test.Out({3, 72}, dtype);
    ops::Linear(test.ctx, there.Slice(0, 100, 3), weight, few);
    const HostTensor a = test.Get(all), b = test.Get(few);
    CHECK(std::memcmp(static_cast<const std::byte*>(a.data()) + 100 * 72 * SizeOf(dtype), b.data(),
                      b.Bytes()) == 0);
  }
}

TEST_CASE("cuda products: no order of warps changes a bit, and banks and sectors are used well") {
  FOVEA_NEEDS_KERNELS();
  FOVEA_EMULATED_ONLY();
  const HostTensor x = Random({1, 16, 16, 64}, DType::kBF16, 1);
  const HostTensor w = Random({64, 64, 3, 3}, DType::kF32, 2, 0.05f);
  std::vector<HostTensor> results;
  for (const WarpOrder order : {WarpOrder::kForward, WarpOrder::kReverse, WarpOrder::kShuffled}) {
    CudaOpTest test;
    TheEmulated().options.order = order;
    const Tensor y = test.Out({1, 16, 16, 64}, DType::kBF16);
    ops::Conv2d(test.ctx, test.Put(x), Weight{w.View(), {}}, {1, 1, 1, 1, 1}, y);
    results.push_back(test.Get(y));
    CHECK(std::memcmp(results.back().data(), results.front().data(), y.Bytes()) == 0);
    const Counters& n = TheEmulated().counters.at("conv_wide_bf16");
    // 4 blocks, 18 stages of 32: each warp makes 2 x 4 tiles of 16 x 8 from 2 steps of 16.
    CHECK(n.matrix_products == 4 * 18 * 4 * 2 * 4 * 2);
    INFO("wavefronts " << n.shared_wavefronts << " of " << n.shared_ideal << ", sectors "
                       << n.global_sectors << " of " << n.global_ideal);
    CHECK(double(n.shared_wavefronts) <= 1.1 * double(n.shared_ideal));
    CHECK(double(n.global_sectors) <= 1.1 * double(n.global_ideal));
  }
  TheEmulated().Clear();
}

}  // namespace
}  // namespace fovea::ptx
