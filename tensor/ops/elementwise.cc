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

void GatedAdd(Context& ctx, const Tensor& x, const Tensor& gate, const Tensor& out) {
  TRACE_ZONE("gated_add", TraceDetail(x, out));
  EnsureActivation(x);
  EnsureSameType(x, out);
  EnsureSameShape(x, out);
  ENSURE(x.shape.rank == 3 && LastAxisDense(x) && LastAxisDense(out), x.shape.ToString());
  EnsureSampleRows(gate, x);
  CountWork(0, {&x, &gate, &out, &out});
  ctx.backend.GatedAdd(ctx, x, gate, out);
}

void Copy(Context& ctx, const Tensor& src, const Tensor& dst) {
  TRACE_ZONE("copy", TraceDetail(src, dst));
  EnsureSameShape(src, dst);
  CountWork(0, {&src, &dst});
  ctx.backend.Copy(ctx, src, dst);
}

}  // namespace fovea::ops
