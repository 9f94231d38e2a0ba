#include "tensor/ops/norm/group_norm.h"

#include "tensor/ops/op_checks.h"

namespace fovea::ops {
namespace {

// (n, c) activations, or empty.
void EnsurePerSample(const Tensor& t, const Tensor& x) {
  if (t.Empty()) return;
  EnsureSameType(t, x);
  ENSURE(t.shape == Shape({x.shape[0], x.shape[-1]}) && LastAxisDense(t),
         t.shape.ToString() + " for " + x.shape.ToString());
}

}  // namespace

void GroupNorm(Context& ctx, const Tensor& x, const GroupNormParams& params, const Tensor& out) {
  TRACE_ZONE("group_norm", TraceDetail(x, out));
  EnsureActivation(x);
  EnsureSameType(x, out);
  EnsureSameShape(x, out);
  ENSURE(x.shape.rank >= 2 && x.IsContiguous() && out.IsContiguous(), x.shape.ToString());
  ENSURE(params.groups > 0 && x.shape[-1] > 0 && x.shape[-1] % params.groups == 0,
         x.shape.ToString() + " in " + std::to_string(params.groups) + " groups");
  EnsureParameter(params.gamma, x.shape[-1]);
  EnsureParameter(params.beta, x.shape[-1]);
  EnsurePerSample(params.add, x);
  EnsurePerSample(params.scale, x);
  EnsurePerSample(params.shift, x);
  CountWork(0, {&x, &out});
  ctx.backend.GroupNorm(ctx, x, params, out);
}

}  // namespace fovea::ops
