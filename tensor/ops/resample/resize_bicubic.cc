#include "tensor/ops/resample/resize_bicubic.h"

#include "tensor/ops/op_checks.h"

namespace fovea::ops {

void ResizeBicubic(Context& ctx, const Tensor& x, const Tensor& out) {
  TRACE_ZONE("resize_bicubic", TraceDetail(x, out));
  EnsureActivation(x);
  EnsureSameType(x, out);
  ENSURE(x.shape.rank == 4 && out.shape.rank == 4 && x.shape[0] == out.shape[0] &&
             x.shape[3] == out.shape[3] && x.shape[1] > 0 && x.shape[2] > 0,
         x.shape.ToString() + " to " + out.shape.ToString());
  ENSURE(LastAxisDense(x) && LastAxisDense(out), x.shape.ToString());
  ctx.backend.ResizeBicubic(ctx, x, out);
}

}  // namespace fovea::ops
