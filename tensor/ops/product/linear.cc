#include "tensor/ops/product/linear.h"

#include "tensor/ops/op_checks.h"

namespace fovea::ops {

void Linear(Context& ctx, const Tensor& x, const Weight& weight, const Tensor& out,
            const Epilogue& epilogue) {
  TRACE_ZONE("linear", TraceDetail(x, out));
  EnsureActivation(x);
  EnsureSameType(x, out);
  ENSURE(weight.w.shape.NumElements() == weight.Out() * weight.In() && weight.w.IsContiguous(),
         "weight of shape " + weight.w.shape.ToString());
  Shape expected = x.shape;
  expected[-1] = weight.Out();
  ENSURE(x.shape.rank >= 1 && x.shape[-1] == weight.In() && out.shape == expected,
         x.shape.ToString() + " by " + weight.w.shape.ToString() + " to " + out.shape.ToString());
  ENSURE(LastAxisDense(x) && LastAxisDense(out), x.shape.ToString());
  if (!weight.bias.Empty()) EnsureParameter(weight.bias, weight.Out());
  EnsureEpilogue(epilogue, out);
  CountWork(ProductFlops(out, weight), {&x, &weight.w, &out});
  ctx.backend.Linear(ctx, x, weight, epilogue, out);
}

}  // namespace fovea::ops
