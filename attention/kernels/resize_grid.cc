// Bicubic resizing of token grids on any device.
#include "attention/kernels/resize_grid.h"

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/no_kernel.h"
#include "tensor/cpu/kernels.h"

namespace fovea {

void ResizeGrid(Context& ctx, const Tensor& x, int height, int width, const Tensor& out,
                int out_height, int out_width) {
  if (ctx.backend.IsPlanning() && ctx.backend.Kind() == DeviceKind::kCpu) return;
  switch (ctx.backend.Kind()) {
    case DeviceKind::kCpu:
      return ResizeGridCpu(x, height, width, out, out_height, out_width);
    case DeviceKind::kCuda:
      break;
  }
  NoKernel(ctx, "bicubic resizing of tokens");
}

void ResizeGridCpu(const Tensor& x, int height, int width, const Tensor& out, int out_height,
                   int out_width) {
  // Heads of one token need not lie side by side.
  for (int64_t head = 0; head < x.shape[2]; ++head) {
    const Tensor from = x.Slice(2, head, 1), to = out.Slice(2, head, 1);
    ResizeBicubicCpu(from.Reshape({x.shape[0], height, width, x.shape[3]}),
                     to.Reshape({x.shape[0], out_height, out_width, x.shape[3]}));
  }
}

}  // namespace fovea
