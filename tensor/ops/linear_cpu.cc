// Matrix products on the CPU: oneDNN on the checkpoint's own f32 tensor, or on a packed copy.
//
// The (out, in) matrix as it lies in the file costs oneDNN 3 to 10 % against its preferred layout
// (94 to 104 GFLOP/s a core against 102 to 110, one Zen 4 core at 117), which memory and start-up
// time are worth; 16-bit files need a copy in f32 in any case, so that one is packed.
#include <cstdint>
#include <optional>

#include "tensor/cpu/execution.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/product.h"
#include "tensor/cpu/rows.h"

namespace fovea {

void LinearCpu(const CpuExecution& execution, Context& ctx, const Tensor& x, const Weight& weight,
               const Epilogue& epilogue, const Tensor& out) {
  const int64_t rows = RowCount(x);
  if (rows == 0 || weight.Out() == 0) return;
  const bool in_place = weight.w.dtype == DType::kF32 && x.dtype == DType::kF32 &&
                        weight.delta == nullptr &&
                        reinterpret_cast<uintptr_t>(weight.w.data) % alignof(float) == 0;
  // oneDNN's good implementations want dense rows. On the plain layout it has a fair one for
  // strided rows of x too (88 GFLOP/s against 94); on its packed layouts it has none.
  const std::optional<int64_t> x_stride = UniformRowStride(x);
  const std::optional<int64_t> out_stride = UniformRowStride(out);
  const bool copy_x = !x_stride || (!in_place && *x_stride != weight.In());
  const bool copy_out = !out_stride || (!in_place && *out_stride != weight.Out());

  const ArenaScope scope(ctx.arena);
  Tensor from = x;
  Tensor to = out;
  if (copy_x) {
    from = ctx.arena.New(x.shape, x.dtype);
    if (!execution.planning) CopyCpu(x, from);
  }
  if (copy_out) to = ctx.arena.New(out.shape, out.dtype);

  onednn::MatmulSpec spec{rows,
                          weight.In(),
                          weight.Out(),
                          copy_x ? weight.In() : *x_stride,
                          copy_out ? weight.Out() : *out_stride,
                          x.dtype,
                          {}};
  const auto make = [&](const onednn::PostOps& post, const onednn::Layout* weights) {
    spec.post = post;
    return execution.library.Matmul(spec, weights);
  };
  const Product product{
      make, kMatmulAxes, in_place,
      in_place ? onednn::Library::PlainMatmulWeights(weight.Out(), weight.In(), DType::kF32)
               : onednn::Layout()};
  RunProduct(execution, ctx, product, from, weight, epilogue, to);
  if (copy_out && !execution.planning) CopyCpu(to, out);
}

}  // namespace fovea
