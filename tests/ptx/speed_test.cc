// How fast is the GPU? Hidden: scripts/gpu-check asks for it by its tag.
#include <chrono>
#include <cstdio>

#include "attention/kernels/tile/tile_attention.h"
#include "tensor/ops/product/linear.h"
#include "tests/ptx/cuda_op_test.h"

namespace fovea::ptx {
namespace {

// The best of five runs of `count` calls each, in seconds a call.
double Seconds(Context& ctx, int count, const std::function<void()>& call) {
  double best = INFINITY;
  call();
  for (int run = 0; run < 5; ++run) {
    ctx.backend.Synchronize();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) call();
    ctx.backend.Synchronize();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / count);
  }
  return best;
}

TEST_CASE("cuda speed: products and dense attention on random data", "[.speed]") {
  FOVEA_NEEDS_KERNELS();
  const bool small = !OnGpu();  // to rehearse
  const auto backend = MakeCudaBackend(std::make_unique<cuda::Device>(TestDriver(), 0));
  Arena arena(*backend, size_t{small ? 4u : 1024u} << 20);
  Context ctx{*backend, arena};
  const auto put = [&](const HostTensor& x) {
    const Tensor t = arena.New(x.shape(), x.dtype());
    ops::Copy(ctx, x.View(), t);
    return t;
  };
  const int64_t size = small ? 128 : 4096;
  for (const DType dtype : kCudaTypes) {
    const ArenaScope scope(arena);
    const HostTensor w = Random({size, size}, dtype, 2);
    const Weight weight{w.View(), {}};
    const Tensor x = put(Random({size, size}, dtype, 1)), y = arena.New({size, size}, dtype);
    const double seconds = Seconds(ctx, small ? 1 : 10, [&] { ops::Linear(ctx, x, weight, y); });
    std::printf("product %s %lldx%lldx%lld: %.3f ms, %.1f TFLOP/s\n",
                std::string(Name(dtype)).c_str(), static_cast<long long>(size),
                static_cast<long long>(size), static_cast<long long>(size), seconds * 1e3,
                2.0 * std::pow(double(size), 3) / seconds / 1e12);
  }
  const int tokens = small ? 128 : 4096;
  const TileMap map = DenseTileMap(tokens, tokens, false);
  for (const int64_t d : {64, 128}) {
    for (const DType dtype : {DType::kBF16, DType::kF16}) {
      const ArenaScope scope(arena);
      const int64_t heads = small ? 1 : 16;
      const HostTensor host = Random({1, tokens, heads, d}, dtype, 1);
      const Tensor q = put(host), k = put(host), v = put(host);
      const Tensor out = arena.New(host.shape(), dtype);
      const double seconds = Seconds(ctx, small ? 1 : 5, [&] {
        TileAttention(ctx, map, 0.1f, {q, k, v, out});
      });
      std::printf("dense attention %s d %lld, %d tokens, %lld heads: %.3f ms, %.1f TFLOP/s\n",
                  std::string(Name(dtype)).c_str(), static_cast<long long>(d), tokens,
                  static_cast<long long>(heads), seconds * 1e3,
                  4.0 * double(d * heads) * tokens * tokens / seconds / 1e12);
    }
  }
}

}  // namespace
}  // namespace fovea::ptx
