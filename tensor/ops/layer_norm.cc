#include "tensor/ops/layer_norm.h"

#include "tensor/ops/op_checks.h"

namespace fovea::ops {

void LayerNorm(Context& ctx, const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps,
               const Tensor& out) {
  TRACE_ZONE("layer_norm", TraceDetail(x, out));
  EnsureActivation(x);
  EnsureSameType(x, out);
  EnsureSameShape(x, out);
  ENSURE(x.shape.rank >= 1 && x.shape[-1] > 0, x.shape.ToString());
  ENSURE(LastAxisDense(x) && LastAxisDense(out), x.shape.ToString());
  if (!gamma.Empty()) EnsureParameter(gamma, x.shape[-1]);
  if (!beta.Empty()) EnsureParameter(beta, x.shape[-1]);
  CountWork(0, {&x, &out});
  ctx.backend.LayerNorm(ctx, x, gamma, beta, eps, out);
}

}  // namespace fovea::ops
