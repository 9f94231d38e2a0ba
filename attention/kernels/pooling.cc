// Pooling on any device.
#include "attention/kernels/pooling.h"

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/no_kernel.h"

namespace fovea {

void PoolCells(Context& ctx, const Tensor& x, const Segment& grid, int cell, const float* weights,
               const Tensor& out) {
  if (ctx.backend.IsPlanning() && ctx.backend.Kind() == DeviceKind::kCpu) return;
  switch (ctx.backend.Kind()) {
    case DeviceKind::kCpu:
      return PoolCellsCpu(x, grid, cell, weights, out);
    case DeviceKind::kCuda:
      break;
  }
  NoKernel(ctx, "pooling over cells");
}

void AdaptivePool(Context& ctx, const Tensor& x, const Segment& grid,
                  const std::array<int, 3>& cells, const Tensor& out) {
  if (ctx.backend.IsPlanning() && ctx.backend.Kind() == DeviceKind::kCpu) return;
  switch (ctx.backend.Kind()) {
    case DeviceKind::kCpu:
      return AdaptivePoolCpu(x, grid, cells, out);
    case DeviceKind::kCuda:
      break;
  }
  NoKernel(ctx, "adaptive pooling");
}

}  // namespace fovea
