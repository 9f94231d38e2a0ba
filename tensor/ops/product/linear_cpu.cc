// Matrix products on the CPU: on the checkpoint's own tensor in its own type, or on a plain copy of
// it where the values differ from the file's.
#include <cstdint>

#include "tensor/cpu/execution.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/panel_product.h"
#include "tensor/cpu/rows.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

bool IsAligned(const Tensor& t) {
  return reinterpret_cast<uintptr_t>(t.data) % SizeOf(t.dtype) == 0;
}

}  // namespace

void LinearCpu(const CpuExecution& execution, Context& ctx, const Tensor& x, const Weight& weight,
               const Epilogue& epilogue, const Tensor& out) {
  const int64_t rows = RowCount(x);
  if (rows == 0 || weight.Out() == 0) return;
  const bool pairs = x.dtype == DType::kBF16 && Bf16PanelMultiply() != nullptr;
  const Arithmetic arithmetic = pairs ? Arithmetic::kBF16 : Arithmetic::kF32;
  const DType copy = CopyType(ctx, x);
  const bool narrow = weight.w.dtype == DType::kF32 && copy == DType::kBF16;
  WeightRows from{weight.w.data, weight.w.dtype, weight.Out(), weight.In()};
  if (weight.delta != nullptr || narrow || !IsAligned(weight.w)) {
    from.dtype = copy;
    from.data = execution.packs.Provide(
        weight, onednn::Library::PlainMatmulWeights(weight.Out(), weight.In(), from.dtype),
        kMatmulAxes);
  } else {
    execution.packs.UseInPlace(weight);
  }
  const PanelPlan plan(rows, weight.In(), weight.Out(), arithmetic, NumThreads());
  const ArenaScope scope(ctx.arena);
  const Tensor scratch = ctx.arena.New({plan.ScratchBytes()}, DType::kU8);
  if (execution.planning) return;
  PanelProductCpu(plan, x, from, weight.bias, epilogue, scratch.data, out);
}

}  // namespace fovea
