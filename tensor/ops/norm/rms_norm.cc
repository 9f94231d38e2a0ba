#include "tensor/ops/norm/rms_norm.h"

#include "tensor/ops/op_checks.h"

namespace fovea::ops {

void RmsNorm(Context& ctx, const Tensor& x, const Tensor& gamma, float eps, const Tensor& out) {
  TRACE_ZONE("rms_norm", TraceDetail(x, out));
  EnsureActivation(x);
  EnsureSameType(x, out);
  EnsureSameShape(x, out);
  ENSURE(x.shape.rank >= 1 && x.shape[-1] > 0, x.shape.ToString());
  ENSURE(LastAxisDense(x) && LastAxisDense(out), x.shape.ToString());
  if (!gamma.Empty()) EnsureParameter(gamma, x.shape[-1]);
  CountWork(0, {&x, &out});
  ctx.backend.RmsNorm(ctx, x, gamma, eps, out);
}

}  // namespace fovea::ops
