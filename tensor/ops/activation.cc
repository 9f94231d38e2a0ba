#include "tensor/ops/activation.h"

#include "tensor/ops/op_checks.h"

namespace fovea::ops {

void Activate(Context& ctx, const Tensor& x, Act act, const Tensor& out) {
  TRACE_ZONE("activate", TraceDetail(x, out));
  EnsureActivation(x);
  EnsureSameType(x, out);
  EnsureSameShape(x, out);
  ENSURE(x.IsContiguous() && out.IsContiguous(), x.shape.ToString());
  CountWork(0, {&x, &out});
  ctx.backend.Activate(ctx, x, act, out);
}

void GatedAct(Context& ctx, const Tensor& x, Act act, const Tensor& out) {
  TRACE_ZONE("gated_act", TraceDetail(x, out));
  EnsureActivation(x);
  EnsureSameType(x, out);
  Shape half = x.shape;
  half[-1] /= 2;
  ENSURE(x.shape[-1] % 2 == 0 && half == out.shape,
         x.shape.ToString() + " gated to " + out.shape.ToString());
  ENSURE(x.IsContiguous() && out.IsContiguous(), x.shape.ToString());
  CountWork(0, {&x, &out});
  ctx.backend.GatedAct(ctx, x, act, out);
}

}  // namespace fovea::ops
