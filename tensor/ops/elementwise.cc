#include "tensor/ops/elementwise.h"

#include "tensor/ops/op_checks.h"

namespace fovea::ops {

void Add(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& out) {
  TRACE_ZONE("add", TraceDetail(a, out));
  EnsureActivation(a);
  EnsureSameType(a, b);
  EnsureSameType(a, out);
  EnsureSameShape(a, b);
  EnsureSameShape(a, out);
  ENSURE(LastAxisDense(a) && LastAxisDense(b) && LastAxisDense(out), a.shape.ToString());
  CountWork(0, {&a, &b, &out});
  ctx.backend.Add(ctx, a, b, out);
}

void Copy(Context& ctx, const Tensor& src, const Tensor& dst) {
  TRACE_ZONE("copy", TraceDetail(src, dst));
  EnsureSameShape(src, dst);
  CountWork(0, {&src, &dst});
  ctx.backend.Copy(ctx, src, dst);
}

}  // namespace fovea::ops
