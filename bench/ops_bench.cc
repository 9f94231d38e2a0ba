// The operations that carry a U-Net and a VAE, at shapes of Stable Diffusion 1.5 (512 x 512).
//
// OMP_WAIT_POLICY=passive fovea-bench-ops --benchmark_filter=Conv2d ; GFLOP/s is the counter
// "flops". The first argument of convolutions and norms is 1 for bf16.
#include <benchmark/benchmark.h>

#include <random>

#include "attention/kernels/tile/tile_attention.h"
#include "tensor/memory/host_tensor.h"
#include "tensor/ops/conv/conv2d.h"
#include "tensor/ops/norm/group_norm.h"
#include "tensor/ops/product/linear.h"

namespace fovea {
namespace {

struct Bench {
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  Arena arena{*backend, size_t{512} << 20};
  Context ctx{*backend, arena};
};

DType TypeOf(int64_t argument) {
  return argument == 1 ? DType::kBF16 : DType::kF32;
}

HostTensor Random(const Shape& shape, DType dtype = DType::kF32) {
  HostTensor x(shape, dtype);
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    if (dtype == DType::kF32) {
      x.Data<float>()[i] = uniform(generator);
    } else {
      x.Data<BFloat16>()[i] = ToBFloat16(uniform(generator));
    }
  }
  return x;
}

void Report(benchmark::State& state, double flops) {
  state.counters["flops"] = benchmark::Counter(flops * static_cast<double>(state.iterations()),
                                               benchmark::Counter::kIsRate);
}

void BM_Conv2d(benchmark::State& state) {
  const DType dtype = TypeOf(state.range(0));
  const int64_t in = state.range(1), out_channels = state.range(2), side = state.range(3);
  Bench b;
  const HostTensor x = Random({1, side, side, in}, dtype);
  const HostTensor w = Random({out_channels, in, 3, 3}), bias = Random({out_channels});
  HostTensor out({1, side, side, out_channels}, dtype);
  const Weight weight{w.View(), bias.View()};
  const Conv2dParams params{1, 1, 1, 1, 1};
  for (auto _ : state) ops::Conv2d(b.ctx, x.View(), weight, params, out.View());
  Report(state, 2.0 * 9 * static_cast<double>(side * side * in * out_channels));
}
BENCHMARK(BM_Conv2d)
    ->ArgsProduct({{0, 1}, {320}, {320}, {64}})
    ->ArgsProduct({{0, 1}, {640}, {640}, {32}})
    ->ArgsProduct({{0, 1}, {1280}, {1280}, {16}})
    ->ArgsProduct({{0, 1}, {1280}, {1280}, {8}})
    ->ArgsProduct({{0, 1}, {512}, {512}, {64, 128}})
    ->ArgsProduct({{0, 1}, {256}, {256}, {256}})
    ->ArgsProduct({{0, 1}, {128}, {128}, {512}})
    ->ArgsProduct({{0, 1}, {320}, {4}, {64}})
    ->ArgsProduct({{0, 1}, {128}, {3}, {512}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void BM_Linear(benchmark::State& state) {
  const int64_t rows = state.range(0), in = state.range(1), out_features = state.range(2);
  Bench b;
  const HostTensor x = Random({rows, in}), w = Random({out_features, in});
  HostTensor out({rows, out_features}, DType::kF32);
  const Weight weight{w.View(), {}};
  for (auto _ : state) ops::Linear(b.ctx, x.View(), weight, out.View());
  Report(state, 2.0 * static_cast<double>(rows * in * out_features));
}
BENCHMARK(BM_Linear)
    ->Args({8192, 320, 320})
    ->Args({8192, 320, 2560})
    ->Args({2048, 640, 5120})
    ->Args({512, 1280, 10240})
    ->Args({2, 320, 1280})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void BM_GroupNorm(benchmark::State& state) {
  const DType dtype = TypeOf(state.range(0));
  const int64_t channels = state.range(1), side = state.range(2);
  Bench b;
  const HostTensor x = Random({1, side, side, channels}, dtype), gamma = Random({channels});
  HostTensor out({1, side, side, channels}, dtype);
  GroupNormParams params;
  params.gamma = gamma.View();
  params.beta = gamma.View();
  params.act = state.range(3) == 1 ? Act::kSilu : Act::kNone;
  for (auto _ : state) ops::GroupNorm(b.ctx, x.View(), params, out.View());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(x.Bytes()) * 2);
}
BENCHMARK(BM_GroupNorm)
    ->ArgsProduct({{0, 1}, {320}, {64}, {0, 1}})
    ->ArgsProduct({{0, 1}, {1280}, {16}, {0, 1}})
    ->ArgsProduct({{0, 1}, {128}, {512}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void BM_TileAttention(benchmark::State& state) {
  const int64_t t = state.range(0), kv = state.range(1), heads = state.range(2), d = state.range(3);
  Bench b;
  const HostTensor q = Random({2, t, heads, d}), k = Random({2, kv, heads, d});
  HostTensor out({2, t, heads, d}, DType::kF32);
  const TileCall call{q.View(), k.View(), k.View(), out.View()};
  const TileMap map = DenseTileMap(static_cast<int>(t), static_cast<int>(kv), false);
  for (auto _ : state) TileAttention(b.ctx, map, 0.125f, call);
  Report(state, 4.0 * static_cast<double>(2 * t * kv * heads * d));
}
BENCHMARK(BM_TileAttention)
    ->Args({4096, 4096, 8, 40})
    ->Args({1024, 1024, 8, 80})
    ->Args({256, 256, 8, 160})
    ->Args({4096, 77, 8, 40})
    ->Args({4096, 4096, 1, 512})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace fovea

BENCHMARK_MAIN();
