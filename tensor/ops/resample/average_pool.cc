#include "tensor/ops/resample/average_pool.h"

#include "tensor/ops/op_checks.h"

namespace fovea::ops {

void AveragePool2x2(Context& ctx, const Tensor& x, const Tensor& out) {
  TRACE_ZONE("average_pool", TraceDetail(x, out));
  EnsureActivation(x);
  EnsureSameType(x, out);
  const Shape& from = x.shape;
  ENSURE(from.rank == 4 &&
             out.shape == Shape({from[0], (from[1] + 1) / 2, (from[2] + 1) / 2, from[3]}),
         from.ToString() + " to " + out.shape.ToString());
  ENSURE(LastAxisDense(x) && LastAxisDense(out), from.ToString());
  ctx.backend.AveragePool2x2(ctx, x, out);
}

}  // namespace fovea::ops
