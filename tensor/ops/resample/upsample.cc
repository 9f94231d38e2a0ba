#include "tensor/ops/resample/upsample.h"

#include "tensor/ops/op_checks.h"

namespace fovea::ops {

void UpsampleNearest(Context& ctx, const Tensor& x, const Tensor& out) {
  TRACE_ZONE("upsample_nearest", TraceDetail(x, out));
  EnsureActivation(x);
  EnsureSameType(x, out);
  ENSURE(x.shape.rank == 4 && out.shape.rank == 4 && x.shape[0] == out.shape[0] &&
             x.shape[3] == out.shape[3],
         x.shape.ToString() + " to " + out.shape.ToString());
  ENSURE(LastAxisDense(x) && LastAxisDense(out), x.shape.ToString());
  CountWork(0, {&x, &out});
  ctx.backend.UpsampleNearest(ctx, x, out);
}

}  // namespace fovea::ops
