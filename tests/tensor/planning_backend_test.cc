// A dry run foresees exactly what the run then uses.
#include "tensor/planning_backend.h"

#include <catch2/catch.hpp>

#include "tensor/ops/activation.h"
#include "tensor/ops/conv/conv2d.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/norm/group_norm.h"
#include "tensor/ops/norm/layer_norm.h"
#include "tensor/ops/product/linear.h"
#include "tensor/ops/resample/upsample.h"
#include "tests/tensor/op_test.h"

namespace fovea {
namespace {

// A small network that uses every kind of scratch memory and packing.
struct Network {
  HostTensor conv_w, down_w, point_w, linear_w, gamma, input;
  Weight conv, down, point, linear;

  Network(DType wtype, DType dtype)
      : conv_w(Random({64, 32, 3, 3}, wtype, 1, 0.05f)),
        down_w(Random({64, 64, 3, 3}, wtype, 2, 0.05f)),
        point_w(Random({48, 64, 1, 1}, wtype, 3, 0.1f)),
        linear_w(Random({96, 48}, wtype, 4, 0.1f)),
        gamma(Random({64}, DType::kF32, 5)),
        input(Random({1, 40, 40, 40}, dtype, 6)),
        conv{conv_w.View(), {}},
        down{down_w.View(), {}},
        point{point_w.View(), {}},
        linear{linear_w.View(), {}} {}

  void Forward(Context& ctx, int64_t size, const Tensor& out) const {  // (1, size/2 * size/2, 48)
    const ArenaScope scope(ctx.arena);
    const Tensor x = input.View().Slice(1, 0, size).Slice(2, 0, size).Slice(3, 3, 32);
    const Tensor a = ctx.New({1, size, size, 64});
    ops::Conv2d(ctx, x, conv, {1, 1, 1, 1, 1}, a, {Act::kSilu, nullptr});
    const GroupNormParams norm{gamma.View(), gamma.View(), 32, 1e-5f, Act::kSilu, {}, {}, {}};
    ops::GroupNorm(ctx, a, norm, a);
    const Tensor b = ctx.New({1, size / 2, size / 2, 64});
    ops::Conv2d(ctx, a, down, {2, 1, 1, 1, 1}, b);
    const Tensor c = ctx.New({1, size / 2, size / 2, 48});
    ops::Conv2d(ctx, b, point, {}, c);
    const Tensor tokens = c.Reshape({1, size * size / 4, 48});
    const Tensor d = ctx.New({1, size * size / 4, 96});
    ops::Linear(ctx, tokens, linear, d, {Act::kGeluErf, nullptr});
    ops::LayerNorm(ctx, tokens, {}, {}, 1e-5f, tokens);
    ops::GatedAct(ctx, d, Act::kGeluErf, out);
    ops::Add(ctx, out, tokens, out);
  }
};

TEST_CASE("arena peak and packed bytes of a dry run are those of the run") {
  OpTest test;
  for (const DType wtype : {DType::kF32, DType::kF16}) {
    for (const DType dtype : kActivationTypes) {
      INFO("weights " << Name(wtype) << ", activations " << Name(dtype));
      const auto real = MakeCpuBackend();
      const Network network(wtype, dtype);
      // Cold, warm, and other sizes on what is packed already.
      for (const int64_t size : {16, 16, 40, 18, 16}) {
        INFO("size " << size);
        const auto planning = MakePlanningBackend(*real);
        Arena reserved(*planning, kPlanningArenaBytes);
        Context plan{*planning, reserved, {}, dtype};
        CHECK(planning->IsPlanning());
        const size_t before = real->PackedBytes();
        network.Forward(plan, size, plan.New({1, size * size / 4, 48}));
        CHECK(real->PackedBytes() == before);

        Arena arena(*real, reserved.PeakBytes());
        Context ctx{*real, arena, {}, dtype};
        network.Forward(ctx, size, ctx.New({1, size * size / 4, 48}));
        CHECK(arena.PeakBytes() == reserved.PeakBytes());
        CHECK(real->PackedBytes() >= before);
        CHECK(real->PackedBytes() - before == planning->TotalCost().packed_bytes);
        CHECK(planning->TotalCost().calls == 8);
        const double pixels = static_cast<double>(size * size);
        CHECK(planning->TotalCost().flops ==
              2 * pixels * 64 * 32 * 9 + 2 * pixels / 4 * (64 * 64 * 9 + 64 * 48 + 48 * 96));
      }
      if (wtype == DType::kF16) CHECK(real->PackedBytes() > 0);
    }
  }
}

TEST_CASE("a dry run foresees copies of weights that change with the picture's size") {
  OpTest test;
  const auto real = MakeCpuBackend();
  const Network network(DType::kF32, DType::kF32);
  for (const int64_t size : {16, 6, 16, 6}) {  // large enough for Winograd's algorithm, too small
    INFO("size " << size);
    const auto planning = MakePlanningBackend(*real);
    Arena reserved(*planning, kPlanningArenaBytes);
    Context plan{*planning, reserved};
    network.Forward(plan, size, plan.New({1, size * size / 4, 48}));
    const size_t before = real->PackedBytes();
    Arena arena(*real, reserved.PeakBytes());
    Context ctx{*real, arena};
    network.Forward(ctx, size, ctx.New({1, size * size / 4, 48}));
    CHECK(arena.PeakBytes() == reserved.PeakBytes());
    CHECK(real->PackedBytes() <= before + planning->TotalCost().packed_bytes);
  }
}

TEST_CASE("a run allocates nothing but its arena and gives the same bytes again") {
  const auto real = MakeCpuBackend();
  const Network network(DType::kF16, DType::kF32);
  Arena arena(*real, size_t{16} << 20);
  Context ctx{*real, arena};
  HostTensor first({1, 64, 48}, DType::kF32), second({1, 64, 48}, DType::kF32);
  network.Forward(ctx, 16, first.View());
  const int64_t allocations = real->Allocations();
  const size_t packed = real->PackedBytes();
  network.Forward(ctx, 16, second.View());
  CHECK(real->Allocations() == allocations);
  CHECK(real->PackedBytes() == packed);
  CHECK(std::memcmp(first.data(), second.data(), first.Bytes()) == 0);
}

TEST_CASE("copies of weights go with the last copy of the weight") {
  const auto real = MakeCpuBackend();
  Arena arena(*real, size_t{16} << 20);
  Context ctx{*real, arena};
  {
    const Network network(DType::kF16, DType::kF32);
    HostTensor out({1, 64, 48}, DType::kF32);
    network.Forward(ctx, 16, out.View());
    const Weight kept = network.conv;
    CHECK(real->PackedBytes() > 0);
  }
  CHECK(real->PackedBytes() == 0);
}

}  // namespace
}  // namespace fovea
