// Convolutions on the CPU: Winograd's algorithm where it serves, a kernel for few outputs, else
// products of patches where filters are held in 16 bits for f32 arithmetic, else oneDNN on packed
// weights; 1x1 ones are matrix products.
#include <algorithm>
#include <cstring>

#include "tensor/cpu/execution.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/narrow_conv.h"
#include "tensor/cpu/patches.h"
#include "tensor/cpu/product.h"
#include "tensor/cpu/winograd.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

bool IsPointwise(const Weight& weight, const Conv2dParams& p) {
  return weight.w.shape[2] == 1 && weight.w.shape[3] == 1 && p.stride == 1 && p.pad_top == 0 &&
         p.pad_left == 0 && p.pad_bottom == 0 && p.pad_right == 0;
}

void RunWinograd(const CpuExecution& execution, Context& ctx, const Tensor& x, const Weight& weight,
                 const Conv2dParams& params, const Epilogue& epilogue, const Tensor& out) {
  // 16-bit filters stay as the file has them: they are widened where they are transformed.
  const DType file = weight.w.dtype;
  const bool as_in_file = weight.delta == nullptr && SizeOf(file) == 2;
  const DType type = as_in_file ? file : CopyType(ctx, x);
  const void* filters = execution.packs.Provide(
      weight, onednn::Library::WinogradFilters(weight.Out(), weight.In(), type), kConvAxes);
  const WinogradPlan plan(x, out, NumThreads());
  const ArenaScope scope(ctx.arena);
  const Tensor scratch = ctx.arena.New({plan.ScratchFloats()}, DType::kF32);
  if (execution.planning) return;
  WinogradCpu(plan, x, filters, type, weight.bias, params, epilogue, scratch.Data<float>(), out);
}

void RunNarrow(const CpuExecution& execution, Context& ctx, const Tensor& x, const Weight& weight,
               const Conv2dParams& params, const Tensor& out) {
  const void* filters = execution.packs.Provide(
      weight, onednn::Library::NarrowFilters(weight.Out(), weight.In()), kConvAxes);
  const ArenaScope scope(ctx.arena);
  const Tensor zeros = ctx.arena.New({weight.In()}, x.dtype);
  if (execution.planning) return;
  std::memset(zeros.data, 0, zeros.Bytes());
  NarrowConvCpu(x, static_cast<const float*>(filters), weight.bias, params, zeros.data, out);
}

// Whether f32 arithmetic would take filters of 16 bits.
bool AreNarrow(const Context& ctx, const Tensor& x, const Weight& weight) {
  if (x.dtype != DType::kF32) return false;
  return ctx.narrow_weights || (weight.delta == nullptr && SizeOf(weight.w.dtype) == 2);
}

// oneDNN would hold them in f32. Our product of matrices widens them in the cache, and a filter
// bank is a matrix as the file has it; patches are made a few rows of pixels at a time.
void RunPatches(const CpuExecution& execution, Context& ctx, const Tensor& x, const Weight& weight,
                const Conv2dParams& params, const Epilogue& epilogue, const Tensor& out) {
  constexpr int64_t kBandBytes = int64_t{8} << 20;
  const Shape& w = weight.w.shape;
  const int64_t height = out.shape[1], width = out.shape[2];
  Weight matrix = weight;
  matrix.w = weight.w.Reshape({w[0], w[1] * w[2] * w[3]});
  const int64_t row_bytes = width * matrix.In() * static_cast<int64_t>(sizeof(float));
  const int64_t band = std::clamp<int64_t>(kBandBytes / row_bytes, 1, height);
  const ArenaScope scope(ctx.arena);
  const Tensor memory = ctx.arena.New({band, width, matrix.In()}, DType::kF32);
  for (int64_t n = 0; n < out.shape[0]; ++n) {
    for (int64_t y = 0; y < height; y += band) {
      const int64_t rows = std::min(band, height - y);
      const auto part = [&](const Tensor& t) { return t.Slice(0, n, 1).Slice(1, y, rows); };
      const Tensor patches = memory.Slice(0, 0, rows).Reshape({1, rows, width, matrix.In()});
      if (!execution.planning) {
        GatherPatchesCpu(x.Slice(0, n, 1), {w[2], w[3]}, params, y, patches);
      }
      Epilogue own = epilogue;
      Tensor residual;
      if (epilogue.residual != nullptr) {
        residual = part(*epilogue.residual);
        own.residual = &residual;
      }
      LinearCpu(execution, ctx, patches, matrix, own, part(out));
    }
  }
}

// oneDNN's convolutions, on copies where it has only its reference loops (0.4 GFLOP/s): strided
// pixels, and bf16 on a processor without bf16 arithmetic, which is widened to f32.
void RunDirect(const CpuExecution& execution, Context& ctx, const Tensor& x, const Weight& weight,
               const Conv2dParams& params, const Epilogue& epilogue, const Tensor& out) {
  onednn::ConvSpec spec{
      x.shape[0],        x.shape[1],   x.shape[2],   x.shape[3], weight.Out(), weight.w.shape[2],
      weight.w.shape[3], out.shape[1], out.shape[2], params,     x.dtype,      {}};
  const auto make = [&](const onednn::PostOps& post, const onednn::Layout* weights) {
    spec.post = post;
    return execution.library.Conv2d(spec, weights);
  };
  if (x.dtype == DType::kBF16) {
    const auto bf16 = make({}, nullptr);
    if (!bf16 || !bf16->Fast()) spec.dtype = DType::kF32;
  }
  const ArenaScope scope(ctx.arena);
  const auto copied = [&](const Tensor& t) {
    const Tensor copy = ctx.arena.New(t.shape, spec.dtype);
    if (!execution.planning) CopyCpu(t, copy);
    return copy;
  };
  const bool widen = spec.dtype != x.dtype;
  const bool copy_out = widen || !out.IsContiguous();
  const Tensor from = widen || !x.IsContiguous() ? copied(x) : x;
  const Tensor to = copy_out ? ctx.arena.New(out.shape, spec.dtype) : out;
  Epilogue wide = epilogue;
  Tensor residual;
  if (epilogue.residual && widen) {
    residual = copied(*epilogue.residual);
    wide.residual = &residual;
  }
  RunProduct(execution, ctx, {make, kConvAxes}, from, weight, wide, to);
  if (copy_out && !execution.planning) CopyCpu(to, out);
}

}  // namespace

void Conv2dCpu(const CpuExecution& execution, Context& ctx, const Tensor& x, const Weight& weight,
               const Conv2dParams& params, const Epilogue& epilogue, const Tensor& out) {
  if (out.NumElements() == 0) return;
  if (IsPointwise(weight, params)) {
    LinearCpu(execution, ctx, x, weight, epilogue, out);
    return;
  }
  if (WinogradServes(x, weight, params, out)) {
    RunWinograd(execution, ctx, x, weight, params, epilogue, out);
    return;
  }
  if (NarrowConvServes(weight, params, epilogue)) {
    RunNarrow(execution, ctx, x, weight, params, out);
    return;
  }
  const auto run = AreNarrow(ctx, x, weight) ? RunPatches : RunDirect;
  run(execution, ctx, x, weight, params, epilogue, out);
}

}  // namespace fovea
